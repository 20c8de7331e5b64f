"""Whether a frame of a moving picture goes on where the last one ended, or shows another scene.

Owns the comparison of two small copies of whole frames. Refuses to look for faces: what a cut means for them is
:mod:`mien.tracking.follower`'s and :mod:`mien.tracking.tracker`'s. The limits were chosen with
``benchmarks/scene_cuts.py``; a dissolve is no cut.
"""

from __future__ import annotations

from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

# Size of the copies, and about how many rows of the frame they are averaged from.
_WIDTH, _HEIGHT, _ROWS = 32, 18, 90
# The middle of the last copy, looked for everywhere in the next: where it is found the camera was moved.
_MIDDLE = (slice(4, 14), slice(8, 24))
# Standard deviation of the pixels below which a frame shows nothing: black, white, or one gray.
_EMPTY = 4.0
# Correlation below which frames differ, and below which they have nothing in common.
_ALIKE, _UNLIKE = 0.9, 0.35
# After a cut: the middle is nowhere found so well, and fewer pixels have the same color.
_FOUND, _SAME_COLORS = 0.6, 0.9
# Seconds in which the scene before a cut may return; then it was no cut but a flash or a hand before the camera.
_RETURN = 0.35


class Change(Enum):
    """What a frame is to the one before: the same, somewhat different, another scene, or the scene before again."""

    NONE = 0
    SOME = 1
    CUT = 2
    BACK = 3


class SceneCuts:
    """Tells cuts from motion, light and a camera that is moved, frame by frame."""

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None
        self._before: NDArray[np.uint8] | None = None  # the last one before a cut that may be none
        self._cut_at = 0.0

    def update(self, picture: NDArray[np.uint8], at: float) -> Change:
        """What the next frame is to the last one.

        Args:
            picture: RGB uint8 (H, W, 3).
            at: its time in seconds; not before that of the last call.
        """
        small = reduced(picture)
        if float(small.std()) < _EMPTY:
            return Change.NONE
        last, self._last = self._last, small
        if last is None:
            return Change.NONE
        if self._before is not None and at - self._cut_at > _RETURN:
            self._before = None
        if self._before is not None and correlation(self._before, small) >= _ALIKE:
            self._before = None
            return Change.BACK
        alike = correlation(last, small)
        if alike >= _ALIKE:
            return Change.NONE
        if alike < _UNLIKE and shifted(last, small) < _FOUND and colors_shared(last, small) < _SAME_COLORS:
            self._before, self._cut_at = last, at
            return Change.CUT
        return Change.SOME


def reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of 32x18 pixels: every N-th pixel, then averages."""
    step = max(min(picture.shape[:2]) // _ROWS, 1)
    part = np.ascontiguousarray(picture[::step, ::step])
    return np.asarray(cv2.resize(part, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Pearson's correlation of all values, which a change of light hardly touches."""
    first, second = (copy.astype(np.float32) - float(copy.mean()) for copy in (one, other))
    return float((first * second).sum() / max(float(np.linalg.norm(first) * np.linalg.norm(second)), 1e-6))


def shifted(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The best correlation of the middle of one copy with any part of the other, -1 to 1."""
    return float(cv2.matchTemplate(other, np.ascontiguousarray(one[_MIDDLE]), cv2.TM_CCOEFF_NORMED).max())


def colors_shared(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Intersection of the histograms of 4x4x4 colors, 0-1."""
    counts = [np.bincount((copy >> 6).reshape(-1, 3) @ (16, 4, 1), minlength=64) for copy in (one, other)]
    return float(np.minimum(*counts).sum()) / (_WIDTH * _HEIGHT)
