"""The edge strength of FER2013's Training faces, as they are and blurred: when a face counts as sharp.

python benchmarks/sharpness.py fer2013.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from mien.data import table as tables
from mien.detection.quality import edges

train = tables.read(Path(sys.argv[1])).split("train")
chosen = np.sort(np.random.default_rng(0).choice(len(train), 3000, replace=False))
faces = [np.repeat(face[..., None], 3, axis=2) for face in train.take(chosen).pictures(grey=True)]
for sigma in (0, 0.5, 1, 2, 3):
    seen = [edges(cv2.GaussianBlur(face, (0, 0), sigma) if sigma else face) for face in faces]
    low, median, high = np.percentile(seen, (5, 50, 95))
    print(f"blurred by {sigma} px: 5 % below {low:.2f}, median {median:.2f}, 5 % above {high:.2f}")
