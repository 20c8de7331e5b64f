"""The models and detectors of a worker, loaded before its port opens, and the one thread that uses them.

One thread a process, and one thread of ONNX Runtime in it: two in one process wait for each other, and a second
process is what a second core is for. Pictures, frames of videos and of streams take turns in it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Annotated, Literal, TypeVar

import cv2
import numpy as np
from fastapi import Query
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from mien.benchmark import scene
from mien.detection.base import Detector
from mien.detection.detectors import build
from mien.errors import DetectorError, ModelError, shown
from mien.models import Model, load
from mien.outputs.draw import annotate
from mien.recognizer import Recognizer
from mien.results import Frame
from mien.serve import bodies
from mien.serve.metrics import Metrics
from mien.serve.problems import Problem
from mien.serve.settings import Settings

T = TypeVar("T")


class Options(BaseModel):
    """The query parameters of everything that recognizes."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="One of /v1/models; left out: the default.", max_length=200)
    detector: str | None = Field(None, description="One of /v1/models; none: the picture is a face.", max_length=40)
    align: bool = Field(False, description="Turn tilted faces upright first.")
    min_size: float = Field(0.0, ge=0, le=1e6, description="Leave out faces of fewer pixels a side.")
    prior: Literal["natural", "balanced"] | None = Field(
        None, description="Carry probabilities from the model's prior to this one."
    )
    search: Literal["auto", "full", "quick"] = Field(
        "auto", description="full: faces of any size; quick: one look; auto: full for pictures, quick for videos."
    )
    error_rate: float | None = Field(
        None, ge=0, le=1, description="Answer unsure rather than be wrong more often; see the model's card."
    )


OptionsQuery = Annotated[Options, Query()]


class Engine:
    """What recognizes in one worker.

    Attributes:
        models: the loaded models by name; the first is the default.
        detectors: the loaded detectors by the names they may be asked for by; the first is the default.
        notice: what users should know, as that the better detector could not be had.

    Raises:
        MienError: a model or detector cannot be had.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        cv2.setNumThreads(1)
        loaded: list[Model] = [load(name, threads=1) for name in settings.models]
        self.models = {model.card.name: model for model in loaded}
        if len(self.models) < len(loaded):
            raise ModelError(f"two of the models {', '.join(settings.models)} have the same name in their cards")
        first = Recognizer(loaded[0], build(settings.detector, threads=1), threads=1)
        self.notice = first.notice
        self.detectors: dict[str, Detector] = {settings.detector: first.detector, first.detector.name: first.detector}
        for name in ("haar", "none"):
            if name not in self.detectors:
                with suppress(DetectorError):  # this OpenCV has no Viola-Jones
                    self.detectors[name] = Recognizer(loaded[0], name, threads=1).detector
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recognition")

    def warm_up(self) -> None:
        """Read a made picture with each model, so that the first request is as quick as the others."""
        for model in self.models.values():
            data = io.BytesIO()
            Image.fromarray(scene(model.card.golden_crop(), 640, 480)).save(data, "JPEG")
            for _ in range(2):
                Recognizer(model, self._default_detector).predict(data.getvalue())

    def close(self) -> None:
        """End the thread, once what runs in it is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def _default_detector(self) -> Detector:
        return next(iter(self.detectors.values()))

    def recognizer(self, options: Options) -> Recognizer:
        """A recognizer as asked for; cheap, for all is loaded.

        Raises:
            Problem: there is no such model or detector, or the two cannot do what is asked.
        """
        name = options.model or next(iter(self.models))
        if name not in self.models:
            raise Problem("wrong-parameters", f"no model '{shown(name)}' is served, only {', '.join(self.models)}")
        detector = options.detector or next(iter(self.detectors))
        if detector not in self.detectors:
            raise Problem(
                "wrong-parameters", f"no detector '{shown(detector)}' is served, only {', '.join(self.detectors)}"
            )
        try:
            return Recognizer(
                self.models[name],
                self.detectors[detector],
                threads=1,
                align=options.align,
                min_size=options.min_size,
                error_rate=options.error_rate,
                prior=options.prior,
                search=options.search,
            )
        except ModelError as error:
            raise Problem("wrong-parameters", str(error)) from error

    def run(self, work: Callable[[], T]) -> Awaitable[T]:
        """Do something in the worker's thread; what was cancelled before its turn is not done."""
        asked = perf_counter()

        def timed() -> T:
            self.metrics.seconds.labels("wait").observe(perf_counter() - asked)
            return work()

        return asyncio.get_running_loop().run_in_executor(self._thread, timed)

    def later(self, *calls: Callable[[], object]) -> None:
        """Do this in the worker's thread, after all that it was given before, whoever waits for it."""

        def all_of_them() -> None:
            for call in calls:
                call()

        self._thread.submit(all_of_them)

    def predict(self, recognizer: Recognizer, data: bytes) -> tuple[NDArray[np.uint8], Frame]:
        """Pixels and faces of a picture; call it in the worker's thread.

        Raises:
            Problem: the picture has too many pixels.
            PictureError: it cannot be read.
        """
        with self.metrics.stage("decode"):
            pixels, note = bodies.decode(data, self.settings)
        with self.metrics.stage("recognize"):
            frame = replace(recognizer.predict(pixels, color="rgb"), note=note)
        self.metrics.faces.inc(len(frame.faces))
        return pixels, frame


def annotated_png(pixels: NDArray[np.uint8], frame: Frame) -> bytes:
    """The picture with its faces drawn on it, as PNG."""
    out = io.BytesIO()
    Image.fromarray(annotate(pixels, frame)).save(out, "PNG", compress_level=3)
    return out.getvalue()
