"""The whole pipeline, faces found, framed and read, on pictures that are not as easy as FER2013's.

    python benchmarks/conditions.py fer2013.parquet [--faces 400] [--record benchmarks/conditions.json]
    python benchmarks/conditions.py --table benchmarks/conditions.json

Random PublicTest faces (validation; nothing is chosen by them but what is said here) are set into pictures of 640x480
as ``detectors.py`` does: in four sizes, turned by 15 and 30 degrees, dark, bright, and lit from one side; one condition
at a time from a face of 144 px, upright, as it is. For each detector: the share found, and of those the share read
rightly, on FER+'s labels, with tilted faces turned upright first (``align``) and without; beside it the crop itself,
cut out where the face was put, which no detector can beat by more than luck.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import recording
from detectors import placed
from framing import main_face
from numpy.typing import NDArray

from mien.data import table as tables
from mien.detection.detectors import build
from mien.detection.framing import Framing, crop
from mien.detection.quality import roll_of
from mien.errors import MissingExtraError
from mien.models import Model, load
from mien.results import Box

Pixels = NDArray[np.uint8]


def _turned(degrees: float) -> Callable[[Pixels, Box], Pixels]:
    def change(picture: Pixels, frame: Box) -> Pixels:
        centre = (frame.x + frame.width / 2, frame.y + frame.height / 2)
        matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
        turned = cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.uint8)

    return change


def _lit(factor: float) -> Callable[[Pixels, Box], Pixels]:
    return lambda picture, _: np.clip(picture * factor, 0, 255).astype(np.uint8)


def _from_one_side(picture: Pixels, frame: Box) -> Pixels:
    across = (np.arange(picture.shape[1]) - frame.x) / frame.width
    light = np.clip(1.4 - 1.1 * across, 0.3, 1.4)[None, :, None]
    return np.clip(picture * light, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Condition:
    """A side of the face's frame in pixels, and what is done to the picture."""

    name: str
    side: int = 144
    change: Callable[[Pixels, Box], Pixels] = lambda picture, _: picture


CONDITIONS = (
    Condition("as it is, 144 px"),
    Condition("48 px", side=48),
    Condition("72 px", side=72),
    Condition("288 px", side=288),
    Condition("turned by 15°", change=_turned(15)),
    Condition("turned by 30°", change=_turned(30)),
    Condition("half as bright", change=_lit(0.5)),
    Condition("half as bright again", change=_lit(1.5)),
    Condition("lit from one side", change=_from_one_side),
)


def measure(data: tables.Table, names: list[str], count: int, seed: int, model_name: str | None) -> dict[str, Any]:
    """Every condition with every detector."""
    model = load(model_name)
    output = next(iter(model.card.outputs))
    part = data.split("validation")
    truth = part.truth(model.card.outputs[output].label_set)
    labelled = np.flatnonzero(truth >= 0)
    chosen = np.sort(np.random.default_rng(seed).choice(labelled, min(count, len(labelled)), replace=False))
    faces, truth = part.take(chosen).pictures(grey=True), truth[chosen]
    found: dict[str, Any] = {}
    for condition in CONDITIONS:
        random = np.random.default_rng(seed)
        pictures = []
        for face in faces:
            picture, frame = placed(face, condition.side, random)
            pictures.append((condition.change(picture, frame), frame))
        given = [_cut(picture, frame, Framing(), model) for picture, frame in pictures]
        found[condition.name] = {"crop": _share(_right(model, output, given, truth))}
        for name in names:
            found[condition.name][name] = _through(name, pictures, truth, model, output)
        print(condition.name, json.dumps(found[condition.name]), flush=True)
    return {"model": f"{model.card.name} {model.card.version}", "faces": len(faces), "conditions": found}


def _through(name: str, pictures: list[tuple[Pixels, Box]], truth: NDArray[Any], model: Model, output: str) -> Any:
    detector = build(name)
    framing = Framing.of(model.card.framing, name)
    detections = [main_face(detector, picture, frame) for picture, frame in pictures]
    seen = np.array([one is not None for one in detections])
    if not seen.any():
        return {"found": 0.0}
    told = {"found": round(100 * float(seen.mean()), 1)}
    for way, align in (("right", False), ("right_aligned", True)):
        crops = [
            _cut(picture, one.box, framing, model, roll_of(one.landmarks) if align else 0.0)
            for (picture, _), one in zip(pictures, detections, strict=True)
            if one is not None
        ]
        told[way] = _share(_right(model, output, crops, truth[seen]))
    return told


def _cut(picture: Pixels, box: Box, framing: Framing, model: Model, roll: float = 0.0) -> Pixels:
    return crop(picture, box, framing, model.card.width, model.card.height, roll=roll)


def _right(model: Model, output: str, crops: list[Pixels], truth: NDArray[Any]) -> NDArray[np.bool_]:
    return model.score(np.stack(crops))[output].argmax(axis=1) == truth


def _share(right: NDArray[np.bool_]) -> float:
    return round(100 * float(right.mean()), 1)


def table(figures: dict[str, Any]) -> str:
    """As Markdown: found %, right % of those, the same aligned."""
    names = [name for name in next(iter(figures["conditions"].values())) if name != "crop"]
    rows = []
    for says, told in figures["conditions"].items():
        cells = [
            f"{told[name]['found']:.0f}: {told[name]['right']} / {told[name]['right_aligned']}"
            if told[name]["found"]
            else "0"
            for name in names
        ]
        rows.append((says, told["crop"], *cells))
    return recording.markdown(("", "crop given", *names), rows)


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__, data=False, faces=400, seed=0, table="docs/faces.md")
    parser.add_argument("--detectors", nargs="+", default=["yunet", "haar", "mediapipe", "mtcnn"])
    parser.add_argument("--model")
    asked = parser.parse_args()
    if asked.table:
        print(table(recording.read(asked.table)["figures"]))
        return
    names = []
    for name in asked.detectors:
        try:
            build(name)
            names.append(name)
        except MissingExtraError as error:
            print(error, file=sys.stderr)
    figures = measure(tables.read(asked.data), names, asked.faces, asked.seed, asked.model)
    print(table(figures))
    recording.write(asked.record, {"command": sys.argv[1:], "figures": figures})


if __name__ == "__main__":
    main()
