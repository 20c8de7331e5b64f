"""The detector ``mtcnn``: three small networks, one after the other, on a pyramid of sizes.

Owns what stands between the package ``facenet_pytorch``, which carries networks and weights (MIT), and mien's
detectors. Refuses to import torch: the package does, when the detector is built.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks".
"""

from __future__ import annotations

import importlib

import numpy as np
from numpy.typing import NDArray

from mien.detection.base import LONGEST, Detection, fitted, ordered
from mien.errors import MissingExtraError
from mien.results import Box

#: What installs it. The package asks for a torch and a NumPy of early 2024, but runs with those of today.
INSTALL = "pip install torch torchvision requests && pip install --no-deps facenet-pytorch"

# Pixels of the least face that is searched for.
_SMALLEST = 20


class Mtcnn:
    """MTCNN on pictures scaled to between 192 and 800 px on the longest side. Safe to share among threads."""

    name = "mtcnn"
    notice: str | None = None

    def __init__(self) -> None:
        """Load the networks that come in the package.

        Raises:
            MissingExtraError: ``facenet_pytorch``, or what it needs, is not installed.
        """
        try:
            package = importlib.import_module("facenet_pytorch")
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"the detector mtcnn needs {error.name}, which is not installed: {INSTALL}"
            ) from error
        self._networks = package.MTCNN(min_face_size=_SMALLEST, keep_all=True)

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels."""
        scaled, scale_x, scale_y = fitted(picture, longest or LONGEST)
        if min(scaled.shape[:2]) < _SMALLEST:  # no face fits, and the package fails
            return []
        boxes, scores, points = self._networks.detect(scaled, landmarks=True)
        found: list[Detection] = []
        for row, score, places in zip(
            *((() if part is None else part) for part in (boxes, scores, points)), strict=False
        ):
            left, top, right, bottom = np.asarray(row, np.float64) / (scale_x, scale_y, scale_x, scale_y)
            box = Box(float(left), float(top), float(right - left), float(bottom - top))
            marks = tuple((x, y) for x, y in (np.asarray(places, np.float64) / (scale_x, scale_y)).tolist())
            found.append(Detection(box, float(score), marks))
        return ordered(found, picture)
