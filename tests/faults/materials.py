"""The inputs of all cases, made once: pictures of our own making, a short clip, small tables, two tiny runs."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow
from pyarrow import parquet

TESTS = Path(__file__).resolve().parents[1]
SHARED = TESTS.parents[1] / "shared"
YUNET = "face_detection_yunet_2026may.onnx"

RECIPE = """
name: tiny
description: for tests
seed: 1
heads: [{label_set: ferplus}, {label_set: fer2013}]
network: {stem: [4], widths: [8, 16], depths: [1, 1]}
precision: 32-true
stages: [{epochs: 3, learning_rate: 0.05, batch_size: 20}]
"""
#: Without FER+'s contempt, which one training face has: a fold that holds it out cannot learn it.
SEVEN = RECIPE.replace("{label_set: ferplus}, ", "")
CLASSICAL = """
kind: classical
name: pixels
description: for tests
features: {kind: pixels}
reduce: {components: 5}
classifier: {kind: logistic}
search: {classifier.logistic.C: [0.001, 0.1]}
"""


def missing(need: str) -> str:
    """Why something that a command needs is not there; empty where it is."""
    if need == "ray":
        return "" if importlib.util.find_spec("ray") else "Ray is not installed: pip install 'mien[batch]'"
    if need == "ffmpeg":
        return "" if shutil.which("ffmpeg") else "there is no ffmpeg program"
    if need == "yunet":
        return "" if (SHARED / "models" / YUNET).exists() else "YuNet's file is not beside the repository"
    return ""


def make(folder: Path) -> None:
    """Fill the folder of inputs, which is empty, but for runs."""
    sys.path.insert(0, str(TESTS))
    from support.pattern_pictures import pattern, write_patterns

    rng = np.random.default_rng(0)
    for name in ("pictures", "classes", "runs", "downloads"):
        (folder / name).mkdir()
    for number in range(40):
        cv2.imwrite(str(folder / "pictures" / f"{number:02}.png"), cv2.resize(pattern(number % 7, rng), (96, 96)))
    shutil.copy(folder / "pictures" / "00.png", folder / "face.png")
    for label, name in enumerate(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")):
        (folder / "classes" / name).mkdir()
        for number in range(12):
            cv2.imwrite(str(folder / "classes" / name / f"{number}.png"), pattern(label, rng))
    _clip(folder / "clip.mp4")
    counts = {"train": 56, "validation": 28, "test": 14}
    write_patterns(folder / "table.parquet", counts)
    write_patterns(folder / "other.parquet", counts, seed=1)
    names = ["happy", "sad"]
    pictures = [(folder / "pictures" / f"{number:02}.png").read_bytes() for number in range(40)]
    rows = {"image": pictures, "label": [names[number % 2] for number in range(40)]}
    parquet.write_table(pyarrow.table(rows), folder / "pictures.parquet")
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "seven.yaml").write_text(SEVEN)
    (folder / "pixels.yaml").write_text(CLASSICAL)
    if not missing("yunet"):
        shutil.copy(SHARED / "models" / YUNET, folder / "downloads")


def train(run: Callable[[str], None]) -> None:
    """Make two tiny runs; ``run`` runs mien with words, IN being the folder of inputs."""
    run("train IN/tiny.yaml --data IN/table.parquet --accelerator cpu -o IN/run")
    run("train IN/tiny.yaml --data IN/table.parquet --accelerator cpu --set seed=2 -o IN/run2")


def _clip(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (160, 128))
    noise = np.random.default_rng(1).integers(0, 60, (128, 160, 3), np.uint8)
    for number in range(40):
        writer.write(np.roll(noise, 3 * number, axis=1) + np.uint8(4 * number))
    writer.release()
