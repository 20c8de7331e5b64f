"""YuNet in ONNX Runtime, as mien runs it, beside OpenCV's ``FaceDetectorYN``: the same boxes, and how long both take.

    python benchmarks/yunet.py FER2013.parquet
    python benchmarks/yunet.py FER2013.parquet --record benchmarks/yunet.json

``same`` looks at pictures of many sizes and shapes with both: Training faces of FER2013 in a larger scene, in rows of
several, and parts of docs/astronaut.jpg, all of them scaled at random. It counts faces and gives the largest
differences, of boxes and landmarks in pixels. Of some pictures of few pixels OpenCV gives memory that nobody wrote, and
other faces from call to call; they are left out where it shows.

``times`` looks at that portrait in several sizes, and at pictures of the same sizes without a face, in turn with what
mien did up to commit 7bc2c0d (OpenCV at 800 px), the quick and the full search: medians of processor milliseconds, one
thread each, and of their ratios. Other programs on the machine count less in these than in wall-clock time.

MIEN_CACHE names a folder with YuNet's file where it cannot be downloaded.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import recording
from numpy.typing import NDArray
from samples import training_faces

from mien.detection.base import LONGEST, Detection, fitted, ordered
from mien.detection.yunet import YUNET, YuNet
from mien.download import fetch
from mien.results import Box
from mien.sources import images

PORTRAIT = Path(__file__).parents[1] / "docs" / "astronaut.jpg"
THRESHOLD = 0.7
#: Width and height of the pictures that are timed.
TIMED = ((200, 150), (512, 384), (1280, 960), (2000, 1500), (4000, 3000), (600, 6000))


class OpenCV:
    """YuNet as mien ran it up to commit 7bc2c0d."""

    def __init__(self) -> None:
        self._network = cv2.FaceDetectorYN.create(str(fetch(YUNET)), "", (320, 320), THRESHOLD, 0.3, 5000)

    def look(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of 15 numbers, of an RGB picture as it is."""
        self._network.setInputSize((picture.shape[1], picture.shape[0]))
        rows = self._network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        return np.empty((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)

    def detect(self, picture: NDArray[np.uint8], longest: int = LONGEST) -> list[Detection]:
        """As a detector's ``detect``."""
        scaled, scale_x, scale_y = fitted(picture, longest)
        found: list[Detection] = []
        for row in self.look(scaled).astype(np.float64):
            places = row[:14].reshape(7, 2) / (scale_x, scale_y)
            points = tuple((x, y) for x, y in places[2:].tolist())
            found.append(Detection(Box(*places[:2].ravel().tolist()), float(row[14]), points))
        return ordered(found, picture)


def pictures(faces: NDArray[np.uint8], count: int, random: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Pictures of 20 to about 1,000 px a side with no, one or several faces."""
    from framing import scene

    portrait = images.read(PORTRAIT)
    made: list[NDArray[np.uint8]] = []
    for index in range(count):
        if index % 4 == 0:
            left, top = random.integers(0, 200, 2)
            one = portrait[top : top + int(random.integers(100, 312)), left : left + int(random.integers(100, 312))]
        else:
            some = faces[random.choice(len(faces), index % 4)]
            one = np.concatenate([scene(face)[0] for face in some], axis=int(random.integers(2)))
        scale = random.uniform(20, 1000) / max(one.shape)
        made.append(np.asarray(cv2.resize(one, None, fx=scale, fy=scale * random.uniform(0.8, 1.2)), np.uint8))
    return made


def same(faces: NDArray[np.uint8], count: int, seed: int) -> dict[str, Any]:
    """The largest differences between the two."""
    ours, theirs = YuNet(fetch(YUNET), threshold=THRESHOLD, threads=1), OpenCV()
    found = garbage = 0
    other: list[tuple[int, int]] = []
    worst = np.zeros(3)
    for picture in pictures(faces, count, np.random.default_rng(seed)):
        rows, expected = ours.look(picture, THRESHOLD), theirs.look(picture)
        if not (expected[:, 2:4] >= 1).all() or not (np.abs(expected) < 1e5).all():
            garbage += 1
            continue
        found += len(expected)
        if len(rows) != len(expected):
            other.append((picture.shape[1], picture.shape[0]))
            continue
        away = np.abs(rows - expected)
        if len(away):
            worst = np.maximum(worst, [away[:, :4].max(), away[:, 4:14].max(), away[:, 14].max()])
    boxes, landmarks, confidence = (float(f"{value:.2g}") for value in worst)
    return {
        "pictures": count,
        "faces": found,
        "sizes of pictures with another number of faces": other,
        "pictures of which OpenCV gives memory that nobody wrote, left out": garbage,
        "boxes, px": boxes,
        "landmarks, px": landmarks,
        "confidence": confidence,
    }


def times(rounds: int) -> list[dict[str, Any]]:
    """Medians for each size, taken in turn."""
    ours, theirs = YuNet(fetch(YUNET), threads=1), OpenCV()
    portrait = images.read(PORTRAIT)
    measured: list[dict[str, Any]] = []
    for width, height in TIMED:
        picture = np.asarray(cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        coarse = np.random.default_rng(0).integers(40, 216, (6, 8, 3), dtype=np.uint8)
        empty = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        ways = {
            "opencv": lambda picture=picture: theirs.detect(picture),
            "quick": lambda picture=picture: ours.detect(picture, longest=LONGEST),
            "full": lambda picture=picture: ours.detect(picture),
            "full, no face": lambda empty=empty: ours.detect(empty),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                began = time.process_time()
                way()
                if number:
                    taken[name].append(1000 * (time.process_time() - began))
        medians = {name: round(statistics.median(values), 1) for name, values in taken.items()}
        ratios = {
            f"{name}, ratio": round(
                statistics.median(a / b for a, b in zip(taken[name], taken["opencv"], strict=True)), 2
            )
            for name in ways
            if name != "opencv"
        }
        measured.append({"width": width, "height": height, **medians, **ratios})
    return measured


def main() -> None:
    parser = recording.parser(__doc__, data=True, seed=0)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = training_faces(options.data, 100, options.seed)
    figures = {"same": same(faces, options.pictures, options.seed), "times": times(options.rounds)}
    recording.record(figures, options.record)


if __name__ == "__main__":
    main()
