"""How fast a model file scores faces, stage by stage, on this machine.

    python benchmarks/speed.py [MODEL] [--picture docs/astronaut.jpg] [--rounds 60]

Prints medians: one face at a time on one thread, batches of 64 on one thread and on all cores, detection and the
whole of ``Recognizer.predict`` on a picture, and ``import mien`` in fresh interpreters beside a bare one. The stages
are timed in turn, round by round, so that a machine whose speed drifts slows all of them alike.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import recording

from mien import Recognizer, models, runs
from mien.detection.detectors import build
from mien.sources.images import read

BATCH = 64


def milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    options = recording.parser(__doc__, record=False)
    options.add_argument("model", nargs="?", default=models.DEFAULT)
    options.add_argument("--picture", type=Path, default=Path(__file__).parents[1] / "docs" / "astronaut.jpg")
    options.add_argument("--rounds", type=int, default=60)
    asked = options.parse_args()
    one, all_cores = models.load(asked.model, threads=1), models.load(asked.model)
    crop = one.card.golden_crop()[None]
    batch = np.repeat(crop, BATCH, axis=0)
    picture = read(asked.picture)
    stages: dict[str, Callable[[], object]] = {
        "one face, one thread": lambda: one.score(crop),
        f"{BATCH} faces, one thread": lambda: one.score(batch),
        f"{BATCH} faces, all cores": lambda: all_cores.score(batch),
    }
    for name in ("yunet", "haar"):
        detector = build(name)
        recognizer = Recognizer(asked.model, detector=name)
        size = f"{picture.shape[1]}x{picture.shape[0]} picture"
        stages[f"{name}: detect, {size}"] = lambda detector=detector: detector.detect(picture)
        stages[f"{name}: predict, {size}"] = lambda recognizer=recognizer: recognizer.predict(picture, color="rgb")
    for action in stages.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(asked.rounds):
        for name, action in stages.items():
            times[name].append(milliseconds(action))
    print(f"{platform.machine()}, {runs.processor()}, {platform.python_version()}")
    for name, values in times.items():
        median = statistics.median(values)
        rate = f", {BATCH / median * 1000:.0f} faces/s" if name.startswith(str(BATCH)) else ""
        print(f"{name}: median {median:.2f} ms (min {min(values):.2f}, max {max(values):.2f}){rate}")
    starts: dict[str, list[float]] = {"pass": [], "import mien": [], "from mien import Recognizer": []}
    for _ in range(5):
        for program, values in starts.items():
            values.append(milliseconds(lambda p=program: subprocess.run([sys.executable, "-c", p], check=True)))
    for program, values in starts.items():
        print(f"python -c {program!r}: median {statistics.median(values):.0f} ms")


if __name__ == "__main__":
    main()
