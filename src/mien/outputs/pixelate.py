"""Faces made unreadable in a copy of a picture.

Only faces that were detected are hidden, and blocks are no anonymization in the legal sense: body, clothes and place
still tell who somebody is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.results import Frame

_BLOCKS = 6  # across a face
_MARGIN = 0.15  # of the box on each side: detectors draw boxes inside the hair and the chin


def hide_faces(picture: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """A copy of a picture in which each detected face is a few flat blocks.

    Args:
        picture: RGB uint8 (H, W, 3), the picture that the frame was made from; it is not changed.
        frame: what recognition returned for it.

    Returns:
        RGB uint8 (H, W, 3).
    """
    hidden = picture.copy()
    height, width = picture.shape[:2]
    for face in frame.faces:
        box = face.box
        left = max(math.floor(box.x - _MARGIN * box.width), 0)
        top = max(math.floor(box.y - _MARGIN * box.height), 0)
        right = min(math.ceil(box.x + (1 + _MARGIN) * box.width), width)
        bottom = min(math.ceil(box.y + (1 + _MARGIN) * box.height), height)
        if left >= right or top >= bottom:
            continue
        part = picture[top:bottom, left:right]
        few = cv2.resize(part, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
        hidden[top:bottom, left:right] = cv2.resize(few, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    return hidden
