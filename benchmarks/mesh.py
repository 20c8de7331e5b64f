"""How many of FER2013's faces have a mesh, by the size they are enlarged to, and how long it takes.

    python benchmarks/mesh.py FER2013.parquet
    python benchmarks/mesh.py FER2013.parquet --faces 500 --sizes 48 192 --record benchmarks/mesh.json

Training faces at random, as recipes with ``features: {kind: landmarks}`` see them. Milliseconds are of processor time a
face, one thread. MIEN_CACHE names a folder with the landmarker's file where it cannot be downloaded.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from recording import record

from mien.classical.landmark_features import build
from mien.data import table as tables
from mien.recipes.classical_schema import LandmarkFeatures


def measure(faces: NDArray[np.uint8], size: int) -> dict[str, float]:
    """Share of the faces (N, S, S) that have a mesh, and milliseconds a face."""
    features = build(LandmarkFeatures(kind="landmarks", encoding="angles", size=size))
    features(faces[:1])
    started = time.process_time()
    found = features(faces)
    ms = 1000 * (time.process_time() - started) / len(faces)
    return {"size": size, "found": float(np.isfinite(found).all(axis=1).mean()), "ms": round(ms, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description="How many of FER2013's faces have a mesh, by size.")
    parser.add_argument("data", type=Path, help="FER2013 as `mien data import fer2013` writes it")
    parser.add_argument("--faces", type=int, default=2000, help="how many, at random from the Training ones")
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 144, 192, 256])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="write the figures into this JSON file as well")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    train = tables.read(options.data).split("train")
    chosen = np.sort(np.random.default_rng(options.seed).choice(len(train), options.faces, replace=False))
    faces = train.take(chosen).pictures(grey=True)
    figures = [measure(faces, size) for size in options.sizes]
    record(figures, options.record, faces=options.faces)


if __name__ == "__main__":
    main()
