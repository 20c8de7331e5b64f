"""How accuracy falls with the pixels that a face has in its picture.

    python benchmarks/small_faces.py FER2013.parquet --record benchmarks/small_faces.json

PublicTest faces (validation), whose frame is 48 px, are scaled down to fewer, framed and read as mien reads a picture.
Sizes are those of :attr:`mien.results.Quality.size`, a detector's box: for YuNet the frame divided by the scale of its
framing. The share read rightly on FER+'s labels is given beside that of always answering with the most frequent one,
and the least size from which on more than half of what the model knows beyond that is left.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import recording

from mien.data import table as tables
from mien.detection.framing import FER2013_FRAMING, Framing, crop
from mien.models import load
from mien.results import Box

SIDES = (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 18, 20, 24, 32, 40, 48)


def measure(data: tables.Table, model_name: str | None, count: int, seed: int) -> dict[str, Any]:
    """Shares of faces read rightly, by the pixels a side of the frame."""
    model = load(model_name)
    name, output = next(iter(model.card.outputs.items()))
    part = data.split("validation")
    truth = part.truth(output.label_set)
    labelled = np.flatnonzero(truth >= 0)
    chosen = np.sort(np.random.default_rng(seed).choice(labelled, min(count, len(labelled)), replace=False))
    faces, truth = part.take(chosen).pictures(grey=True), truth[chosen]
    most = float(np.bincount(truth).max() / len(truth))
    right: dict[str, float] = {}
    sure: dict[str, float] = {}
    for side in SIDES:
        crops = []
        for face in faces:
            small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
            picture = np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2RGB), np.uint8)
            crops.append(crop(picture, Box(0, 0, side, side), Framing(), model.card.width, model.card.height))
        scores = model.score(np.stack(crops))[name]
        right[f"{side}"] = round(float((scores.argmax(axis=1) == truth).mean()), 4)
        sure[f"{side}"] = round(float(scores.max(axis=1).mean()), 4)
    whole = right[f"{SIDES[-1]}"]
    enough = next(side for side in SIDES if all(right[f"{s}"] - most > (whole - most) / 2 for s in SIDES if s >= side))
    return {
        "model": f"{model.card.name} {model.card.version}",
        "faces": len(faces),
        "most frequent label": round(most, 4),
        "right, by the frame's side": right,
        "mean probability of the answer": sure,
        "half is left from, frame": enough,
        "half is left from, YuNet's box": round(enough / FER2013_FRAMING["yunet"].scale, 1),
    }


def main() -> None:
    parser = recording.parser(__doc__, data=True, faces=1000, seed=0)
    parser.add_argument("--model", help="an installed model or a model file; the default if left out")
    options = parser.parse_args()
    figures = measure(tables.read(options.data), options.model, options.faces, options.seed)
    recording.record(figures, options.record)


if __name__ == "__main__":
    main()
