"""How fast this machine reads faces: milliseconds of each step, and faces a second.

Owns what is timed: medians over calls, after warming up, on a made picture with one face in 1280x720 or on the user's
own. Refuses to compare machines: other programs run beside it.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.detection.framing import FER2013_FRAMING, crop
from mien.models import Model
from mien.recognizer import Recognizer
from mien.results import Box
from mien.sources.images import decode
from mien.tracking.follower import Follower


@dataclass(frozen=True)
class Speed:
    """Medians; times in milliseconds.

    Attributes:
        width, height, faces: of the picture.
        decode: from JPEG to pixels.
        detect: finding its faces.
        follow: finding them in the next frame of a video, most frames searched around known faces only.
        crop: cutting out one face.
        score: one face through the model.
        score_batch: one of 64 faces through the model at once.
        faces_per_second: of crops in batches of 64.
        frames_per_second: of a video with these faces, decoding left out.
    """

    width: int
    height: int
    faces: int
    decode: float
    detect: float
    follow: float
    crop: float
    score: float
    score_batch: float
    faces_per_second: float
    frames_per_second: float

    def to_dict(self) -> dict[str, float]:
        """A plain dict, ready for JSON, rounded to what can be measured."""
        return {name: float(f"{value:.4g}") for name, value in asdict(self).items()}


def measure(recognizer: Recognizer, picture: NDArray[np.uint8] | None = None, *, rounds: int = 30) -> Speed:
    """Time each step.

    Args:
        recognizer: what to time; its threads and provider count.
        picture: RGB uint8 (H, W, 3) to time it on; None: a made one.
        rounds: calls of each step.
    """
    card = recognizer.model.card
    pixels = scene(card.golden_crop()) if picture is None else picture
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=90)
    data = jpeg.getvalue()
    found = recognizer.detector.detect(pixels)
    box = found[0].box if found else Box(0, 0, pixels.shape[1], pixels.shape[0])
    framing = FER2013_FRAMING["none"]
    face = crop(pixels, box, framing, card.width, card.height)
    batch = np.repeat(face[None], 64, axis=0)
    follower, times = Follower(recognizer.detector), iter(range(10**9))
    decoded = _median(lambda: decode(data), rounds)
    detected = _median(lambda: recognizer.detector.detect(pixels), rounds)
    followed = _mean(lambda: follower.update(pixels, next(times) / 30), rounds)
    cut = _median(lambda: crop(pixels, box, framing, card.width, card.height), rounds)
    scored = _median(lambda: recognizer.model.score(face[None]), rounds)
    scored_batch = _median(lambda: recognizer.model.score(batch), max(rounds // 3, 3)) / len(batch)
    number = max(len(found), 1)
    return Speed(
        width=pixels.shape[1],
        height=pixels.shape[0],
        faces=len(found),
        decode=decoded,
        detect=detected,
        follow=followed,
        crop=cut,
        score=scored,
        score_batch=scored_batch,
        faces_per_second=1000 / scored_batch,
        frames_per_second=1000 / (followed + number * (cut + scored_batch)),
    )


def scene(face: NDArray[np.uint8], width: int = 1280, height: int = 720) -> NDArray[np.uint8]:
    """A picture with one face in it: RGB uint8 (height, width, 3), around the face its own edge, blurred."""
    side = height // 3
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    across, down = width - side, height - side
    edges = (down // 2, down - down // 2, across // 2, across - across // 2)
    around = cv2.GaussianBlur(cv2.copyMakeBorder(large, *edges, cv2.BORDER_REPLICATE), (0, 0), side / 12)
    around[down // 2 : down // 2 + side, across // 2 : across // 2 + side] = large
    return np.asarray(around, np.uint8)


def _times(step: Callable[[], object], rounds: int) -> list[float]:
    for _ in range(3):
        step()
    taken: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        step()
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def _median(step: Callable[[], object], rounds: int) -> float:
    return statistics.median(_times(step, rounds))


def _mean(step: Callable[[], object], rounds: int) -> float:
    """Of calls that are not alike, as some search the whole frame."""
    return statistics.fmean(_times(step, rounds))


@dataclass(frozen=True)
class Timing:
    """How long one face takes on one thread: the median of single calls, in milliseconds, and on what."""

    milliseconds: float
    calls: int
    processor: str


def clock(model: Model, processor: str, calls: int = 200) -> Timing:
    """Time single faces, one call each, after a warm-up; load the model with ``threads=1`` for it."""
    crop = model.card.golden_crop()[None]
    for _ in range(20):
        model.score(crop)
    taken: list[float] = []
    for _ in range(calls):
        start = time.perf_counter()
        model.score(crop)
        taken.append(1000 * (time.perf_counter() - start))
    return Timing(statistics.median(taken), calls, processor)
