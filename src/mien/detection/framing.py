"""Boxes into the crops that a model was trained on.

Owns framing (which square around a detector's box) and resizing. Refuses to know detectors and models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import PictureError
from mien.results import Box


@dataclass(frozen=True, slots=True)
class Framing:
    """Which square around a box is a face as the model knows it.

    The side of the square is ``scale * sqrt(width * height)`` of the box; its centre is the box's centre
    moved by ``dx`` widths to the right and ``dy`` heights down. The default is the box itself, if
    it is square.

    >>> Framing(scale=1.5, dy=0.1).square(Box(10, 10, 20, 20))
    Box(x=5.0, y=7.0, width=30.0, height=30.0)
    """

    scale: float = 1.0
    dx: float = 0.0
    dy: float = 0.0

    @classmethod
    def from_dict(cls, numbers: Mapping[str, float]) -> Framing:
        """The framing that a model's card states; the inverse of :meth:`to_dict`."""
        return cls(**{name: float(numbers[name]) for name in ("scale", "dx", "dy")})

    @classmethod
    def of(cls, stated: Mapping[str, Mapping[str, float]], detector: str) -> Framing | None:
        """The framing of a detector's boxes for a model whose card states these; None where it cannot be known.

        A model whose other framings are those of :data:`FER2013_FRAMING` was framed for faces as FER2013 has them, so
        this detector's comes from there too: a model file need not name the detectors that came after it. "none" says
        nothing, for the whole picture is the whole picture to every model.

        >>> older = {"haar": FER2013_FRAMING["haar"].to_dict()}
        >>> Framing.of(older, "yunet")
        Framing(scale=1.05, dx=0.0, dy=-0.008)
        >>> Framing.of({"haar": {"scale": 1.3, "dx": 0, "dy": 0}}, "yunet") is None
        True
        """
        if detector in stated:
            return cls.from_dict(stated[detector])
        known = [name for name in stated if name in FER2013_FRAMING and name != "none"]
        as_fer2013 = all(cls.from_dict(stated[name]) == FER2013_FRAMING[name] for name in known)
        return FER2013_FRAMING.get(detector) if known and as_fer2013 else None

    def to_dict(self) -> dict[str, float]:
        """``{"scale": ..., "dx": ..., "dy": ...}``, for a model's card."""
        return asdict(self)

    def square(self, box: Box) -> Box:
        """The square around ``box``; it may reach beyond the picture."""
        side = self.scale * math.sqrt(box.width * box.height)
        centre_x = box.x + box.width * (0.5 + self.dx)
        centre_y = box.y + box.height * (0.5 + self.dy)
        return Box(centre_x - side / 2, centre_y - side / 2, side, side)


#: What turns a detector's box into the frame that FER2013's faces came in: medians over Training faces set into
#: a larger scene, measured by ``benchmarks/framing.py measure`` (seed 0). YuNet found 97.3 % of 5,000: scale
#: 1.052 (quartiles 0.961-1.161), dx 0.000 (-0.034-0.033), dy -0.008 (-0.037-0.020). Viola-Jones found 78.5 % of
#: 1,000: scale 1.005 (0.950-1.085), dx -0.002, dy 0.003: its box is the frame, as it must be if FER2013's faces
#: were cut out by this detector. Of the measures of YuNet's box, the root of width times height spreads least
#: against the frame (standard deviation of the logarithm 0.167; width 0.171, height 0.175). MediaPipe, whose boxes are
#: squares from the brows to the chin, found 95.2 % of 1,000: scale 1.159 (1.054-1.263), dx -0.003 (-0.039-0.033),
#: dy -0.095 (-0.143 to -0.050). MTCNN found 90.4 % of 1,000: scale 1.074 (0.978-1.176), dx 0.006 (-0.038-0.054),
#: dy -0.008 (-0.036-0.022).
FER2013_FRAMING: Mapping[str, Framing] = MappingProxyType(
    {
        "yunet": Framing(scale=1.05, dy=-0.008),
        "haar": Framing(scale=1.005, dy=0.003),
        "mediapipe": Framing(scale=1.16, dy=-0.095),
        "mtcnn": Framing(scale=1.075, dx=0.006, dy=-0.008),
        "none": Framing(),
    }
)

#: What the numbers mean, in words for a caller without mien; every model file's card carries it.
FRAMING_RULE = (
    "side = scale * sqrt(width * height) of the detector's box; centre = the box's centre moved by dx * width"
    " to the right and dy * height down; edges rounded to whole pixels; outside the picture its outermost"
    " pixels are repeated; resized by area averages to shrink, bilinearly to enlarge"
)


def crop(
    picture: NDArray[np.uint8], box: Box, framing: Framing, width: int, height: int, *, roll: float = 0.0
) -> NDArray[np.uint8]:
    """Cut the framed square out of a picture and resize it: RGB uint8 (height, width, 3).

    Edges are rounded to whole pixels. Where the square reaches beyond the picture, the outermost pixels are
    repeated: an invented grey bar would be an edge that no training face has.

    Args:
        picture: RGB uint8 (H, W, 3).
        box: the face as its detector saw it.
        framing: which square around the box.
        width, height: pixels of the crop.
        roll: degrees by which the line through the eyes falls to the right; the face is turned upright by them, about
            the centre of the square.

    Raises:
        PictureError: the square is smaller than a pixel or lies wholly outside the picture.
    """
    square = framing.square(box)
    if roll:
        return resize(_turned(picture, square, roll), width, height)
    left, top = round(square.x), round(square.y)
    side = round(square.width)
    right, bottom = left + side, top + side
    rows, columns = picture.shape[:2]
    inside = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not inside.size:
        raise PictureError(f"the face {box.to_list()} lies outside the picture of {columns}x{rows} pixels")
    beyond = (max(-top, 0), max(bottom - rows, 0), max(-left, 0), max(right - columns, 0))
    if any(beyond):
        inside = cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE)
    return resize(np.ascontiguousarray(inside, np.uint8), width, height)


def _turned(picture: NDArray[np.uint8], square: Box, roll: float) -> NDArray[np.uint8]:
    """The square turned by ``roll`` degrees, at the picture's own resolution."""
    side = round(square.width)
    rows, columns = picture.shape[:2]
    centre = (square.x + square.width / 2, square.y + square.height / 2)
    if side < 1 or not (0 <= centre[0] < columns and 0 <= centre[1] < rows):
        raise PictureError(f"the face {square.to_list()} lies outside the picture of {columns}x{rows} pixels")
    matrix = cv2.getRotationMatrix2D(centre, roll, 1.0)
    matrix[:, 2] += side / 2 - np.array(centre)
    turned = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def resize(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize a picture (H, W) or (H, W, 3): area averages to shrink, bilinear to enlarge."""
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = picture.shape[0] >= height and picture.shape[1] >= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)
