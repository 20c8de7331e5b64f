"""Faces found in a picture: YuNet, Viola-Jones, two that need more installed, or the whole picture as one face.

Owns the detectors, their settings and what they need on disk. Refuses to crop and to know models.

``yunet``
    A small convolutional detector (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"),
    run by OpenCV's ``FaceDetectorYN``; its file, MIT, comes from OpenCV's model zoo at first use.
``haar``
    Viola and Jones 2001, by the frontal-face cascade inside the OpenCV 4 wheel: offline, slower, upright and
    frontal faces only, false finds on textures.
``mediapipe``
    BlazeFace and a face mesh, which also stands for itself: ``landmarks``. Needs the extra ``landmarks``.
``mtcnn``
    A cascade of three networks: ``mtcnn``. Needs torch and ``facenet-pytorch``.
``none``
    The whole picture is one face.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.download import Asset, fetch
from mien.errors import DetectorError, DownloadError
from mien.results import Box

YUNET = Asset(
    name="face_detection_yunet_2026may.onnx",
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/"
    "face_detection_yunet_2026may.onnx",
    sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
    size=229_738,
)
#: The names that :func:`build` takes.
DETECTORS = ("auto", "yunet", "haar", "mediapipe", "mtcnn", "none")

#: Pixels that the longest side of a picture is searched at. Found by trying, as the least below: on a photo of
#: 3,790 px YuNet saw nothing, and of 300 faces that filled a picture of 48 px it saw 229, enlarged to 192 px all 300.
LONGEST = 800
_SHORTEST = 192
# Seconds "auto" waits for the server before it takes the detector that needs none.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Detection:
    """A face in a picture: its box, the detector's confidence (0-1 or None), and five points or none.

    The points are (x, y) pixels: the eyes, the tip of the nose and the corners of the mouth, in each pair the
    one on the picture's left first.
    """

    box: Box
    confidence: float | None = None
    landmarks: tuple[tuple[float, float], ...] = ()


class Detector(Protocol):
    """What finds faces. ``name`` says which, ``notice`` what its user should know (None: nothing)."""

    name: str
    notice: str | None

    def detect(self, picture: NDArray[np.uint8], *, longest: int = LONGEST) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels.

        ``longest`` is the longest side in pixels that a larger picture is searched at: fewer are quicker and miss
        small faces.
        """
        ...


def build(name: str = "auto") -> Detector:
    """The detector of that name; "auto" is YuNet, or Viola-Jones where YuNet's file cannot be had.

    Raises:
        DetectorError: there is no such detector, or this OpenCV cannot run it.
        DownloadError: "yunet" or "mediapipe" was asked for by name and its file cannot be had.
        MissingExtraError: "mediapipe" or "mtcnn" was asked for and what it needs is not installed.
    """
    if name == "none":
        return WholePicture()
    if name == "haar":
        return Haar()
    if name == "yunet":
        return YuNet(fetch(YUNET))
    if name == "mediapipe":
        from mien.faces.landmarks import MediaPipe

        return MediaPipe()
    if name == "mtcnn":
        from mien.faces.mtcnn import Mtcnn

        return Mtcnn()
    if name != "auto":
        raise DetectorError(f"no face detector is called {name!r}, only {', '.join(DETECTORS)}")
    try:
        return YuNet(fetch(YUNET, timeout=_PATIENCE))
    except DownloadError as error:
        reason = str(error)
    try:
        return Haar(
            notice=f"faces are looked for with the built-in Viola-Jones detector, which misses more of them: {reason}"
        )
    except DetectorError as error:
        raise DetectorError(f"{error}; and YuNet is not there either: {reason}") from error


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

    def detect(self, picture: NDArray[np.uint8], *, longest: int = LONGEST) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels."""
        scaled, scale_x, scale_y = fitted(picture, longest)
        grey = cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
        with self._lock:
            rows = self._cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
        boxes = [Box(x / scale_x, y / scale_y, w / scale_x, h / scale_y) for x, y, w, h in np.asarray(rows).tolist()]
        return ordered([Detection(box) for box in boxes], picture)


class WholePicture:
    """The whole picture is one face: for pictures that are face crops already."""

    name = "none"
    notice: str | None = None

    def detect(self, picture: NDArray[np.uint8], *, longest: int = LONGEST) -> list[Detection]:
        """One box, the picture's own."""
        return [Detection(Box(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])))]


def fitted(picture: NDArray[np.uint8], most: int) -> tuple[NDArray[np.uint8], float, float]:
    """The picture at the size detectors work at, and how much wider and higher that is than the picture."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, _SHORTEST), most) / longest
    if scale == 1:
        return np.ascontiguousarray(picture), 1.0, 1.0
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
    return resized, size[0] / width, size[1] / height


def ordered(found: list[Detection], picture: NDArray[np.uint8]) -> list[Detection]:
    """From left to right; finds without area, or whose centre is not in the picture, are none."""
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
