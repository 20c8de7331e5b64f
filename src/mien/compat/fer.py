"""The class ``FER`` of PyPI's ``fer`` (in the shape of 25.10.3), read by mien's model.

Owns its arguments, its dicts and its habits: probabilities of two digits, boxes as lists. Refuses ``fer.Video``: that
class is mostly about what it writes (a folder of frames, a zip file, an annotated copy, a CSV file in the working
folder, a window, a pandas table). Loop over ``cv2.VideoCapture`` and call :meth:`FER.detect_emotions`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.compat.inputs import opened
from mien.compat.seven import seven
from mien.detection.base import Detection
from mien.detection.detectors import build
from mien.errors import MienWarning, PictureError
from mien.models import Model
from mien.recognizer import Recognizer
from mien.results import Box
from mien.sources.images import read

__all__ = ["FER", "InvalidImage"]

#: ``fer.exceptions.InvalidImage``: what is raised for a picture that cannot be read.
InvalidImage = PictureError


class FER:
    """Finds faces and reads their expressions; the arguments are those of ``fer``'s class.

    Pictures are arrays in OpenCV's channel order (BGR), grey arrays, paths, or data URIs with base64. Web addresses
    are refused.

    Args:
        mtcnn: False: Viola-Jones, as in ``fer``. True: the better detector, which here is YuNet; its file (230 kB)
            is downloaded at first use, and where it cannot be had Viola-Jones steps in, with a warning.
        min_face_size: with Viola-Jones, smaller faces (pixels a side) are left out; with ``mtcnn`` ignored, as there.
        cascade_file, tfserving, use_tflite, scale_factor, min_neighbors, offsets: ignored. The cascade is OpenCV's
            frontal one with scale factor 1.1 and 5 neighbours, as ``fer`` has it by default; the model runs here; and
            how much around a box is cut out is what the model was trained on: any other margin costs accuracy.
        model: mien's own: a model's name, the path of its file, or a loaded one; None: the default.

    Attributes:
        recognizer: the :class:`mien.Recognizer` behind it.

    Raises:
        ModelError: there is no such model, or it is damaged.
        DetectorError: this OpenCV (5.0 and later) has no Viola-Jones: pass ``mtcnn=True``.

    >>> detector = FER()
    >>> nobody = np.full((120, 160, 3), 128, np.uint8)
    >>> detector.detect_emotions(nobody), detector.top_emotion(nobody)
    ([], (None, None))
    >>> (face,) = detector.detect_emotions(nobody, face_rectangles=[(40, 20, 60, 60)])
    >>> face["box"], list(face["emotions"])
    ([40, 20, 60, 60], ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'])
    """

    def __init__(
        self,
        cascade_file: str | None = None,
        mtcnn: bool = False,
        tfserving: bool = False,
        use_tflite: bool = True,
        scale_factor: float = 1.1,
        min_face_size: int = 50,
        min_neighbors: int = 5,
        offsets: Sequence[int] = (10, 10),
        *,
        model: str | Path | Model | None = None,
    ) -> None:
        self.recognizer = Recognizer(model, build("auto" if mtcnn else "haar"))
        self._smallest = 0 if mtcnn else min_face_size
        if self.recognizer.notice:
            warnings.warn(self.recognizer.notice, MienWarning, stacklevel=2)

    def find_faces(self, img: Any, bgr: bool = True, gray_img: Any = None) -> list[list[int]]:
        """The boxes of all faces as ``[x, y, width, height]`` in whole pixels, the largest first.

        Args:
            img: a picture.
            bgr: ignored; a grey array is known by its shape.
            gray_img: ignored; in fer, the same picture in grey, which saves a conversion.

        Raises:
            PictureError: the picture cannot be read.
        """
        found = self.recognizer.detector.detect(read(opened(img), color="bgr"))
        boxes = [one.box for one in found if self._counts(one.box)]
        return [box.to_list() for box in sorted(boxes, key=_area, reverse=True)]

    def detect_emotions(
        self, img: Any, face_rectangles: Iterable[Sequence[float]] | NDArray[Any] | None = None
    ) -> list[dict[str, Any]]:
        """Read the expressions of all faces in one picture.

        Args:
            img: a picture.
            face_rectangles: (x, y, width, height) of the faces in pixels, as :meth:`find_faces` or another detector
                gives them; those outside the picture are left out. None: faces are looked for.

        Returns:
            One dict per face: the largest first, or in the order of ``face_rectangles``; no face is an empty list.

            - ``"box"``: ``[x, y, width, height]``, whole pixels.
            - ``"emotions"``: the seven expressions and their probabilities, 0-1, rounded to two digits. Contempt, if
              the model knows it, is left out, and the rest made to sum to 1 before it is rounded.

        Raises:
            PictureError: the picture cannot be read.
        """
        picture = opened(img)
        if face_rectangles is None:
            found = self.recognizer.predict(picture, color="bgr").faces
            faces = sorted((one for one in found if self._counts(one.box)), key=lambda one: -_area(one.box))
        else:
            given = copy.copy(self.recognizer)
            given.detector = _Given(given.detector.name, face_rectangles)
            faces = given.predict(picture, color="bgr").faces
        return [
            {
                "box": face.box.to_list(),
                "emotions": {label: round(share, 2) for label, share in seven(face.probabilities).items()},
            }
            for face in faces
        ]

    def batch_detect_emotions(self, imgs: Iterable[Any]) -> list[list[dict[str, Any]]]:
        """:meth:`detect_emotions` of each picture."""
        return [self.detect_emotions(img) for img in imgs]

    def top_emotion(self, img: Any) -> tuple[str, float] | tuple[None, None]:
        """The most probable expression of the first (largest) face and its probability, 0-1, rounded to two digits.

        Returns:
            ``(label, probability)``; no face is ``(None, None)``.

        Raises:
            PictureError: the picture cannot be read.
        """
        faces = self.detect_emotions(img)
        if not faces:
            return None, None
        scores: dict[str, float] = faces[0]["emotions"]
        return max(scores.items(), key=lambda item: item[1])

    def _counts(self, box: Box) -> bool:
        return min(box.width, box.height) >= self._smallest


class _Given:
    """Stands where the recognizer has its detector, when the boxes are known already."""

    notice: str | None = None

    def __init__(self, name: str, rectangles: Iterable[Sequence[float]] | NDArray[Any]) -> None:
        self.name = name  # of the detector whose framing is used
        self._boxes = [Box(*(float(number) for number in rectangle)) for rectangle in rectangles]

    def detect(self, picture: NDArray[np.uint8], *, longest: int | None = None) -> list[Detection]:
        """The given boxes as far as they are in the picture, in their order; nothing is searched, at no size."""
        height, width = picture.shape[:2]
        return [Detection(box) for box in self._boxes if _overlaps(box, width, height)]


def _overlaps(box: Box, width: int, height: int) -> bool:
    return min(box.width, box.height) >= 1 and -box.width < box.x < width and -box.height < box.y < height


def _area(box: Box) -> float:
    return box.width * box.height
