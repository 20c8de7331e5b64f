"""Whether a JPEG that is decoded no larger than it is looked at gives the answers of one that is decoded whole.

    python benchmarks/reading.py FER2013.parquet [--faces 200] [--rounds 5] [--record benchmarks/reading.json]

``same`` makes pictures of 2 to 12 megapixels with Training faces of FER2013 in them, as ``search.py`` does (``head``:
with the hair and shoulders of docs/astronaut.jpg), 48 to 768 px a side, and that portrait itself enlarged; writes them
as JPEGs of several qualities, one in four of them turned by its EXIF; and reads each by ``Recognizer.predict`` as bytes
and as whole pixels, with the full and the quick search. It counts the faces that both find, those of each that the
other lacks, and the answers that differ, which are listed with both probabilities.

``times`` reads one such picture of several sizes in turn in both ways: medians of processor milliseconds on one thread
and of their ratios, and the largest memory of each in a process of its own.

MIEN_CACHE names a folder with YuNet's file where it cannot be downloaded.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from search import PORTRAIT, composed, head

from mien.data import table as tables
from mien.recognizer import Recognizer
from mien.results import Face, Frame
from mien.sources import images

Pixels = NDArray[np.uint8]
#: Width, height, and pixels a side of the faces of the pictures.
SCENES = ((2000, 1500, 72), (2000, 1500, 288), (3000, 2000, 96), (3001, 2001, 192), (4000, 3000, 144))
SCENES += ((4000, 3000, 384), (4000, 3000, 768))
AT_ONCE = 6
SEARCHES = ("full", "quick")
TIMED = ((512, 384), (1280, 960), (2000, 1500), (4000, 3000))


def jpeg(picture: Pixels, quality: int, turn: int = 1) -> bytes:
    """A picture as JPEG; with a turn of 6 it lies on its side and its EXIF says so."""
    image = Image.fromarray(picture if turn == 1 else np.ascontiguousarray(np.rot90(picture)))
    exif = Image.Exif()
    exif[0x0112] = turn
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=quality, exif=exif)
    return kept.getvalue()


def noisy(picture: Pixels, random: np.random.Generator) -> Pixels:
    """With the grain of a camera, which an enlarged picture lacks."""
    grain = random.normal(0, 4, picture.shape).astype(np.float32)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def enlarged(width: int, height: int) -> Pixels:
    """The portrait at another size."""
    return np.asarray(cv2.resize(images.read(PORTRAIT), (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def pairs(one: Frame, other: Frame) -> list[tuple[Face, Face]]:
    """The faces that both have, by their boxes."""
    found = []
    for face in one.faces:
        near = max(other.faces, key=lambda face_: face.box.overlap(face_.box), default=None)
        if near is not None and face.box.overlap(near.box) > 0.5:
            found.append((face, near))
    return found


def same(faces: Pixels, seed: int) -> dict[str, Any]:
    """Counts for each search, and the answers that differ."""
    random = np.random.default_rng(seed)
    recognizers = {search: Recognizer(threads=1, search=search) for search in SEARCHES}
    counts = {search: {"both": 0, "whole only": 0, "reduced only": 0, "same answer": 0} for search in SEARCHES}
    away = dict.fromkeys(SEARCHES, 0.0)
    differing: list[dict[str, Any]] = []
    made = [(f"faces of {side} px in {width}x{height}", width, height, side) for width, height, side in SCENES]
    for start in range(0, len(faces), AT_ONCE):
        says, width, height, side = made[start // AT_ONCE % len(made)]
        picture, _ = composed([head(face) for face in faces[start : start + AT_ONCE]], side, width, height, random)
        if start // AT_ONCE % 10 == 9:
            says, picture = f"portrait of {width}x{height}", enlarged(width, height)
        data = jpeg(noisy(picture, random), int(random.integers(75, 96)), 6 if random.random() < 0.25 else 1)
        whole = images.decode(data)
        for search, recognizer in recognizers.items():
            expected, found = recognizer.predict(whole, "rgb"), recognizer.predict(data)
            assert (found.width, found.height) == (expected.width, expected.height)
            both, count = pairs(expected, found), counts[search]
            count["both"] += len(both)
            count["whole only"] += len(expected.faces) - len(both)
            count["reduced only"] += len(found.faces) - len(both)
            for one, other in both:
                p, q = (face.probabilities[one.expression] for face in (one, other))
                away[search] = max(away[search], abs(p - q))
                if one.expression == other.expression:
                    count["same answer"] += 1
                    continue
                answers = [f"{face.expression} {max(face.probabilities.values()):.2f}" for face in (one, other)]
                differing.append({"picture": says, "search": search, "whole": answers[0], "reduced": answers[1]})
    for search, count in counts.items():
        count["same answer, %"] = round(100 * count["same answer"] / max(count["both"], 1), 2)
        count["largest difference of a probability"] = round(away[search], 3)
    return {"counts": counts, "differing": differing}


def times(rounds: int) -> list[dict[str, Any]]:
    """Medians for each size and search."""
    measured: list[dict[str, Any]] = []
    random = np.random.default_rng(0)
    for width, height in TIMED:
        data = jpeg(noisy(enlarged(width, height), random), 90)
        for search in SEARCHES:
            recognizer = Recognizer(threads=1, search=search)
            ways = {
                "whole": lambda data=data, recognizer=recognizer: recognizer.predict(images.decode(data), "rgb"),
                "reduced": lambda data=data, recognizer=recognizer: recognizer.predict(data),
            }
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(rounds + 1):
                for name, way in ways.items():
                    began = time.process_time()
                    way()
                    if number:
                        taken[name].append(1000 * (time.process_time() - began))
            medians = {name: round(statistics.median(values), 1) for name, values in taken.items()}
            ratio = statistics.median(b / a for a, b in zip(taken["whole"], taken["reduced"], strict=True))
            peaks = {f"{name}, MB": memory(data, search, name) for name in ways}
            cell = {"width": width, "height": height, "search": search, **medians, "ratio": round(ratio, 2), **peaks}
            measured.append(cell)
    return measured


def memory(data: bytes, search: str, way: str) -> int:
    """The most megabytes of a process that reads one picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.jpg")
        path.write_bytes(data)
        command = [sys.executable, __file__, "--one", str(path), search, way]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def one(path: Path, search: str, way: str) -> None:
    """Read one picture and print the most megabytes that it took."""
    recognizer = Recognizer(threads=1, search=search)
    recognizer.predict(path if way == "reduced" else images.read(path), "rgb")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]), *sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="FER2013 as `mien data import fer2013` writes it")
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="0: no times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    train = tables.read(options.data).split("train")
    chosen = np.sort(np.random.default_rng(options.seed).choice(len(train), options.faces, replace=False))
    figures: dict[str, Any] = {}
    if options.faces:
        figures["same"] = same(train.take(chosen).pictures(grey=True), options.seed)
    if options.rounds:
        figures["times"] = times(options.rounds)
    print(json.dumps(figures, indent=1))
    if options.record:
        record = {"command": sys.argv[1:], "figures": figures}
        options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
