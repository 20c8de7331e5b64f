"""The detector ``yunet``: a small convolutional network, run by OpenCV's ``FaceDetectorYN``.

Owns its file, MIT, which comes from OpenCV's model zoo at first use, and how its numbers are read.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector".
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.base import LONGEST, Detection, fitted, ordered
from mien.download import Asset
from mien.errors import DetectorError
from mien.results import Box

YUNET = Asset(
    name="face_detection_yunet_2026may.onnx",
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/"
    "face_detection_yunet_2026may.onnx",
    sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
    size=229_738,
)


class YuNet:
    """YuNet on pictures scaled to between 192 and 800 px on the longest side. Safe to share among threads."""

    name = "yunet"
    notice: str | None = None

    def __init__(self, file: Path, *, threshold: float = 0.7) -> None:
        """Load the network from ``file``; finds below ``threshold`` (0-1) are dropped.

        Raises:
            DetectorError: OpenCV cannot load the file.
        """
        self._lock = threading.Lock()  # one network, whose input size each picture sets anew
        try:
            self._network = cv2.FaceDetectorYN.create(str(file), "", (320, 320), threshold, 0.3, 5000)
        except (cv2.error, AttributeError) as error:
            raise DetectorError(f"OpenCV {cv2.__version__} cannot load {file}: {error}") from error

    def detect(self, picture: NDArray[np.uint8], *, longest: int = LONGEST) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels."""
        scaled, scale_x, scale_y = fitted(picture, longest)
        with self._lock:
            self._network.setInputSize((scaled.shape[1], scaled.shape[0]))
            rows = self._network.detect(cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR))[1]
        found: list[Detection] = []
        for row in np.empty((0, 15)) if rows is None else np.asarray(rows, np.float64):
            places = row[:14].reshape(7, 2) / (scale_x, scale_y)
            box = Box(*places[:2].ravel().tolist())
            points = tuple((x, y) for x, y in places[2:].tolist())
            found.append(Detection(box, min(max(float(row[14]), 0.0), 1.0), points))
        return ordered(found, picture)
