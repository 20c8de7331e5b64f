"""478 points on each face, by MediaPipe's face landmarker without MediaPipe.

Owns the landmarker's networks, what surrounds them (where they look, how their numbers are read), and the detector
``mediapipe`` made of them. Refuses to know models and expressions.

The file is Google's ``face_landmarker.task``, Apache-2.0: a zip of TensorFlow Lite networks, fetched at first use and
run by LiteRT (the extra ``landmarks``). Two of them are used: BlazeFace (``blazeface``) and the face mesh with irises
(Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs"; Grishchenko et al.
2020, "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time"). Where they look is what MediaPipe's face
landmarker does with single pictures.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection import blazeface
from mien.detection.base import Detection, ordered
from mien.download import Asset, fetch
from mien.errors import DetectorError, require
from mien.results import Box

LANDMARKER = Asset(
    name="face_landmarker.task",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size=3_758_596,
)
#: How many points a mesh has,
POINTS = 478
#: and which of them are the five that detectors give: the middles of the irises, the nose tip, the mouth corners.
FIVE = (468, 473, 1, 61, 291)

# The outer corners of the eyes; the line through them is level in an upright face.
_EYE_CORNERS = (33, 263)
# How much larger than a face the square is that the mesh is looked for in; MediaPipe's number.
_ROOM = 1.5
# The same around a box in which BlazeFace sees nothing. Of FER2013's Training faces, whose box is the whole picture,
# 1.15 to 1.3 did best.
_BLIND_ROOM = 1.2
# Least presence of a face: MediaPipe's number too.
_PRESENT = 0.5

_CREATING = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The points of one face.

    Attributes:
        box: the face as BlazeFace saw it (from the brows to the chin), or the box that was given.
        points: float32 (478, 3): x and y in pixels of the picture, z in the same scale, smaller nearer to the viewer.
            0-467 are MediaPipe's canonical face mesh, 468-472 the iris on the picture's left, 473-477 the other one,
            each with its middle first. Left and right are those of a face that stands upright.
        presence: how sure the network is that there is a face where it looked, 0-1.
        confidence: BlazeFace's, 0-1; None where a box was given.
    """

    box: Box
    points: NDArray[np.float32]
    presence: float
    confidence: float | None = None


class Landmarker:
    """Finds faces and the points on them. Safe to share among threads.

    Args:
        file: the path of ``face_landmarker.task``; None: the one in the cache, fetched at first use.
        threads: processor threads of each network.

    Raises:
        MissingExtraError: LiteRT is not installed.
        DownloadError: the file cannot be had.
        DetectorError: it is damaged.
    """

    def __init__(self, file: Path | None = None, *, threads: int = 1) -> None:
        runtime = require("ai_edge_litert.interpreter", "landmarks")
        file = fetch(LANDMARKER) if file is None else file
        try:
            with zipfile.ZipFile(file) as task, _without_greeting():
                self._finder = _Network(runtime, task.read("face_detector.tflite"), threads)
                self._mesher = _Network(runtime, task.read("face_landmarks_detector.tflite"), threads)
            if self._finder.size != blazeface.SIZE:
                raise ValueError("its face detector is not BlazeFace for short range")
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DetectorError(f"cannot load {file}: {reason}; it is damaged or another: fetch it anew") from error

    def find(self, picture: NDArray[np.uint8]) -> list[Mesh]:
        """The faces of an RGB uint8 (H, W, 3) picture with their points, from left to right.

        The picture is searched at 128 px, so small faces in it are not found (docs/faces.md says how small): give
        :meth:`mesh` the boxes of another detector for those.
        """
        height, width = picture.shape[:2]
        meshes: list[Mesh] = []
        for candidate in self._search(picture, _Region(width / 2, height / 2, max(width, height))):
            points, presence = self._look(picture, candidate.region())
            if presence >= _PRESENT:
                meshes.append(Mesh(candidate.box, points, presence, candidate.score))
        return sorted(meshes, key=lambda mesh: (mesh.box.x, mesh.box.y))

    def mesh(self, picture: NDArray[np.uint8], box: Box | None = None) -> Mesh | None:
        """The points of the face that is known to be in a box, or None where the network sees none.

        It is found where :meth:`find` finds nothing: in the boxes of other detectors, and in pictures that show no
        more than a face. BlazeFace says how the face lies in the box; where it sees nothing, a first look at the
        whole box says where to look again.

        Args:
            picture: RGB uint8 (H, W, 3).
            box: the face, as any detector frames it; None: the whole picture.
        """
        height, width = picture.shape[:2]
        box = Box(0.0, 0.0, float(width), float(height)) if box is None else box
        x, y, side = box.x + box.width / 2, box.y + box.height / 2, max(box.width, box.height)
        if side <= 0 or not (0 <= x <= width and 0 <= y <= height):
            return None
        candidates = [one for one in self._search(picture, _Region(x, y, side * _ROOM)) if one.within(box)]
        if candidates:
            region = max(candidates, key=lambda one: one.box.overlap(box)).region()
        else:
            region = _around(self._look(picture, _Region(x, y, side * _BLIND_ROOM))[0])
        points, presence = self._look(picture, region)
        return Mesh(box, points, presence) if presence >= _PRESENT else None

    def _search(self, picture: NDArray[np.uint8], region: _Region) -> list[_Candidate]:
        """The faces that BlazeFace sees in a region."""
        pixels = _cut(picture, region, self._finder.size, cv2.BORDER_CONSTANT)
        regressors, scores = self._finder.run(pixels * 2 - 1)
        matrix = region.matrix(1)
        return [
            _Candidate.at(_moved(places, matrix), score)
            for places, score in blazeface.detections(regressors[0], scores[0, :, 0])
        ]

    def _look(self, picture: NDArray[np.uint8], region: _Region) -> tuple[NDArray[np.float32], float]:
        """The points of the face in a region, and how sure it is that there is one."""
        size = self._mesher.size
        values, presence = self._mesher.run(_cut(picture, region, size, cv2.BORDER_REPLICATE))[:2]
        values = values.reshape(POINTS, 3)
        points = np.column_stack([_moved(values[:, :2], region.matrix(size)), values[:, 2] * (region.side / size)])
        return points.astype(np.float32), 1 / (1 + math.exp(-float(presence.item())))


class MediaPipe:
    """The landmarker as a detector: BlazeFace's boxes, five points of the mesh. Safe to share among threads."""

    name = "mediapipe"
    notice: str | None = None

    def __init__(self, landmarker: Landmarker | None = None) -> None:
        """Take a landmarker, or load one; raises as :class:`Landmarker` does."""
        self._landmarker = landmarker or Landmarker()

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """The faces of an RGB uint8 (H, W, 3) picture from left to right, in its pixels.

        ``longest`` changes nothing: every picture is searched at 128 px.
        """
        found: list[Detection] = []
        for mesh in self._landmarker.find(picture):
            points = tuple((x, y) for x, y in mesh.points[list(FIVE), :2].tolist())
            found.append(Detection(mesh.box, mesh.confidence, points))
        return ordered(found, picture)


@dataclass(frozen=True, slots=True)
class _Region:
    """A square of the picture: its middle and side in pixels, and how far it is turned clockwise, in radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def matrix(self, size: int) -> NDArray[np.float64]:
        """(2, 3): from places in the region, when it is ``size`` wide, to places in the picture."""
        cos, sin = (self.side / size * part for part in (math.cos(self.angle), math.sin(self.angle)))
        half = size / 2
        return np.array([[cos, -sin, self.x - half * (cos - sin)], [sin, cos, self.y - half * (cos + sin)]])


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A face that BlazeFace sees: its box, its score, and the angle of the line through the eyes in radians."""

    box: Box
    score: float
    angle: float

    @classmethod
    def at(cls, places: NDArray[np.float64], score: float) -> _Candidate:
        """From the places of two corners and six points, of which the first two are the eyes."""
        (left, top), (right, bottom), start, end = places[:4].tolist()
        return cls(Box(left, top, right - left, bottom - top), score, math.atan2(end[1] - start[1], end[0] - start[0]))

    def region(self) -> _Region:
        box = self.box
        side = max(box.width, box.height) * _ROOM
        return _Region(box.x + box.width / 2, box.y + box.height / 2, side, self.angle)

    def within(self, other: Box) -> bool:
        """Whether its middle lies in the other box."""
        x, y = self.box.x + self.box.width / 2, self.box.y + self.box.height / 2
        return 0 <= x - other.x <= other.width and 0 <= y - other.y <= other.height


class _Network:
    """A TensorFlow Lite network whose one input is a square picture."""

    def __init__(self, runtime: Any, content: bytes, threads: int) -> None:
        self._lock = threading.Lock()
        self._network = runtime.Interpreter(model_content=content, num_threads=threads)
        self._network.allocate_tensors()
        (given,) = self._network.get_input_details()
        self._input = given["index"]
        self._outputs = [output["index"] for output in self._network.get_output_details()]
        self.size = int(given["shape"][1])

    def run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        with self._lock:
            self._network.set_tensor(self._input, pixels[None])
            self._network.invoke()
            return [self._network.get_tensor(index) for index in self._outputs]


def _around(points: NDArray[np.float32]) -> _Region:
    """Where to look for the face whose points these are."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    start, end = points[list(_EYE_CORNERS), :2].tolist()
    (x, y), side = ((low + high) / 2).tolist(), float((high - low).max())
    return _Region(x, y, max(side, 1.0) * _ROOM, math.atan2(end[1] - start[1], end[0] - start[0]))


def _cut(picture: NDArray[np.uint8], region: _Region, size: int, border: int) -> NDArray[np.float32]:
    """The region as float32 (size, size, 3), 0-1."""
    height, width = picture.shape[:2]
    reach = region.side * 0.75 + 1  # half the diagonal and more
    left, top = (max(math.floor(place - reach), 0) for place in (region.x, region.y))
    right, bottom = math.ceil(region.x + reach), math.ceil(region.y + reach)
    left, top = min(left, width - 1), min(top, height - 1)
    part = np.ascontiguousarray(picture[top : max(bottom, top + 1), left : max(right, left + 1)])
    matrix = region.matrix(size)
    matrix[:, 2] -= (left, top)
    shrink = region.side / size / 2
    if shrink > 1:  # taking single pixels of a large region would miss most of them
        rows, columns = part.shape[:2]
        smaller = (max(round(columns / shrink), 1), max(round(rows / shrink), 1))
        part = cv2.resize(part, smaller, interpolation=cv2.INTER_AREA)
        matrix *= [[smaller[0] / columns], [smaller[1] / rows]]
    # Places count from the edge of the first pixel, OpenCV counts from its middle.
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(part, matrix, (size, size), flags=flags, borderMode=border)
    return np.asarray(pixels, np.float32) / np.float32(255)


def _moved(places: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return places @ matrix[:, :2].T + matrix[:, 2]


@contextmanager
def _without_greeting() -> Generator[None, None, None]:
    """Keep LiteRT's "Created TensorFlow Lite XNNPACK delegate" off the terminal; it offers no switch for it.

    All else that is written to the process's standard error meanwhile appears at the end.
    """
    with _CREATING, tempfile.TemporaryFile() as file:
        try:
            kept = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file:
                if not line.startswith(b"INFO: Created TensorFlow Lite"):
                    os.write(2, line)
