"""Frames a second of a 720p video with two faces, from the file to the table, and the memory of a long one.

    python benchmarks/video.py docs/astronaut.jpg [--rounds 5] [--minutes 10] [--record benchmarks/video.json]

The clip is made by ``clips.py`` from the sample picture. ``followed`` is ``mien predict clip.mp4 -o out.csv``;
``searched`` finds the faces of every whole frame and follows nobody (``--no-track``). The two take turns, so that a
machine whose speed drifts slows both alike; figures are medians over the rounds. Then the same clip, repeated to last
``--minutes``, in a process of its own whose largest memory is taken.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import recording
from clips import frames, portrait, scenes, write

from mien import runs
from mien.outputs.tables import File
from mien.recognizer import Recognizer
from mien.results import Box
from mien.sources.sources import source_frames
from mien.tracking.options import TrackingOptions

SECONDS = 20
WAYS = {"followed": TrackingOptions(), "searched": TrackingOptions(track=False, smooth=0)}


def clip(picture: Path, path: Path) -> int:
    """The 720p clip; returns its number of frames."""
    face, box = portrait(picture)
    grey = np.repeat(cv2.cvtColor(face[:, ::-1].copy(), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    mirrored = Box(face.shape[1] - box.x - box.width, box.y, box.width, box.height)
    return len(write(path, frames(scenes([(face, box), (grey, mirrored)])["walk"], seconds=SECONDS)))


def rate(recognizer: Recognizer, path: Path, out: Path, following: TrackingOptions) -> float:
    """Frames a second, everything included but loading the models."""
    labels = list(next(iter(recognizer.model.card.outputs.values())).labels)
    began, count = time.perf_counter(), 0
    with File(out, labels) as table:
        for _, frame in recognizer.read(source_frames(str(path)), following):
            table.write(frame)
            count += 1
    return count / (time.perf_counter() - began)


def memory(path: Path, folder: Path, minutes: float) -> dict[str, float]:
    """The most megabytes of ``mien predict`` on the clip repeated."""
    long = folder / "long.mp4"
    repeat = max(round(minutes * 60 / SECONDS), 1)
    command = ["ffmpeg", "-loglevel", "error", "-y", "-stream_loop", str(repeat - 1), "-i", str(path), "-c", "copy"]
    subprocess.run([*command, str(long)], check=True)
    reader = subprocess.Popen([sys.executable, "-m", "mien", "predict", str(long), "-o", str(folder / "long.csv")])
    peak = 0
    while reader.poll() is None:
        peak = max(peak, _peak_kb(reader.pid))
        time.sleep(0.5)
    if reader.returncode:
        raise SystemExit("mien predict failed")
    lines = sum(1 for _ in (folder / "long.csv").open())
    return {"minutes": minutes, "rows": lines - 1, "peak_mb": round(peak / 1000)}


def _peak_kb(process: int) -> int:
    """The most memory a process had so far, in kB; Linux's ``getrusage`` would tell what its parent had, too."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    load = [round(one, 1) for one in os.getloadavg()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = clip(asked.picture, folder / "clip.mp4")
        recognizer = Recognizer()
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(asked.rounds):
            for way, following in WAYS.items():
                rates[way].append(rate(recognizer, folder / "clip.mp4", folder / "out.csv", following))
        found: dict[str, Any] = {
            "frames": count,
            "frames_per_second": {way: round(statistics.median(taken), 1) for way, taken in rates.items()},
            "times_faster": round(
                statistics.median(one / other for one, other in zip(rates["followed"], rates["searched"], strict=True)),
                2,
            ),
            "detector": recognizer.detector.name,
            "machine": {"cores": os.cpu_count(), "processor": runs.processor(), "load_average": load},
        }
        if asked.minutes:
            found["long"] = memory(folder / "clip.mp4", folder, asked.minutes)
    recording.show(found, asked.record)


if __name__ == "__main__":
    main()
