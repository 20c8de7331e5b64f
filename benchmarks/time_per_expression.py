"""How well a clip of several people is summed up: seconds per expression, read against what was shown.

    python benchmarks/time_per_expression.py fer2013.parquet [--people 4] [--seconds 24] [--clips 5] [--record FILE]

The pipeline of systems that watch several people on a screen: detection, tracking, a network, time per expression. The
clip is made (720p, 30 frames/s, never written to disk): people side by side, each moving a little; every three seconds
each shows another of FER2013's PublicTest faces that FER+'s crowd agrees on. So the seconds of each expression are
known. Read as ``mien predict`` reads a video. It measures what such a system can know of visible expressions; inferring
emotions of people at work or in education is prohibited in the European Union (docs/use.md).

- found: visible faces whose box was found (intersection over union of 0.3 and more);
- right: of those, read as the crowd does, by the moment's and by the smoothed probabilities;
- off: of each person's seconds, the share that is counted for a wrong expression or not at all: half the sum of the
  differences between seconds shown and read, over the seconds shown.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import recording
from clips import Actor, Pose, frames
from framing import scene
from numpy.typing import NDArray

from mien.data import table as tables
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from mien.recognizer import Recognizer, TrackingOptions
from mien.sources.source_frame import SourceFrame

RATE, EACH = 30, 3
RECORD = Path(__file__).with_suffix(".json")


def faces(data: tables.Table, count: int, seed: int) -> list[tuple[NDArray[np.uint8], str]]:
    """Random faces with the crowd's expression, the seven in turn."""
    part = data.split("validation")
    truth, rng = part.truth("ferplus"), np.random.default_rng(seed)
    of = [rng.permutation(np.flatnonzero(truth == BASIC_EIGHT.index(name))) for name in BASIC_SEVEN]
    rows = [of[place % len(of)][place // len(of)] for place in range(count)]
    grey = part.take(np.array(rows)).pictures(grey=True)
    order = rng.permutation(count)
    return [(grey[place], BASIC_SEVEN[place % len(of)]) for place in order]


def actors(cast: list[tuple[NDArray[np.uint8], str]], people: int) -> tuple[list[Actor], dict[str, str]]:
    """One actor for each person and three seconds; and each actor's expression."""
    found, truth = [], {}
    for place, (face, expression) in enumerate(cast):
        person, turn = place % people, place // people

        def way(at: float, person: int = person, turn: int = turn) -> Pose:
            sway = 0.01 * math.sin(2 * math.pi * (at / 5 + person / people))
            x = (person + 0.5) / people + sway
            return Pose(x, 0.28 + sway, min(0.14, 0.6 / people), shown=turn == int(at / EACH))

        name = f"{person}-{turn}"
        picture, box = scene(face)
        found.append(Actor(name, picture, box, way))
        truth[name] = expression
    return found, truth


def measure(data: tables.Table, people: int, seconds: int, clips: int, seed: int) -> dict[str, Any]:
    recognizer = Recognizer()
    visible = matched = now = smoothed = 0
    shown, read = Counter[str](), Counter[str]()
    off = []
    for clip in range(clips):
        cast, truth = actors(faces(data, people * seconds // EACH, seed + clip), people)
        made = list(frames(cast, seconds=seconds, rate=RATE))
        sources = (SourceFrame("clip", pixels, None, index, at) for index, (pixels, at, _) in enumerate(made))
        own = [(Counter[str](), Counter[str]()) for _ in range(people)]
        for (_, frame), (_, _, boxes) in zip(recognizer.read(sources, TrackingOptions()), made, strict=True):
            free = list(frame.faces)
            for name, box in boxes.items():
                person = own[int(name.partition("-")[0])]
                visible += 1
                person[0][truth[name]] += 1
                best = max(free, key=lambda face: face.box.overlap(box), default=None)
                if best is None or best.box.overlap(box) < 0.3:
                    continue
                free.remove(best)
                matched += 1
                now += best.expression == truth[name]
                smoothed += best.smoothed_expression == truth[name]
                person[1][str(best.smoothed_expression)] += 1
        for seen, said in own:
            shown.update(seen)
            read.update(said)
            wrong = sum(max(count - said[name], 0) for name, count in seen.items())
            off.append(wrong / seen.total())
        print(f"clip {clip + 1} of {clips}", flush=True)
    return {
        "people": people,
        "seconds": seconds,
        "clips": clips,
        "visible": visible,
        "found": round(100 * matched / visible, 2),
        "right": round(100 * now / matched, 2),
        "right_smoothed": round(100 * smoothed / matched, 2),
        "off": round(100 * float(np.mean(off)), 1),
        "expressions": {name: [round(shown[name] / RATE, 1), round(read[name] / RATE, 1)] for name in BASIC_SEVEN},
    }


def table(found: dict[str, Any]) -> str:
    """As Markdown."""
    lines = ["| | " + " | ".join(found["expressions"]) + " |", "|---|" + "---|" * len(found["expressions"])]
    for place, name in enumerate(("seconds shown", "seconds read")):
        lines.append(f"| {name} | " + " | ".join(f"{row[place]:g}" for row in found["expressions"].values()) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = recording.parser(__doc__, data=False, seed=0)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=24)
    parser.add_argument("--clips", type=int, default=5)
    asked = parser.parse_args()
    if asked.data is None:
        print(table(recording.read(RECORD)["figures"]))
        return
    found = measure(tables.read(asked.data), asked.people, asked.seconds, asked.clips, asked.seed)
    print(table(found))
    recording.record(found, asked.record)


if __name__ == "__main__":
    main()
