"""The detector ``haar``: the frontal-face cascade that comes inside the OpenCV 4 wheel.

Offline, slower than YuNet, upright and frontal faces only, false detections on textures.

Viola and Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.base import LONGEST, Detection, fitted, ordered
from mien.errors import DetectorError
from mien.results import Box


class Haar:
    """OpenCV's frontal-face cascade with the settings its users know. Safe to share among threads."""

    name = "haar"

    def __init__(self, *, notice: str | None = None) -> None:
        """Load the cascade of the installed OpenCV.

        Raises:
            DetectorError: this OpenCV has no cascades (5.0 and later).
        """
        self.notice = notice
        self._lock = threading.Lock()
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        if not file.is_file() or not hasattr(cv2, "CascadeClassifier"):
            raise DetectorError(
                f"OpenCV {cv2.__version__} has no Viola-Jones cascade:"
                " pip install 'opencv-python-headless<5', or use the detector yunet"
            )
        self._cascade = cv2.CascadeClassifier(str(file))

    def __reduce__(self) -> tuple[Callable[[], Haar], tuple[()]]:
        """Made anew where it arrives."""
        return partial(Haar, notice=self.notice), ()

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels."""
        scaled, scale_x, scale_y = fitted(picture, longest or LONGEST)
        grey = cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
        with self._lock:
            rows = self._cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
        boxes = [Box(x / scale_x, y / scale_y, w / scale_x, h / scale_y) for x, y, w, h in np.asarray(rows).tolist()]
        return ordered([Detection(box) for box in boxes], picture)
