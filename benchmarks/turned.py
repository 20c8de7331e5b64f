"""Faces on their side and upside down: how many are found, how many turned upright, and what is answered.

    python benchmarks/turned.py FER2013.parquet --faces 1000 --record benchmarks/turned.json

The table is the one that ``mien data import fer2013`` writes. Training faces are set into a larger scene, which is
turned by quarters and searched twice: as a picture (``full``), which turns faces upright, and as a frame of a video
(``quick``), which does not. ``turned`` is the share of the found faces that were turned, ``rightly`` by the right
angle; ``same`` the share that is answered as in the upright scene. MIEN_CACHE names a folder with the file of YuNet.
"""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import recording
from framing import scene
from numpy.typing import NDArray
from samples import training_faces

from mien.recognizer import Recognizer
from mien.results import Face

TURNS = (0, 90, 180, 270)  # degrees clockwise


def measure(faces: NDArray[np.uint8], search: str) -> dict[str, Any]:
    """Shares by the turn of the scene, and milliseconds a scene, detection and recognition together."""
    recognizer = Recognizer(detector="yunet", threads=1, search=search)
    scenes = [scene(face)[0] for face in faces]
    answers: dict[int, list[Face | None]] = {}
    figures: dict[str, Any] = {}
    for turn in TURNS:
        turned = [np.ascontiguousarray(np.rot90(one, -turn // 90)) for one in scenes]
        began = time.perf_counter()
        answers[turn] = [_largest(recognizer.predict(one, color="rgb").faces) for one in turned]
        seconds = time.perf_counter() - began
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


def _largest(faces: tuple[Face, ...]) -> Face | None:
    return max(faces, key=lambda face: face.box.width * face.box.height, default=None)


def main() -> None:
    parser = recording.parser(__doc__, data=True, faces=1000, seed=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = training_faces(options.data, options.faces, options.seed)
    figures = {search: measure(faces, search) for search in ("full", "quick")}
    recording.record(figures, options.record)


if __name__ == "__main__":
    main()
