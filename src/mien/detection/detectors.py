"""The detectors by name.

``yunet``
    A small network; its file is downloaded at first use.
``haar``
    Viola-Jones: inside the OpenCV 4 wheel, so never a download; misses more.
``mediapipe``
    BlazeFace and a face mesh: ``landmarks``. Needs the extra ``landmarks``.
``mtcnn``
    A cascade of three networks. Needs torch and ``facenet-pytorch``.
``none``
    The whole picture is one face.

Owns the names and what "auto" means. Refuses to crop and to know models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.detection.base import Detection, Detector
from mien.detection.haar import Haar
from mien.detection.yunet import YUNET, YuNet
from mien.download import fetch
from mien.errors import DetectorError, DownloadError, shown
from mien.results import Box

#: The names that :func:`build` takes.
DETECTORS = ("auto", "yunet", "haar", "mediapipe", "mtcnn", "none")

# Seconds "auto" waits for the server before it takes the detector that needs none.
_PATIENCE = 5.0


def build(name: str = "auto", *, threads: int | None = None) -> Detector:
    """The detector of that name; "auto" is YuNet, or Viola-Jones where YuNet's file cannot be had.

    Args:
        name: one of :data:`DETECTORS`.
        threads: processor threads that YuNet takes for one picture; None: all cores.

    Raises:
        DetectorError: there is no such detector, or what runs it cannot load it.
        DownloadError: "yunet" or "mediapipe" was asked for by name and its file cannot be had.
        MissingExtraError: "mediapipe" or "mtcnn" was asked for and what it needs is not installed.
    """
    if name == "none":
        return WholePicture()
    if name == "haar":
        return Haar()
    if name == "yunet":
        return YuNet(fetch(YUNET), threads=threads)
    if name == "mediapipe":
        from mien.detection.mediapipe import MediaPipe

        return MediaPipe()
    if name == "mtcnn":
        from mien.detection.mtcnn import Mtcnn

        return Mtcnn()
    if name != "auto":
        raise DetectorError(f"no face detector is called '{shown(name)}', only {', '.join(DETECTORS)}")
    try:
        return YuNet(fetch(YUNET, timeout=_PATIENCE), threads=threads)
    except DownloadError as error:
        reason = str(error)
    try:
        return Haar(
            notice="faces are looked for with the built-in Viola-Jones detector, which misses more of them, not with"
            f" YuNet: {reason}; 'mien models fetch yunet' fetches it ahead, the detector 'haar' is this one by name"
        )
    except DetectorError as error:
        raise DetectorError(f"{error}; and YuNet is not there either: {reason}") from error


class WholePicture:
    """The whole picture is one face: for pictures that are face crops already."""

    name = "none"
    notice: str | None = None

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """One box, the picture's own."""
        return [Detection(Box(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])))]
