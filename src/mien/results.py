"""What recognition returns: frozen, plain, the same shape whatever went in.

Owns ``Box``, ``Quality``, ``Face`` and ``Frame`` and their forms as dict and table rows. Refuses to know pictures,
detectors and models; what a frame shows of itself is drawn by :mod:`mien.outputs.display`, loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

#: What :attr:`Face.expression` is where the model is less sure than its user asked for, or the face is too small.
UNSURE = "unsure"

#: Pixels a side of the least face that is answered (``Quality.size``). Below, less than half is left of what the model
#: knows beyond the most frequent expression, and its probabilities do not show it (``benchmarks/small_faces.py``).
LEAST_SIZE = 17.0

#: The columns of :meth:`Frame.to_rows`; each of the model's labels follows as a column of its own.
COLUMNS = (
    "source",
    "frame",
    "time",
    "face",
    "track",
    "x",
    "y",
    "width",
    "height",
    "confidence",
    "quality",
    "expression",
    "probability",
    "smoothed",
    "smoothed_probability",
    "error",
    "note",
)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as it is looked at (EXIF rotation applied), origin top left."""

    x: float
    y: float
    width: float
    height: float

    def to_list(self) -> list[int]:
        """``[x, y, width, height]``, rounded to whole pixels."""
        return [round(self.x), round(self.y), round(self.width), round(self.height)]

    def overlap(self, other: Box) -> float:
        """Intersection over union with another box, 0-1.

        >>> Box(0, 0, 2, 2).overlap(Box(1, 0, 2, 2))
        0.3333333333333333
        """
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


@dataclass(frozen=True, slots=True)
class Quality:
    """What a face can be read from; see :mod:`mien.detection.quality` for how it is measured.

    Attributes:
        size: pixels of the picture a side of the face, the root of the box's width times height.
        sharpness: 0 (no edge at all) to 1 (as sharp as the crops that models are trained on, or sharper).
        yaw: how far the head is turned, -1 to 1: 0 looks ahead, above 0 to the picture's right; None without landmarks.
        roll: degrees by which the line through the eyes falls to the right; None without landmarks.
        score: all of it in one number, 0-1; a rule of thumb, no probability.
    """

    size: float
    sharpness: float
    yaw: float | None
    roll: float | None
    score: float

    def to_dict(self) -> dict[str, float | None]:
        """A plain dict, ready for JSON."""
        return {
            "size": round(self.size, 1),
            "sharpness": round(self.sharpness, 3),
            "yaw": None if self.yaw is None else round(self.yaw, 3),
            "roll": None if self.roll is None else round(self.roll, 1),
            "score": round(self.score, 3),
        }


@dataclass(frozen=True, repr=False)
class Face:
    """One face and what its expression was read as.

    Attributes:
        box: the face in the picture, as its detector saw it.
        confidence: the detector's confidence, 0-1; None where the detector gives none.
        outputs: the model's named outputs, each a mapping from expression to probability (0-1, summing to 1).
            They are copied and cannot be changed.
        landmarks: eyes, nose and mouth corners as (x, y) pixels, where the detector gives them.
        quality: what the face can be read from; None where it was not measured.
        track: the track id in a video, counted from 1; None in single pictures.
        smoothed: the first output averaged over the track's last moments; None where that was not asked for.
        threshold: the least probability that counts as an answer; below it the expression is ``unsure``.
    """

    box: Box
    confidence: float | None
    outputs: Mapping[str, Mapping[str, float]]
    landmarks: tuple[tuple[float, float], ...] = ()
    quality: Quality | None = None
    track: int | None = None
    smoothed: Mapping[str, float] | None = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        frozen = {name: MappingProxyType(dict(scores)) for name, scores in self.outputs.items()}
        object.__setattr__(self, "outputs", MappingProxyType(frozen))
        if self.smoothed is not None:
            object.__setattr__(self, "smoothed", MappingProxyType(dict(self.smoothed)))

    def __repr__(self) -> str:
        """One line: expression, probability and box."""
        track = "" if self.track is None else f" track {self.track}:"
        label, probability = self.steadiest
        return f"<Face{track} {label} {probability:.1%} at {self.box.to_list()}>"

    def __hash__(self) -> int:
        """Of what equal faces share; the mappings of their probabilities cannot be hashed."""
        return hash((self.box, self.confidence, self.landmarks, self.track, self.threshold))

    def __reduce__(self) -> tuple[type[Face], tuple[object, ...]]:
        """Read-only views cannot be pickled; plain dicts can, and are frozen again on arrival."""
        outputs = {name: dict(scores) for name, scores in self.outputs.items()}
        smoothed = None if self.smoothed is None else dict(self.smoothed)
        rest = (self.landmarks, self.quality, self.track, smoothed, self.threshold)
        return Face, (self.box, self.confidence, outputs, *rest)

    @property
    def probabilities(self) -> Mapping[str, float]:
        """The model's first output, expression to probability."""
        return next(iter(self.outputs.values()))

    @property
    def expression(self) -> str:
        """The most probable expression.

        ``unsure`` where its probability is below ``threshold``, or the face is smaller than :data:`LEAST_SIZE`.
        """
        return self._answer(self.probabilities)

    @property
    def probability(self) -> float:
        """The largest probability, 0-1."""
        return max(self.probabilities.values())

    @property
    def smoothed_expression(self) -> str | None:
        """As ``expression``, of ``smoothed``; None without it."""
        return None if self.smoothed is None else self._answer(self.smoothed)

    @property
    def steadiest(self) -> tuple[str, float]:
        """Expression and probability to show: smoothed where there is that, of this moment where not."""
        scores = self.probabilities if self.smoothed is None else self.smoothed
        return self._answer(scores), max(scores.values())

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """The ``count`` most probable expressions with their probabilities, best first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:count]

    def to_dict(self) -> dict[str, object]:
        """A plain dict, ready for JSON."""
        return {
            "box": self.box.to_list(),
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in self.landmarks],
            "quality": None if self.quality is None else self.quality.to_dict(),
            "track": self.track,
            "expression": self.expression,
            "probability": round(self.probability, 4),
            "smoothed": None if self.smoothed is None else _rounded(self.smoothed),
            "smoothed_expression": self.smoothed_expression,
            "outputs": {name: _rounded(scores) for name, scores in self.outputs.items()},
        }

    def to_row(self) -> dict[str, object]:
        """A flat dict with those of :data:`COLUMNS` that belong to a face, and each expression's probability."""
        x, y, width, height = self.box.to_list()
        label, probability = self.steadiest
        steady = self.smoothed is not None
        return {
            "track": self.track,
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "quality": None if self.quality is None else round(self.quality.score, 3),
            "expression": self.expression,
            "probability": round(self.probability, 4),
            "smoothed": label if steady else None,
            "smoothed_probability": round(probability, 4) if steady else None,
            **_rounded(self.probabilities),
        }

    def _answer(self, scores: Mapping[str, float]) -> str:
        if self.quality is not None and self.quality.size < LEAST_SIZE:
            return UNSURE
        label, probability = max(scores.items(), key=lambda item: item[1])
        return label if probability >= self.threshold else UNSURE


@dataclass(frozen=True, repr=False)
class Frame:
    """One picture and the faces found in it, from left to right; no face is an empty tuple, not an error.

    Attributes:
        source: where the picture came from (a path, an address), or None.
        width, height: pixels of the picture as it is looked at; 0 where it could not be read.
        faces: the faces found, ordered by their left edge.
        detector: the name of the face detector that looked.
        model: the name and version of the model that scored.
        index: the number of the frame in its video or stream, counted from 0; None in single pictures.
        time: seconds since the video or stream began; None in single pictures.
        error: why the picture could not be read; None where it could.
        prior: share of each expression that the probabilities are calibrated for, summing to 1; None where the model
            does not say.
        note: what should be known of a picture that was read, as that its last rows are missing; None: nothing.
        origin: what was passed to ``predict`` and its channel order, so that the frame can be shown; None for files,
            which are read again, and for videos and streams. It is not compared, and not pickled.
    """

    source: str | None
    width: int
    height: int
    faces: tuple[Face, ...]
    detector: str
    model: str
    index: int | None = None
    time: float | None = None
    error: str | None = None
    prior: Mapping[str, float] | None = None
    note: str | None = None
    origin: Any = field(default=None, compare=False)

    def __hash__(self) -> int:
        """Of what equal frames share; the prior, a mapping, cannot be hashed."""
        return hash((self.source, self.index, self.time, self.faces, self.detector, self.model, self.error, self.note))

    def __repr__(self) -> str:
        """One line: source, size, number of faces and their expressions."""
        place = self.source or "picture"
        place += "" if self.index is None else f" frame {self.index}"
        if self.error is not None:
            return f"<Frame {place}: not read: {self.error}>"
        size = f"{self.width}x{self.height}"
        if not self.faces:
            return f"<Frame {place} {size}: no face>"
        told = ", ".join(f"{label} {probability:.1%}" for label, probability in (f.steadiest for f in self.faces[:5]))
        count = "1 face" if len(self.faces) == 1 else f"{len(self.faces)} faces"
        return f"<Frame {place} {size}: {count}: {told}{', ...' if len(self.faces) > 5 else ''}>"

    def __getstate__(self) -> dict[str, Any]:
        """Everything but ``origin``: pixels do not travel with results."""
        return {name: value for name, value in self.__dict__.items() if name != "origin"}

    def _repr_html_(self) -> str:
        """The annotated picture and a table, for notebooks."""
        from mien.outputs import display

        return display.to_html(self)

    def show(self, picture: NDArray[np.uint8] | None = None) -> None:
        """Open the annotated picture in the system's viewer.

        Args:
            picture: RGB uint8 (H, W, 3), needed for frames of videos and streams, which keep no pixels.

        Raises:
            MienError: there is no picture or no viewer.
        """
        from mien.outputs import display

        display.show(self, picture, "rgb")

    def save(self, path: str | os.PathLike[str], picture: NDArray[np.uint8] | None = None) -> Path:
        """Write the annotated picture; a file of that name is replaced, the picture itself never.

        Args:
            path: ends in .jpg, .png or .webp.
            picture: RGB uint8 (H, W, 3), needed for frames of videos and streams, which keep no pixels.

        Returns:
            The path.

        Raises:
            MienError: there is no picture, or no picture is written under such a name.
            WriteError: the file cannot be written.
        """
        from mien.outputs import display

        return display.save(self, path, picture, "rgb")

    def to_df(self) -> Any:
        """:meth:`to_rows` as a pandas DataFrame; whole numbers stay whole where cells are empty.

        Several frames: ``pandas.concat(frame.to_df() for frame in recognizer.stream("holidays/"))``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from mien.outputs import display

        return display.to_df(self)

    def to_dict(self) -> dict[str, object]:
        """A plain dict, ready for JSON."""
        return {
            "source": self.source,
            "frame": self.index,
            "time": None if self.time is None else round(self.time, 4),
            "width": self.width,
            "height": self.height,
            "detector": self.detector,
            "model": self.model,
            "prior": None if self.prior is None else _rounded(self.prior),
            "faces": [face.to_dict() for face in self.faces],
            "error": self.error,
            "note": self.note,
        }

    def to_rows(self) -> list[dict[str, object]]:
        """Flat dicts, ready for a table: one per face, or a single one where there is none.

        Keys are those of :data:`COLUMNS`, then each expression with its probability. In the row of a picture without
        faces all that belongs to a face is None; ``error`` says why it could not be read, ``note`` what is to be known
        of it where it could.
        """
        bare: dict[str, object] = {
            **dict.fromkeys(COLUMNS),
            "source": self.source,
            "frame": self.index,
            "time": None if self.time is None else round(self.time, 4),
            "error": self.error,
            "note": self.note,
        }
        return [bare | {"face": number} | face.to_row() for number, face in enumerate(self.faces, start=1)] or [bare]


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {label: round(value, 4) for label, value in scores.items()}
