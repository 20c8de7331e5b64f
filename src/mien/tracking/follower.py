"""Where to look for faces in a moving picture: everywhere now and then, around the known ones in between.

Searching the surroundings of two faces costs a fraction of searching a 720p frame. Refuses to know files and cameras.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.detection.base import LONGEST, Detection, Detector
from mien.results import Box
from mien.tracking.cuts import Change, SceneCuts
from mien.tracking.tracker import Tracker

# Pixels that a region is scaled to at most: a face then fills about 100, of which detectors miss none.
_REGION = 224
# Seconds between frames after which a face may be anywhere, and the whole frame is searched each time.
_CLOSE = 0.25
# Detections that overlap more are the same face, seen in two regions.
_SAME = 0.4


class Follower:
    """Detects and tracks the faces of a moving picture; after a cut all are new.

    Args:
        detector: what finds faces.
        interval: the whole frame is searched every N-th call, and at once when a face was lost; in between only
            the surroundings of the faces that are known, or nothing while there is none. 1 searches whole frames only.
        memory: of the tracker, in seconds.
        longest: of the searches of whole frames, see :meth:`mien.detection.base.Detector.detect`: one look at a frame
            keeps the frame rate up, None finds more.
    """

    def __init__(
        self, detector: Detector, *, interval: int = 5, memory: float = 1.5, longest: int | None = LONGEST
    ) -> None:
        self._detector = detector
        self._tracker = Tracker(memory=memory)
        self._cuts = SceneCuts()
        self._interval, self._memory, self._longest = interval, memory, longest
        self._since = interval  # calls since the whole frame was searched
        self._last = 0.0

    def update(self, picture: NDArray[np.uint8], at: float) -> list[tuple[Detection, int]]:
        """The faces of the next frame with their track ids, from left to right.

        Args:
            picture: RGB uint8 (H, W, 3).
            at: seconds since the clip began; not before that of the last call.
        """
        change = self._cuts.update(picture, at)
        if change is Change.CUT:
            self._tracker.forget()
        elif change is Change.BACK:
            self._tracker.recall()
        if at - self._last > _CLOSE or change in (Change.CUT, Change.BACK):
            self._since = self._interval
        strict = change is Change.SOME and at - self._last <= _CLOSE
        regions = self._regions(picture, at)
        self._last = at
        if self._since < self._interval and not self._tracker.expected(at, within=self._memory):
            self._since += 1
            return []
        self._since += 1
        found = _without_doubles([one for region in regions for one in self._look(picture, region)])
        if not regions or len(found) < len(regions):
            found = self._detector.detect(picture, longest=self._longest)
            self._since = 1
        return list(zip(found, self._tracker.update(picture, found, at, strict=strict), strict=True))

    def _regions(self, picture: NDArray[np.uint8], at: float) -> list[tuple[int, int, int, int]]:
        """Where to look (left, top, right, bottom); none: everywhere."""
        if self._since >= self._interval or self._detector.name == "none":
            return []
        expected = self._tracker.expected(at, within=at - self._last + 1e-6)
        height, width = picture.shape[:2]
        regions = [_around(box, width, height) for box in expected]
        area = sum(min((right - left) * (bottom - top), _REGION**2) for left, top, right, bottom in regions)
        return regions if area * 2 < min(width * height, 800 * 800) else []

    def _look(self, picture: NDArray[np.uint8], region: tuple[int, int, int, int]) -> list[Detection]:
        left, top, right, bottom = region
        if right - left < 8 or bottom - top < 8:
            return []
        found = self._detector.detect(np.ascontiguousarray(picture[top:bottom, left:right]), longest=_REGION)
        return [
            Detection(
                Box(one.box.x + left, one.box.y + top, one.box.width, one.box.height),
                one.confidence,
                tuple((x + left, y + top) for x, y in one.landmarks),
            )
            for one in found
        ]


def _without_doubles(found: list[Detection]) -> list[Detection]:
    """The surest of the detections that overlap, from left to right."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -(one.confidence or 0.0)):
        if all(one.box.overlap(other.box) < _SAME for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: (one.box.x, one.box.y))


def _around(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The square of twice the size around a box, as far as it lies in the picture."""
    half_x, half_y = box.width, box.height
    x, y = box.x + box.width / 2, box.y + box.height / 2
    left, right = (round(min(max(value, 0), width)) for value in (x - half_x, x + half_x))
    top, bottom = (round(min(max(value, 0), height)) for value in (y - half_y, y + half_y))
    return left, top, right, bottom
