"""The detector ``yunet``: a small convolutional network, run by ONNX Runtime.

Owns its file, MIT, which comes from OpenCV's model zoo at first use, and how its numbers are read: as OpenCV's
``FaceDetectorYN`` reads them (``benchmarks/yunet.py`` compares the two). At which sizes a picture is shown to it is
:mod:`mien.detection.search`.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection import search
from mien.detection.base import Detection, ordered
from mien.detection.quality import roll_of
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

# Pixels between the anchors of the network's three outputs, the largest last; a picture's sides are multiples of it.
_STRIDES = (8, 16, 32)
# Degrees between the eyes of a face that the network sees as it is; beyond, the search has turned the face.
_UPRIGHT = 60.0


class YuNet:
    """YuNet. Without a lock or any state that a picture changes, so it may be shared among threads.

    Args:
        file: the network.
        threshold: least confidence, 0-1, of a detection.
        threads: processor threads for one picture; None: all cores.

    Raises:
        DetectorError: the file cannot be read, or ONNX Runtime cannot load it.
    """

    name = "yunet"
    notice: str | None = None

    def __init__(self, file: Path, *, threshold: float = 0.7, threads: int | None = None) -> None:
        from mien.runtime import session

        try:
            self._session = session(file.read_bytes(), threads, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises many types of its own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DetectorError(f"ONNX Runtime cannot load {file}: {reason}") from error
        self._file, self._threshold, self._threads = file.absolute(), threshold, threads
        self._single: YuNet | None = self if threads == 1 else None
        self._input = self._session.get_inputs()[0].name
        self._outputs = [f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in _STRIDES]

    def __reduce__(self) -> tuple[Callable[[Path], YuNet], tuple[Path]]:
        """By its file, which must be in the same place where it arrives."""
        return partial(YuNet, threshold=self._threshold, threads=self._threads), (self._file,)

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels.

        Without ``longest`` the picture is searched at every size that its faces may have; with it once, scaled down to
        so many pixels on the longest side.
        """
        if longest is None:
            rows = search.full(self.look, picture, self._threshold)
        else:
            rows = search.quick(self.look, picture, self._threshold, longest)
        found: list[Detection] = []
        for row in rows.astype(np.float64):
            points = tuple((x, y) for x, y in row[4:14].reshape(5, 2).tolist())
            turned = abs(roll_of(points)) > _UPRIGHT
            found.append(Detection(Box(*row[:4].tolist()), min(max(float(row[14]), 0.0), 1.0), points, turned))
        return ordered(found, picture)

    def on_one_thread(self) -> YuNet:
        """The same detector for many pictures at a time, each on one thread."""
        if self._single is None:
            self._single = YuNet(self._file, threshold=self._threshold, threads=1)
        return self._single

    def look(self, picture: NDArray[np.uint8], least: float) -> NDArray[np.float32]:
        """What the network sees in a picture as it is, doubles suppressed, the surest first.

        Args:
            picture: RGB uint8 (H, W, 3).
            least: least score of what is returned, 0-1.

        Returns:
            float32 (N, 15) in pixels: left, top, width and height of the box; x and y of the eyes, the nose tip and the
            corners of the mouth; the score.
        """
        height, width = picture.shape[:2]
        down, right = -height % _STRIDES[-1], -width % _STRIDES[-1]
        padded = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_CONSTANT) if down or right else picture
        blob = cv2.dnn.blobFromImage(padded, swapRB=True)
        parts = [np.asarray(part)[0] for part in self._session.run(self._outputs, {self._input: blob})]
        rows = [
            _decoded(parts[index], parts[index + 3], parts[index + 6], parts[index + 9], stride, width + right, least)
            for index, stride in enumerate(_STRIDES)
        ]
        return search.suppressed(np.concatenate(rows))


def _decoded(
    cls: NDArray[np.float32],
    obj: NDArray[np.float32],
    boxes: NDArray[np.float32],
    points: NDArray[np.float32],
    stride: int,
    width: int,
    least: float,
) -> NDArray[np.float32]:
    """Rows as ``look`` returns them of one output: of A anchors (A, 1), (A, 1), (A, 4) and (A, 10)."""
    scores = np.sqrt(cls[:, 0].clip(0, 1) * obj[:, 0].clip(0, 1))
    kept = np.flatnonzero(scores >= least)
    anchors = np.stack(np.divmod(kept, width // stride)[::-1], axis=1).astype(np.float32)  # x, y
    middles = (anchors + boxes[kept, :2]) * stride
    sizes = np.exp(boxes[kept, 2:]) * stride
    places = (points[kept].reshape(-1, 5, 2) + anchors[:, None]) * stride
    return np.concatenate([middles - sizes / 2, sizes, places.reshape(-1, 10), scores[kept, None]], axis=1)
