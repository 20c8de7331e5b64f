"""How many of FER2013's faces have a mesh, by the size they are enlarged to, and how long it takes.

    python benchmarks/mesh.py FER2013.parquet
    python benchmarks/mesh.py FER2013.parquet --faces 500 --sizes 48 192 --record benchmarks/mesh.json

Training faces at random, as recipes with ``features: {kind: landmarks}`` see them. Milliseconds are of processor time a
face, one thread. MIEN_CACHE names a folder with the landmarker's file where it cannot be downloaded.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
import recording
from numpy.typing import NDArray
from samples import training_faces

from mien.classical.landmark_features import build
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
    parser = recording.parser(__doc__, data=True, faces=2000, seed=0)
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 144, 192, 256])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = training_faces(options.data, options.faces, options.seed)
    figures = [measure(faces, size) for size in options.sizes]
    recording.record(figures, options.record, faces=options.faces)


if __name__ == "__main__":
    main()
