"""What every face detector is, what it gives, and the size of picture it works at.

Owns the sizes that detectors share and the order of what they find. Refuses to find anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.results import Box

#: Pixels that the longest side of a picture is searched at, where it is searched once. Found by trying, as the least
#: below: on a photo of 3,790 px YuNet saw nothing, and of 300 faces that filled a picture of 48 px it saw 229, enlarged
#: to 192 px all 300.
LONGEST = 800
SHORTEST = 192


@dataclass(frozen=True, slots=True)
class Detection:
    """A face in a picture: its box, the detector's confidence (0-1 or None), and five points or none.

    The points are (x, y) pixels: the eyes, the tip of the nose and the corners of the mouth, in each pair the
    one on the picture's left first. ``turned``: the face lies on its side or upside down, and first is the one that is
    on the left once it is upright.
    """

    box: Box
    confidence: float | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    turned: bool = False


class Detector(Protocol):
    """What finds faces. ``name`` says which, ``notice`` what its user should know (None: nothing)."""

    name: str
    notice: str | None

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels.

        ``longest`` is the longest side in pixels that a larger picture is searched at, once: fewer are quicker and miss
        small faces. Without it the detector chooses the sizes.
        """
        ...


def fitted(picture: NDArray[np.uint8], most: int) -> tuple[NDArray[np.uint8], float, float]:
    """The picture at the size detectors work at, and how much wider and higher that is than the picture."""
    longest = max(picture.shape[:2])
    return resized(picture, min(max(longest, SHORTEST), most) / longest)


def resized(picture: NDArray[np.uint8], scale: float, how: int | None = None) -> tuple[NDArray[np.uint8], float, float]:
    """The picture so many times as large, to whole pixels, and how much wider and higher that is than the picture.

    ``how`` is OpenCV's way of interpolation; None: by area where the picture becomes smaller, else linear.
    """
    if scale == 1:
        return np.ascontiguousarray(picture), 1.0, 1.0
    height, width = picture.shape[:2]
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if how is None:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
    return pixels, size[0] / width, size[1] / height


def ordered(found: list[Detection], picture: NDArray[np.uint8]) -> list[Detection]:
    """From left to right; detections without area, or whose centre is not in the picture, are none."""
    height, width = picture.shape[:2]
    kept = [
        one
        for one in found
        if one.box.width >= 1
        and one.box.height >= 1
        and 0 <= one.box.x + one.box.width / 2 < width
        and 0 <= one.box.y + one.box.height / 2 < height
    ]
    return sorted(kept, key=lambda one: (one.box.x, one.box.y))
