"""The function ``analyze`` of PyPI's ``deepface`` (in the shape of 0.0.103) for the action "emotion", read by mien.

Owns its arguments, its dicts and its errors. Refuses all else that package does: verifying and finding people,
embeddings, and guessing age, gender and race. ``from mien.compat import deepface as DeepFace`` stands where
``from deepface import DeepFace`` stood.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mien.compat.inputs import opened
from mien.compat.seven import seven
from mien.detection.detectors import build
from mien.errors import MienError, MienWarning, PictureError, shown
from mien.models import Model
from mien.narrowing import is_iterable, is_list
from mien.recognizer import Recognizer
from mien.results import Box, Face, Frame
from mien.sources.images import Picture

__all__ = ["FaceNotDetected", "ImgNotFound", "UnimplementedError", "analyze"]

# What deepface calls its detectors, and what mien has in their place. "auto" is YuNet, or else Viola-Jones.
_DETECTORS = {"opencv": "haar", "yunet": "yunet", "skip": "none"} | dict.fromkeys(
    ("mtcnn", "fastmtcnn", "retinaface", "ssd", "dlib", "mediapipe", "centerface"), "auto"
)


class FaceNotDetected(MienError, ValueError):  # noqa: N818 - deepface's name for it
    """No face was found, and ``enforce_detection`` was asked for."""


class UnimplementedError(MienError, ValueError):
    """An action, detector or option that is not there."""


class ImgNotFound(PictureError, ValueError):  # noqa: N818 - deepface's name for it
    """A picture cannot be read."""


def analyze(
    img_path: Any,
    actions: str | Iterable[str] = ("emotion",),
    enforce_detection: bool = True,
    detector_backend: str = "opencv",
    align: bool = True,
    expand_percentage: int = 0,
    silent: bool = False,
    anti_spoofing: bool = False,
    *,
    model: str | Path | Model | None = None,
) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
    """Read the expressions of all faces in one picture or several.

    Args:
        img_path: an array in OpenCV's channel order (BGR), a path, a data URI with base64, or a file opened in
            binary mode. A list of these, or an array (N, H, W, 3), is several pictures. Web addresses are refused.
        actions: only "emotion", which is the default here.
        enforce_detection: True: no face is an error. False: if no face is found, the whole picture is taken for one.
        detector_backend: "opencv" is Viola-Jones. "yunet" is YuNet, whose file (230 kB) is downloaded at first use.
            "skip" takes the whole picture as one face. "mtcnn", "fastmtcnn", "retinaface", "ssd", "dlib",
            "mediapipe", "centerface" and every "yolo..." is YuNet too, with Viola-Jones, and a warning, where its
            file cannot be had.
        align, expand_percentage: ignored: the crop is what the model was trained on, not turned and no wider.
        silent: True: no warning.
        anti_spoofing: only False.
        model: mien's own: a model's name, the path of its file, or a loaded one; None: the default. Models are loaded
            once and kept.

    Returns:
        One dict per face, the largest first; for several pictures a list of such lists.

        - ``"emotion"``: the seven expressions and their probabilities, 0-100, as Python floats. Contempt, if the model
          knows it, is left out, and the rest made to sum to 100.
        - ``"dominant_emotion"``: the most probable of them.
        - ``"region"``: ``"x"``, ``"y"``, ``"w"``, ``"h"`` in whole pixels inside the picture; ``"left_eye"`` and
          ``"right_eye"``, the person's own left and right, as (x, y) or None, which it is with Viola-Jones; for the
          backend "retinaface" also ``"nose"``, ``"mouth_left"`` and ``"mouth_right"``, if known.
        - ``"face_confidence"``: the detector's, 0-1, rounded to two digits; 1.0 for Viola-Jones, which gives none;
          0.0 if nothing was detected and the whole picture was taken.

    Raises:
        FaceNotDetected: no face, with ``enforce_detection``. A ``ValueError``, like the next two.
        UnimplementedError: another action or detector, or ``anti_spoofing``.
        ImgNotFound: a picture cannot be read; the message says which and why.
        ModelError: there is no such model, or it is damaged.
        DetectorError: this OpenCV (5.0 and later) has no Viola-Jones: use the backend "yunet".
        DownloadError: the backend "yunet" was asked for and its file cannot be had.

    >>> (face,) = analyze(np.zeros((48, 48, 3), np.uint8), detector_backend="skip")
    >>> list(face)
    ['emotion', 'dominant_emotion', 'region', 'face_confidence']
    >>> round(sum(face["emotion"].values()), 6), face["region"]["w"]
    (100.0, 48)
    """
    check_options(actions, anti_spoofing)
    recognizer = _recognizer(detector_for(detector_backend), model)
    if recognizer.notice and not silent:
        warnings.warn(recognizer.notice, MienWarning, stacklevel=2)
    points = detector_backend == "retinaface"
    several: Sequence[Any] | None = img_path if is_list(img_path) else None
    if isinstance(img_path, np.ndarray) and img_path.ndim == 4:
        several = [*img_path]
    if several is not None:
        return [_item(number, one, recognizer, enforce_detection, points) for number, one in enumerate(several)]
    return analyze_with(img_path, recognizer, enforce_detection, points)


def _item(number: int, picture: Any, recognizer: Recognizer, enforce: bool, points: bool) -> list[dict[str, Any]]:
    """One picture of a list; an error says which, counted from 0."""
    try:
        return analyze_with(picture, recognizer, enforce, points)
    except (FaceNotDetected, ImgNotFound) as error:
        raise type(error)(f"item {number}: {error}") from error


def check_options(actions: object, anti_spoofing: bool) -> None:
    """Raise UnimplementedError for actions other than "emotion", and for ``anti_spoofing``."""
    wanted = list(actions) if is_iterable(actions) and not isinstance(actions, str) else [actions]
    if wanted != ["emotion"] * max(len(wanted), 1):
        raise UnimplementedError(
            f"actions={shown(repr(actions))}: mien reads expressions only, it does not guess age, gender or race:"
            " pass actions=['emotion']"
        )
    if anti_spoofing:
        raise UnimplementedError("anti_spoofing=True: mien cannot tell a face from a picture of one: leave it out")


def detector_for(backend: object) -> str:
    """mien's name of what stands for one of deepface's detectors.

    Raises:
        UnimplementedError: deepface has none of that name.
    """
    if isinstance(backend, str) and backend in _DETECTORS:
        return _DETECTORS[backend]
    if isinstance(backend, str) and backend.startswith("yolo"):
        return "auto"
    raise UnimplementedError(f"detector_backend={shown(repr(backend))}, expected {', '.join(_DETECTORS)} or yolo...")


@lru_cache(maxsize=8)
def _recognizer(detector: str, model: str | Path | Model | None) -> Recognizer:
    return Recognizer(model, build(detector))


def analyze_with(picture: Any, recognizer: Recognizer, enforce_detection: bool, points: bool) -> list[dict[str, Any]]:
    """As :func:`analyze`, of one picture, by a recognizer; ``points``: with nose and mouth in the region."""
    try:
        readable = opened(picture)
        frame = recognizer.predict(readable, color="bgr")
        if not frame.faces and not enforce_detection:
            frame = _whole(recognizer, readable)
    except PictureError as error:
        raise ImgNotFound(str(error)) from error
    if not frame.faces:
        raise FaceNotDetected(
            f"Face could not be detected in {frame.source or 'the picture'}: if it shows one, try"
            " detector_backend='yunet', or enforce_detection=False, which takes the whole picture for a face"
        )
    faces = sorted(frame.faces, key=lambda face: -face.box.width * face.box.height)
    return [_as_dict(face, frame, points) for face in faces]


def _whole(recognizer: Recognizer, picture: Picture) -> Frame:
    return Recognizer(recognizer.model, detector="none").predict(picture, color="bgr")


def _as_dict(face: Face, frame: Frame, points: bool) -> dict[str, Any]:
    percent = {label: 100 * share for label, share in seven(face.probabilities).items()}
    confidence = face.confidence
    if confidence is None:
        confidence = 0.0 if frame.detector == "none" else 1.0
    return {
        "emotion": percent,
        "dominant_emotion": max(percent.items(), key=lambda item: item[1])[0],
        "region": _region(face, frame.width, frame.height, points),
        "face_confidence": round(confidence, 2),
    }


def _region(face: Face, width: int, height: int, points: bool) -> dict[str, Any]:
    x, y, w, h = _inside(face.box, width, height)
    # mien tells the picture's left first, which is the person's right.
    names = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
    known = {
        name: (round(at_x), round(at_y)) if 0 <= round(at_x) < width and 0 <= round(at_y) < height else None
        for name, (at_x, at_y) in zip(names, face.landmarks, strict=False)
    }
    region = {"x": x, "y": y, "w": w, "h": h, "left_eye": known.get("left_eye"), "right_eye": known.get("right_eye")}
    if points and known:
        region |= {name: known[name] for name in ("nose", "mouth_left", "mouth_right")}
    return region


def _inside(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    left, top = max(round(box.x), 0), max(round(box.y), 0)
    right, bottom = min(round(box.x + box.width), width), min(round(box.y + box.height), height)
    return left, top, right - left, bottom - top
