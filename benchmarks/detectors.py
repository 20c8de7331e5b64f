"""Which faces each detector sees, by their size, and how long it looks.

    python benchmarks/detectors.py FER2013.parquet
    python benchmarks/detectors.py FER2013.parquet --record benchmarks/detectors.json
    python benchmarks/detectors.py --table benchmarks/detectors.json

Training faces of FER2013, set into a larger scene as ``framing.py`` does, are put somewhere into pictures of 640x480 in
several sizes; what is beyond the scene is its blurred edge. A face is found where the centre of a detection is in
the middle half of its frame; all other detections are false. docs/astronaut.jpg, a face with hair and shoulders, is
put into such pictures in the same sizes. The time is the median of looks at that portrait as it is, one thread.

``mesh`` takes the same faces as they are, 48x48, and asks the landmarker for the one in the whole picture.

``--table`` prints what docs/faces.md shows. MIEN_CACHE names a folder with the detectors' files where they cannot be
downloaded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import recording
from numpy.typing import NDArray
from samples import training_faces

from mien.detection.base import Detector
from mien.detection.detectors import build
from mien.errors import MissingExtraError
from mien.results import Box
from mien.sources import images

PORTRAIT = Path(__file__).parents[1] / "docs" / "astronaut.jpg"
#: FER2013's frame of the face in it, as the boxes of YuNet and Viola-Jones have it after framing.
PORTRAIT_FACE = Box(169, 66, 106, 106)
WIDTH, HEIGHT = 640, 480
#: Sides of the faces' frames, in percent of the picture's longer side.
SIZES = (3, 5, 7.5, 10, 12.5, 15, 20, 30, 50)
DETECTORS = ("yunet", "haar", "mediapipe", "mtcnn")
LOOKS = 21


def placed(face: NDArray[np.uint8], side: int, random: np.random.Generator) -> tuple[NDArray[np.uint8], Box]:
    """A picture with the face (H, W) somewhere in it, ``side`` pixels a side; and the box it lies in."""
    from framing import scene

    inner, frame = scene(face)
    scale = side / frame.width
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    inner = cv2.resize(inner, None, fx=scale, fy=scale, interpolation=how)
    height, width = inner.shape[:2]
    left, top = int(random.integers(0, WIDTH - width + 1)), int(random.integers(0, HEIGHT - height + 1))
    beyond = (top, HEIGHT - height - top, left, WIDTH - width - left)
    picture = cv2.GaussianBlur(cv2.copyMakeBorder(inner, *beyond, cv2.BORDER_REPLICATE), (0, 0), 8)
    picture[top : top + height, left : left + width] = inner
    return np.asarray(picture, np.uint8), Box(left + frame.x * scale, top + frame.y * scale, side, side)


def portrayed(portrait: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], Box]:
    """A picture with the portrait's face in its middle, ``side`` pixels a side; and the box it lies in."""
    scale = side / PORTRAIT_FACE.width
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=how)
    frame = Box((WIDTH - side) / 2, (HEIGHT - side) / 2, side, side)
    move = np.array([[1, 0, frame.x - PORTRAIT_FACE.x * scale], [0, 1, frame.y - PORTRAIT_FACE.y * scale]])
    picture = cv2.warpAffine(resized, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8), frame


def measure(detector: Detector, faces: NDArray[np.uint8], seed: int) -> dict[str, Any]:
    """Shares of the faces found by size, false detections, sizes at which the portrait is found, milliseconds."""
    found: dict[str, float] = {}
    false = 0
    for size in SIZES:
        random = np.random.default_rng(seed)
        hits = 0
        for face in faces:
            picture, frame = placed(face, round(size / 100 * WIDTH), random)
            detections = detector.detect(picture)
            right = [one for one in detections if _in_the_middle(one.box, frame)]
            hits += bool(right)
            false += len(detections) - len(right)
        found[f"{size:g}"] = hits / len(faces)
    portrait = images.read(PORTRAIT)
    seen: list[float] = []
    for size in SIZES:
        picture, frame = portrayed(portrait, round(size / 100 * WIDTH))
        if any(_in_the_middle(one.box, frame) for one in detector.detect(picture)):
            seen.append(size)
    return {"found": found, "false": false, "portrait": seen, "ms": _milliseconds(lambda: detector.detect(portrait))}


def _in_the_middle(box: Box, frame: Box) -> bool:
    """Whether the centre of a box is in the middle half of a frame."""
    away_x = box.x + box.width / 2 - frame.x - frame.width / 2
    away_y = box.y + box.height / 2 - frame.y - frame.height / 2
    return abs(away_x) < frame.width / 4 and abs(away_y) < frame.height / 4


def mesh(faces: NDArray[np.uint8]) -> dict[str, float]:
    """Shares of faces of 48x48 pixels that ``Landmarker.find`` and ``.mesh`` see, and milliseconds of the latter."""
    from mien.detection.mediapipe import Landmarker

    landmarker = Landmarker()
    pictures = [np.repeat(face[..., None], 3, axis=2) for face in faces]
    return {
        "find": float(np.mean([len(landmarker.find(picture)) > 0 for picture in pictures])),
        "mesh": float(np.mean([landmarker.mesh(picture) is not None for picture in pictures])),
        "ms": _milliseconds(lambda: landmarker.mesh(pictures[0])),
    }


def _milliseconds(look: Callable[[], object]) -> float:
    look()
    times: list[float] = []
    for _ in range(LOOKS):
        start = time.perf_counter()
        look()
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)), 1)


def table(record: dict[str, Any]) -> str:
    """The recorded figures as Markdown."""
    figures = record["figures"]
    pictures = figures["faces"] * len(SIZES)
    rows = []
    for name, one in figures["detectors"].items():
        shares = (f"{100 * share:.0f}" for share in one["found"].values())
        rows.append((name, *shares, f"{one['false']} in {pictures}", _from(one["portrait"]), f"{one['ms']:.0f}"))
    sizes = (f"{size:g}" for size in SIZES)
    head = ("face, % of longer side", *sizes, "false detections", "portrait from", "ms")
    return recording.markdown(head, rows)


def _from(seen: list[float]) -> str:
    """The size from which on the portrait's face was seen in all sizes."""
    missed = max((size for size in SIZES if size not in seen), default=0)
    return next((f"{size:g}" for size in SIZES if size > missed), "none")


def sentence(record: dict[str, Any]) -> str:
    """What the landmarker sees of faces of 48x48 pixels, in words."""
    one, count = record["figures"]["mesh"], record["figures"]["faces"]
    return f"of {count} FER2013 faces `find` sees {100 * one['find']:.0f} %, `mesh` {100 * one['mesh']:.0f} %."


def main() -> None:
    parser = recording.parser(__doc__, data=False, faces=100, seed=0, table="docs/faces.md")
    parser.add_argument("--detectors", nargs="+", default=DETECTORS)
    options = parser.parse_args()
    if options.table:
        recorded = recording.read(options.table)
        print(table(recorded), sentence(recorded), sep="\n\n")
        return
    cv2.setNumThreads(1)
    faces = training_faces(options.data, options.faces, options.seed)
    detectors: dict[str, Any] = {}
    for name in options.detectors:
        try:
            detectors[name] = measure(build(name), faces, options.seed)
        except MissingExtraError as error:
            print(error, file=sys.stderr)
    figures: dict[str, Any] = {"faces": len(faces), "detectors": detectors}
    if "mediapipe" in detectors:
        figures["mesh"] = mesh(faces)
    recording.record(figures, options.record)


if __name__ == "__main__":
    main()
