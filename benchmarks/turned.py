"""Faces on their side and upside down: how many are found, how many turned upright, and what is answered.

    python benchmarks/turned.py FER2013.parquet --others TINY_IMAGENET.parquet --record benchmarks/turned.json

The table is the one that ``mien data import fer2013`` writes. Training faces are set into a larger scene, which is
turned by quarters and searched three times: as a picture (``full``), which turns faces upright, and pictures in which
nothing is found; as a picture that is not turned itself (``as it lies``, what ``full`` was before); and as a frame of a
video (``quick``), of which nothing is turned. ``turned`` is the share of the found faces that were turned, ``rightly``
by the right angle; ``same`` the share that is answered as in the upright scene.

``--others`` is a table of Tiny ImageNet, whose animals, dishes and landscapes are set into scenes alike and searched:
``false`` counts the pictures with a detection. MIEN_CACHE names a folder with the file of YuNet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import recording
from framing import scene
from numpy.typing import NDArray
from samples import training_faces

from mien.data import table
from mien.detection import search
from mien.recognizer import Recognizer
from mien.results import Face

TURNS = (0, 90, 180, 270)  # degrees clockwise


#: Ways to search: how thoroughly, and what looks at a picture in which nothing is found.
WAYS: dict[str, tuple[str, Callable[..., search.Rows]]] = {
    "full": ("full", search._in_a_turned_picture),
    "as it lies": ("full", lambda *_: np.empty((0, 15), np.float32)),
    "quick": ("quick", search._in_a_turned_picture),
}
# WordNet's numbers of animals are below the first, those of food and of land begin so.
_BELOW, _STARTS = "n0251", ("n07", "n09")


def measure(faces: NDArray[np.uint8], way: str) -> dict[str, Any]:
    """Shares by the turn of the scene, and processor milliseconds a scene, detection and recognition together."""
    recognizer = _recognizer(way)
    scenes = [scene(face)[0] for face in faces]
    answers: dict[int, list[Face | None]] = {}
    figures: dict[str, Any] = {}
    for turn in TURNS:
        turned = [np.ascontiguousarray(np.rot90(one, -turn // 90)) for one in scenes]
        began = time.process_time()
        answers[turn] = [_largest(recognizer.predict(one, color="rgb").faces) for one in turned]
        seconds = time.process_time() - began
        pairs = [(a, b) for a, b in zip(answers[turn], answers[0], strict=True) if a is not None and b is not None]
        rolls = np.array([a.quality.roll for a, _ in pairs if a.quality and a.quality.roll is not None])
        away = np.abs((rolls - turn + 180) % 360 - 180)
        figures[str(turn)] = {
            "found": round(sum(one is not None for one in answers[turn]) / len(faces), 4),
            "turned": round(float((np.abs(rolls) > 60).mean()), 4),
            "rightly": round(float(((np.abs(rolls) > 60) & (away < 45)).mean()), 4),
            "same": round(sum(a.expression == b.expression for a, b in pairs) / len(pairs), 4),
            "ms": round(1000 * seconds / len(faces), 1),
        }
    return figures


def false_ones(pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Pictures without faces, and in how many of them each way finds one; processor milliseconds a picture."""
    scenes = [scene(one)[0] for one in pictures]
    figures: dict[str, Any] = {"pictures": len(scenes), "false": {}, "ms": {}}
    for way in WAYS:
        recognizer = _recognizer(way)
        began = time.process_time()
        figures["false"][way] = sum(bool(recognizer.predict(one, color="rgb").faces) for one in scenes)
        figures["ms"][way] = round(1000 * (time.process_time() - began) / len(scenes), 1)
    return figures


def _recognizer(way: str) -> Recognizer:
    thorough, search._in_a_turned_picture = WAYS[way]
    return Recognizer(detector="yunet", threads=1, search=thorough)


def _largest(faces: tuple[Face, ...]) -> Face | None:
    return max(faces, key=lambda face: face.box.width * face.box.height, default=None)


def main() -> None:
    parser = recording.parser(__doc__, data=True, faces=300, seed=1)
    parser.add_argument("--others", type=Path, help="a table of Tiny ImageNet")
    parser.add_argument("--faceless", type=int, default=600, help="how many pictures of it")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = training_faces(options.data, options.faces, options.seed)
    figures: dict[str, Any] = {way: measure(faces, way) for way in WAYS}
    if options.others:
        others = table.read(options.others)
        names = np.array(others.info.labels)[others.labels]
        without = np.flatnonzero([name < _BELOW or name.startswith(_STARTS) for name in names])
        chosen = np.sort(np.random.default_rng(options.seed).choice(without, options.faceless, replace=False))
        figures["others"] = false_ones(others.take(chosen).pictures(grey=True))
    recording.record(figures, options.record)


if __name__ == "__main__":
    main()
