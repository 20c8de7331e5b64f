"""How a detector's box becomes FER2013's frame, and what the framing costs.

    python benchmarks/framing.py measure  FER2013.parquet
    python benchmarks/framing.py pipeline FER2013.parquet --split validation
    python benchmarks/framing.py pipeline FER2013.parquet --split test --record benchmarks/framing.json

The table is the one that ``mien data import fer2013`` writes.

``measure`` sets Training faces into a larger scene (the face enlarged, around it its own edge, blurred), lets
each detector find them, and compares the boxes with the frame the face came in. The medians are the constants
of ``mien.detection.framing``. Of the measures of a box's size (width, height, roots and means of both) the one whose
ratio to the frame spreads least is the one to use.

``pipeline`` scores the faces of a split twice: as they are, and through detection, framing and resizing. A
face that is not found counts as wrong. The framing in use is also tried 10 and 20 % tighter and wider.
Margins are chosen on the validation split; the test split is for reporting.

MIEN_CACHE names a folder with the file of YuNet where it cannot be downloaded.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import recording
from numpy.typing import NDArray

from mien.data import table
from mien.detection.base import Detection, Detector
from mien.detection.detectors import build
from mien.detection.framing import FER2013_FRAMING, Framing, crop
from mien.models import load
from mien.results import Box

ENLARGE = 4
MARGIN = 12  # pixels of the face as it is, on each side
BLUR = 4.0
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2)


def scene(face: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Box]:
    """The face (H, W) enlarged, its blurred edge around it, as RGB; and the box it lies in."""
    height, width = face.shape
    around = cv2.copyMakeBorder(face, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    around = cv2.GaussianBlur(around, (0, 0), BLUR)
    large = cv2.resize(around, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_LINEAR)
    inner = cv2.resize(face, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC)
    offset = MARGIN * ENLARGE
    large[offset : offset + inner.shape[0], offset : offset + inner.shape[1]] = inner
    picture = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)
    return picture, Box(offset, offset, width * ENLARGE, height * ENLARGE)


def main_face(detector: Detector, picture: NDArray[np.uint8], frame: Box) -> Detection | None:
    """The largest detection whose centre is in the middle half of the frame; None without one."""
    near = [
        one
        for one in detector.detect(picture)
        if abs(one.box.x + one.box.width / 2 - frame.x - frame.width / 2) < frame.width / 4
        and abs(one.box.y + one.box.height / 2 - frame.y - frame.height / 2) < frame.height / 4
    ]
    return max(near, key=lambda one: one.box.width * one.box.height, default=None)


def measure(data: table.Table, names: list[str], count: int, seed: int) -> dict[str, Any]:
    """Boxes against frames on random Training faces, per detector."""
    train = data.split("train")
    chosen = np.sort(np.random.default_rng(seed).choice(len(train), min(count, len(train)), replace=False))
    faces = train.take(chosen).pictures(grey=True)
    return {name: _measure(build(name), faces) for name in names}


def _measure(detector: Detector, faces: NDArray[np.uint8]) -> dict[str, Any]:
    rows = []
    for face in faces:
        picture, frame = scene(face)
        found = main_face(detector, picture, frame)
        if found:
            box = found.box
            dx = (frame.x + frame.width / 2 - box.x - box.width / 2) / box.width
            dy = (frame.y + frame.height / 2 - box.y - box.height / 2) / box.height
            rows.append((dx, dy, box.width / frame.width, box.height / frame.height))
    dx, dy, width, height = np.array(rows).T
    sizes = {
        "width": width,
        "height": height,
        "sqrt(width*height)": np.sqrt(width * height),
        "(width+height)/2": (width + height) / 2,
        "max": np.maximum(width, height),
    }
    return {
        "faces": len(faces),
        "found": len(rows) / len(faces),
        "dx": _spread(dx),
        "dy": _spread(dy),
        "scale": {name: _spread(1 / size) | {"log_sd": float(np.log(size).std())} for name, size in sizes.items()},
    }


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    low, median, high = np.percentile(values, (25, 50, 75))
    return {"median": float(median), "quartile_low": float(low), "quartile_high": float(high)}


def pipeline(
    data: table.Table, names: list[str], split: str, count: int | None, seed: int, model_name: str | None
) -> dict[str, Any]:
    """Accuracy of the crops as they are and of the whole pipeline, per detector, scale and output."""
    model = load(model_name)
    part = data.split(split)
    if count is not None and count < len(part):
        part = part.take(np.sort(np.random.default_rng(seed).choice(len(part), count, replace=False)))
    faces = part.pictures(grey=True)
    # The label a face has in each output's label set; -1 where it has none.
    truths = {
        name: part.truth(output.label_set)
        for name, output in model.card.outputs.items()
        if output.label_set in part.label_sets
    }
    size = (model.card.width, model.card.height)
    as_is = np.stack([crop(_rgb(face), _whole(face), Framing(), *size) for face in faces])
    everyone = np.ones(len(faces), bool)
    plain = _right(model, as_is, everyone, truths)
    report: dict[str, Any] = {
        "model": f"{model.card.name} {model.card.version}",
        "split": split,
        "crop_only": {name: _accuracy(right, truths[name]) for name, right in plain.items()},
    }
    for name in names:
        framing = Framing.from_dict(model.card.framing.get(name, FER2013_FRAMING[name].to_dict()))
        detector = build(name)
        detections = [main_face(detector, *scene(face)) for face in faces]
        found = np.array([one is not None for one in detections])
        same = {output: _accuracy(right[found], truths[output][found]) for output, right in plain.items()}
        report[name] = {"found": float(found.mean()), "crop_only_where_found": same, "scales": {}}
        for factor in SCALES:
            wider = dataclasses.replace(framing, scale=framing.scale * factor)
            crops = np.stack(
                [
                    crop(scene(face)[0], one.box, wider, *size)
                    for face, one in zip(faces, detections, strict=True)
                    if one is not None
                ]
            )
            right = _right(model, crops, found, truths)
            report[name]["scales"][f"{factor:g}"] = {
                output: {
                    "all": _accuracy(hit, truths[output]),
                    "found": _accuracy(hit[found], truths[output][found]),
                }
                for output, hit in right.items()
            }
    return report


def _rgb(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(face[..., None], 3, axis=2)


def _whole(face: NDArray[np.uint8]) -> Box:
    return Box(0, 0, face.shape[1], face.shape[0])


def _right(
    model: Any, crops: NDArray[np.uint8], found: NDArray[np.bool_], truths: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.bool_]]:
    """Per output (N,): the face was found and its most probable label is the true one."""
    parts = [model.score(crops[start : start + 256]) for start in range(0, len(crops), 256)]
    right = {}
    for name, truth in truths.items():
        hit = np.zeros(len(found), bool)
        hit[found] = np.concatenate([part[name] for part in parts]).argmax(axis=1) == truth[found]
        right[name] = hit
    return right


def _accuracy(right: NDArray[np.bool_], truth: NDArray[np.int64]) -> dict[str, float]:
    labelled = truth >= 0
    return {"n": int(labelled.sum()), "accuracy": round(float(right[labelled].mean()), 4)}


def main() -> None:
    parser = recording.parser(__doc__, seed=0)
    parser.add_argument("mode", choices=("measure", "pipeline"))
    parser.add_argument("table", type=Path)
    parser.add_argument("--detectors", nargs="+", default=["yunet", "haar"])
    parser.add_argument("--faces", type=int, help="how many faces at random (measure: 1000; pipeline: all)")
    parser.add_argument("--split", default="test", choices=table.SPLITS, help="pipeline: which faces")
    parser.add_argument("--model", help="pipeline: name or file of the model")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    data = table.read(options.table)
    if options.mode == "measure":
        figures = measure(data, options.detectors, options.faces or 1000, options.seed)
    else:
        figures = pipeline(data, options.detectors, options.split, options.faces, options.seed, options.model)
    recording.record(figures, options.record)


if __name__ == "__main__":
    main()
