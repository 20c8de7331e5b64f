"""How well faces are found, kept apart and read in moving pictures whose truth is known.

    python benchmarks/tracking.py fer2013.parquet [--pairs 8] [--seconds 8] [--record benchmarks/tracking.json]

Pairs of FER2013's PublicTest faces that FER+'s crowd agrees on act in the scenes of ``clips.py`` (720p, 30 frames/s,
never written to disk): they walk and grow, turn by 25 degrees, cross, and hide for 0.7 s. Followed as ``mien predict``
does it, with whole frames searched each fifth time, and beside it every frame searched. For each scene:

- found: visible faces whose box was found (intersection over union of 0.3 and more), and detections that are none;
- switches: how often the number of a face changed, and the share of its frames under its most frequent number;
- right: frames read as the crowd does, by this moment's probabilities and by the smoothed ones, with and without
  turning tilted faces upright; and the crops themselves for comparison.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import recording
from clips import frames, scenes
from framing import scene as in_scene
from numpy.typing import NDArray

from mien.data import table as tables
from mien.expressions import BASIC_EIGHT
from mien.recognizer import Recognizer
from mien.results import Box, Frame
from mien.sources.source_frame import SourceFrame
from mien.tracking.options import TrackingOptions

WAYS = {
    "followed": (TrackingOptions(), False),
    "followed, upright": (TrackingOptions(), True),
    "every frame searched": (TrackingOptions(interval=1), False),
}


@dataclass
class Tally:
    """Sums over the clips of a scene."""

    visible: int = 0
    found: int = 0
    false: int = 0
    switches: int = 0
    kept: list[float] = field(default_factory=list)
    right: Counter[str] = field(default_factory=Counter)

    def add(self, clip: list[tuple[Frame, dict[str, Box]]], truth: dict[str, str]) -> None:
        """Take a clip: results with the boxes of the visible actors, and each actor's expression."""
        numbers: dict[str, list[int]] = {name: [] for name in truth}
        for frame, boxes in clip:
            self.visible += len(boxes)
            free = list(frame.faces)
            for name, box in boxes.items():
                best = max(free, key=lambda face: face.box.overlap(box), default=None)
                if best is None or best.box.overlap(box) < 0.3:
                    continue
                free.remove(best)
                self.found += 1
                numbers[name].append(best.track or 0)
                self.right["now"] += best.expression == truth[name]
                self.right["smoothed"] += best.smoothed_expression == truth[name]
            # A face that is half hidden is in no truth, and no mistake either.
            self.false += len(free) if len(boxes) == len(truth) else 0
        for given in numbers.values():
            if given:
                self.switches += sum(one != other for one, other in pairwise(given))
                self.kept.append(Counter(given).most_common(1)[0][1] / len(given))

    def to_dict(self) -> dict[str, float]:
        """In percent, and counts."""
        return {
            "visible": self.visible,
            "found": round(100 * self.found / self.visible, 2),
            "false": self.false,
            "switches": self.switches,
            "kept": round(100 * statistics.mean(self.kept), 2),
            "right": round(100 * self.right["now"] / max(self.found, 1), 2),
            "right_smoothed": round(100 * self.right["smoothed"] / max(self.found, 1), 2),
        }


def actors(data: tables.Table, count: int, seed: int) -> list[tuple[NDArray[np.uint8], str]]:
    """Faces with the crowd's expression, random but of two different ones in each pair."""
    part = data.split("validation")
    truth = part.truth("ferplus")
    rng = np.random.default_rng(seed)
    order = [int(row) for row in rng.permutation(len(part)) if truth[row] >= 0]
    chosen: list[int] = []
    while len(chosen) < count:
        row = order.pop(0)
        if len(chosen) % 2 == 0 or truth[row] != truth[chosen[-1]]:
            chosen.append(row)
    faces = [part.take(np.array([row])).pictures(grey=True)[0] for row in chosen]
    return [(face, BASIC_EIGHT[truth[row]]) for face, row in zip(faces, chosen, strict=True)]


def measure(data: tables.Table, pairs: int, seconds: float, seed: int) -> dict[str, Any]:
    """Every scene with every pair, each way."""
    cast = actors(data, 2 * pairs, seed)
    recognizers = {name: Recognizer(align=align) for name, (_, align) in WAYS.items()}
    crops = np.stack([np.repeat(face[..., None], 3, axis=2) for face, _ in cast])
    model = next(iter(recognizers.values())).model
    first = next(iter(model.card.outputs))
    labels = model.card.outputs[first].labels
    guesses = [labels[index] for index in model.score(crops)[first].argmax(axis=1)]
    found: dict[str, Any] = {
        "crops_right": round(100 * np.mean([g == t for g, (_, t) in zip(guesses, cast, strict=True)]), 2)
    }
    tallies: dict[str, dict[str, Tally]] = {}
    for pair in range(pairs):
        (one, first_truth), (other, second_truth) = cast[2 * pair : 2 * pair + 2]
        truth = {"one": first_truth, "other": second_truth}
        for scene, made in scenes([in_scene(one), in_scene(other)]).items():
            clip = list(frames(made, seconds=seconds))
            for way, (following, _) in WAYS.items():
                read = recognizers[way].read(_source_frames(clip), following)
                results = [(frame, boxes) for (_, frame), (_, _, boxes) in zip(read, clip, strict=True)]
                tallies.setdefault(scene, {}).setdefault(way, Tally()).add(results, truth)
        print(f"pair {pair + 1} of {pairs}", flush=True)
    found["scenes"] = {s: {way: tally.to_dict() for way, tally in ways.items()} for s, ways in tallies.items()}
    return found


def _source_frames(clip: list[tuple[NDArray[np.uint8], float, dict[str, Box]]]) -> Iterator[SourceFrame]:
    for index, (pixels, at, _) in enumerate(clip):
        yield SourceFrame("clip", pixels, None, index, at)


def table(found: dict[str, Any]) -> str:
    """As Markdown."""
    head = ("scene", "", "faces visible", "found, %", "false detections", "switches", "under one number, %", "right, %")
    keys = ("found", "false", "switches", "kept", "right", "right_smoothed")
    rows = [
        (scene, way, f"{f['visible']:,}", *(f[key] for key in keys))
        for scene, ways in found["scenes"].items()
        for way, f in ways.items()
    ]
    made = recording.markdown((*head, "smoothed"), rows)
    return f"{made}\n\nThe crops themselves: {found['crops_right']} % right."


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__, data=True, seed=0)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8)
    asked = parser.parse_args()
    found = measure(tables.read(asked.data), asked.pairs, asked.seconds, asked.seed)
    found |= {"pairs": asked.pairs, "seconds": asked.seconds, "seed": asked.seed}
    print(table(found))
    recording.write(asked.record, found)


if __name__ == "__main__":
    main()
