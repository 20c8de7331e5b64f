"""What ``peers.py`` runs in each package's own environment; needs nothing but NumPy and that package.

    python peers_worker.py mien|fer|fer-mtcnn pictures.raw answers.json

Reads pictures, the bytes of uint8 (480, 640, 3) RGB arrays one after the other, as a camera's would come. Writes the
answers (of the largest face; null where none was found), the seconds until the first answer, imports included, the
median milliseconds of the others and the largest memory of the process.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answers = dict[str, str] | None


def with_mien() -> Callable[[Any], Answers]:
    """One answer for each label set that the file has."""
    from mien import Recognizer

    recognizer = Recognizer()
    outputs = {name: out.label_set for name, out in recognizer.model.card.outputs.items()}

    def read(picture: Any) -> Answers:
        faces = recognizer.predict(picture, color="rgb").faces
        if not faces:
            return None
        face = max(faces, key=lambda f: f.box.width * f.box.height)
        return {labels: max(face.outputs[name], key=face.outputs[name].__getitem__) for name, labels in outputs.items()}

    return read


def with_fer(mtcnn: bool) -> Callable[[Any], Answers]:
    """The same answer for both label sets: it knows one."""
    from fer.fer import FER

    detector = FER(mtcnn=mtcnn)

    def read(picture: Any) -> Answers:
        faces = detector.detect_emotions(picture[..., ::-1].copy())
        if not faces:
            return None
        face = max(faces, key=lambda f: f["box"][2] * f["box"][3])
        answer = max(face["emotions"], key=face["emotions"].__getitem__)
        return {"fer2013": answer, "ferplus": answer}

    return read


WAYS = {"mien": with_mien, "fer": lambda: with_fer(False), "fer-mtcnn": lambda: with_fer(True)}


def peak() -> float:
    """Megabytes, of this process alone: Linux's ``getrusage`` tells what the parent had, too."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("the kernel tells no peak of memory")


def main(way: str, pictures: Path, out: Path) -> None:
    """Read all pictures, write what ``peers.py`` compares."""
    began = time.perf_counter()
    import numpy as np

    read = WAYS[way]()
    answers: list[Answers] = []
    times: list[float] = []
    first = 0.0
    with pictures.open("rb") as stream:
        while data := stream.read(480 * 640 * 3):
            picture = np.frombuffer(data, np.uint8).reshape(480, 640, 3)
            started = time.perf_counter()
            answers.append(read(picture))
            times.append(time.perf_counter() - started)
            first = first or time.perf_counter() - began
    usual = 1000 * statistics.median(times[1:])
    told = {"answers": answers, "first": first, "milliseconds": usual, "megabytes": peak()}
    out.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
