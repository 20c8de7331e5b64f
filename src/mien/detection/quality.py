"""How well a face can be read: its size, its sharpness, and which way the head is turned.

Owns the measures and the one number made of them. Refuses to drop a face for it: that is the caller's choice.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.base import Detection
from mien.results import Quality

# A face that fills fewer pixels of its picture than a crop has was enlarged, and shows less than a crop could.
_FULL_SIZE = 48.0
# Of FER2013's Training faces 95 % have more of the edge strength below (benchmarks/sharpness.py); blurred by
# two pixels they fall to a median of 0.11.
_FULL_SHARPNESS = 0.58


def measure(found: Detection, crop: NDArray[np.uint8]) -> Quality:
    """The quality of one face.

    Args:
        found: its box and landmarks (:class:`~mien.detection.base.Detection`).
        crop: RGB uint8 (H, W, 3), the crop that the model sees.

    Returns:
        Size, sharpness, yaw, roll, and a score: the product of how large (48 px and more count as 1), how sharp, and
        how frontal (1 at 0, 0 at a yaw of 1) the face is.
    """
    size = math.sqrt(found.box.width * found.box.height)
    sharpness = min(edges(crop) / _FULL_SHARPNESS, 1.0)
    yaw = roll = None
    frontal = 1.0
    if len(found.landmarks) == 5:
        yaw, roll = pose(found.landmarks)
        frontal = 1 - abs(yaw)
    return Quality(size, sharpness, yaw, roll, min(size / _FULL_SIZE, 1.0) * sharpness * frontal)


def roll_of(landmarks: tuple[tuple[float, float], ...]) -> float:
    """Degrees by which the line from the left to the right eye of the picture falls; 0 without landmarks."""
    if len(landmarks) != 5:
        return 0.0
    (left_x, left_y), (right_x, right_y) = landmarks[:2]
    return math.degrees(math.atan2(right_y - left_y, right_x - left_x))


def edges(crop: NDArray[np.uint8]) -> float:
    """Root mean square of the Laplacian against the standard deviation of the luma: contrast does not count."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    spread = float(grey.std())
    return float(cv2.Laplacian(grey, cv2.CV_32F).std()) / spread if spread > 1 else 0.0


def pose(landmarks: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Yaw and roll: where the nose stands along the line through the eyes, and how that line lies."""
    left, right, nose = (np.array(point) for point in landmarks[:3])
    line = right - left
    length = float(line @ line)
    if not length:
        return 0.0, 0.0
    along = float((nose - left) @ line) / length
    return min(max(2 * along - 1, -1.0), 1.0), roll_of(landmarks)
