"""The replies as pydantic models: the names and forms of ``mien.Frame.to_dict`` (docs/output.md), for OpenAPI.

Replies are made by ``to_dict`` itself; a test holds these models to it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

Probability = Annotated[float, Field(ge=0, le=1)]
Probabilities = dict[str, Probability]

_SCORES: JsonDict = {
    "angry": 0.0,
    "disgust": 0.0,
    "fear": 0.0,
    "happy": 0.9996,
    "sad": 0.0,
    "surprise": 0.0001,
    "neutral": 0.0002,
    "contempt": 0.0001,
}
_FACE: JsonDict = {
    "box": [178, 63, 90, 114],
    "confidence": 0.9368,
    "landmarks": [[205.1, 108.9], [245.4, 106.3], [226.9, 131.3], [211.0, 147.1], [246.5, 144.6]],
    "quality": {"size": 101.4, "sharpness": 1.0, "yaw": 0.027, "roll": -3.7, "score": 0.96},
    "track": None,
    "expression": "happy",
    "probability": 0.9996,
    "smoothed": None,
    "smoothed_expression": None,
    "outputs": {"probabilities": _SCORES},
}
_FRAME: JsonDict = {
    "source": None,
    "frame": None,
    "time": None,
    "width": 512,
    "height": 512,
    "detector": "yunet",
    "model": "default 1.0",
    "prior": {
        "angry": 0.135,
        "disgust": 0.06,
        "fear": 0.085,
        "happy": 0.235,
        "sad": 0.16,
        "surprise": 0.165,
        "neutral": 0.16,
    },
    "faces": [_FACE],
    "error": None,
    "note": None,
}


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Quality(_Exact):
    """How well a face can be read."""

    size: float = Field(description="Pixels a side of the face.")
    sharpness: float = Field(description="0 (no edge at all) to 1.")
    yaw: float | None = Field(description="How far the head is turned, -1 to 1.")
    roll: float | None = Field(description="Degrees by which the line through the eyes falls to the right.")
    score: float = Field(description="All of it in one number, 0-1; a rule of thumb.")


class Face(_Exact):
    """One face and the expression that was read."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_FACE]})

    box: Annotated[list[int], Field(min_length=4, max_length=4)] = Field(
        description="x, y, width, height in pixels, origin top left, EXIF rotation applied."
    )
    confidence: Probability | None = Field(description="The detector's, that this is a face.")
    landmarks: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        description="Eyes, nose and mouth corners, (x, y) in pixels."
    )
    quality: Quality | None
    track: int | None = Field(description="The same number as a moment ago is the same face; only in moving pictures.")
    expression: str = Field(description="The most probable one, or unsure.")
    probability: Probability
    smoothed: Probabilities | None = Field(description="Averaged over the last moments; only in moving pictures.")
    smoothed_expression: str | None
    outputs: dict[str, Probabilities] = Field(description="Each output of the model: expression to probability.")


class Frame(_Exact):
    """A picture, or a frame of a video or stream, and its faces from left to right."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_FRAME]})

    source: str | None = Field(description="The name of the file in a batch.")
    frame: int | None = Field(description="Its number in a video or stream, from 0.")
    time: float | None = Field(description="Seconds since the video or stream began.")
    width: int
    height: int
    detector: str
    model: str
    prior: Probabilities | None = Field(description="Share of each expression that the probabilities reckon with.")
    faces: list[Face]
    error: str | None = Field(description="Why the picture could not be read.")
    note: str | None = Field(description="What is to be known of a picture that was read, as that its end is missing.")


class Batch(_Exact):
    """The pictures of a batch in order; one that could not be read has its ``error``."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"frames": [_FRAME]}]})

    frames: list[Frame]


class Health(_Exact):
    """Whether the service can be used."""

    status: str


class Version(_Exact):
    """What runs."""

    mien: str
    onnxruntime: str
    model: str = Field(description="Name and version of the default model.")
    detector: str


class Output(_Exact):
    """One output of a model."""

    labels: list[str]
    label_set: str
    metrics: dict[str, Any] = Field(description="By split, with n and interval.")


class ModelCard(_Exact):
    """What a model is, and on which terms."""

    name: str
    version: str
    outputs: dict[str, Output]
    licence: str
    data_terms: str
    intended_use: str
    graph_sha256: str


class Limits(_Exact):
    """What a request may hold."""

    max_bytes: int
    max_pixels: int
    max_files: int
    max_video_bytes: int
    max_video_seconds: float
    urls: bool


class Models(_Exact):
    """What can be asked for."""

    default: str
    detectors: list[str]
    models: list[ModelCard]
    limits: Limits
    notice: str | None = Field(description="What users should know, as that a better detector could not be had.")


class Problem(_Exact):
    """A kind of problem."""

    type: str
    title: str
    status: int
