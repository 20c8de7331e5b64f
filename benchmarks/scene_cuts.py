"""Whether a track ends where a clip is cut, and goes on where it is not.

    python benchmarks/scene_cuts.py FER2013.parquet [--clips 8] [--record benchmarks/scene_cuts.json]
    python benchmarks/scene_cuts.py --table benchmarks/scene_cuts.json

Clips (640x360, with noise, never written to disk) are made of PublicTest faces, tinted, each with its blurred edge,
before a backdrop. At a cut another person is in the same place at the same size, the worst case for a tracker.
``clips`` of each kind are followed as ``mien predict`` does it, and beside it with every frame taken for a continuation
of the last.

- cut: share of the cuts after which the second person has the number of the first.
- same scene: share of the clips in which the one person who acts in it gets a second number.

The least and greatest figures on which ``mien.tracking.cuts`` decides are given of the frames at a cut, and of all
others: correlation with the last frame, that of its middle anywhere, the colors shared, and how unlike (1 - cosine)
the face looks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import recording
from clips import Actor, Pose, _paste
from framing import scene as in_scene
from numpy.typing import NDArray

from mien.data import table as tables
from mien.detection.detectors import build
from mien.results import Box
from mien.tracking import cuts
from mien.tracking.follower import Follower
from mien.tracking.tracker import _thumbnail

Pixels = NDArray[np.uint8]
Frame = tuple[Pixels, float, Box, bool]
WIDTH, HEIGHT = 640, 360
BACKDROPS = ("shapes", "plain", "studio", "dark")


def backdrop(kind: str, seed: int) -> Pixels:
    """Four frames wide and two high, so that a camera can be moved over it."""
    rng = np.random.default_rng(seed)
    wide, high = WIDTH * 4, HEIGHT * 2
    if kind == "plain":
        return np.full((high, wide, 3), rng.integers(60, 200, 3), np.uint8)
    if kind == "studio":  # the same wall whatever the seed
        column = np.linspace(90, 160, high)[:, None, None] * np.array([0.8, 0.9, 1.0])
        return np.broadcast_to(column, (high, wide, 3)).astype(np.uint8)
    low, top = (5, 40) if kind == "dark" else (40, 215)
    cells = (high // int(rng.integers(20, 90)), wide // int(rng.integers(20, 90)), 3)
    coarse = rng.integers(low, top, cells, dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (wide, high), interpolation=cv2.INTER_CUBIC), np.uint8)


def shot(
    actor: Actor,
    behind: Pixels,
    rng: np.random.Generator,
    *,
    seconds: float,
    rate: float,
    pan: tuple[float, float] = (0.0, 0.0),
    light: Callable[[int, NDArray[np.float32]], NDArray[np.float32]] | None = None,
    begin: float = 0.0,
) -> Iterator[Frame]:
    """Frames, their times, where the face is, and whether the frame is the first after a cut."""
    for index in range(round(seconds * rate)):
        at = index / rate
        place = (-round(pan[0] * at * WIDTH), -round(pan[1] * at * HEIGHT))
        canvas = np.ascontiguousarray(np.roll(behind, place, axis=(1, 0))[:HEIGHT, :WIDTH])
        box = _paste(canvas, actor, actor.way(at))
        values = canvas.astype(np.float32)
        if light:
            values = light(index, values)
        values += rng.normal(0, 4, values.shape)
        yield values.clip(0, 255).astype(np.uint8), begin + at, box, index == 0 and begin > 0


def still(_: float) -> Pose:
    """In the middle."""
    return Pose(0.5, 0.28, 0.13)


def cut_clip(one: Actor, other: Actor, kind: str, seed: int, rate: float) -> Iterator[Frame]:
    """Half a second of one person, half a second of the other."""
    rng = np.random.default_rng(seed)
    yield from shot(one, backdrop(kind, seed), rng, seconds=0.6, rate=rate)
    yield from shot(other, backdrop(kind, seed + 1000), rng, seconds=0.6, rate=rate, begin=0.6)


def _flash(strength: float, every: int, many: int) -> Callable[[int, NDArray[np.float32]], NDArray[np.float32]]:
    return lambda index, values: values * (strength if index % every >= every - many else 1)


def _covered(index: int, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A hand before the camera for four frames."""
    if 8 <= index < 12:
        grain = cv2.resize(np.linspace(20, 120, 48, dtype=np.float32).reshape(6, 8), (WIDTH, HEIGHT))
        return np.asarray(grain[..., None] * np.array([1.0, 0.7, 0.6]), np.float32)
    return values


Way = Callable[[float], Pose]
#: Name to the person's way, frames a second, and how the camera and the light change.
SAME_SCENE: dict[str, tuple[Way, float, dict[str, Any]]] = {
    "walk": (lambda t: Pose(0.5 + 0.1 * math.sin(t), 0.28, 0.13), 25, {}),
    "run, 1 width/s": (lambda t: Pose(0.15 + t, 0.28, 0.13), 25, {"seconds": 0.7}),
    "run, 1 width/s, 10 frames/s": (lambda t: Pose(0.15 + 0.7 * t, 0.28, 0.13), 10, {}),
    "head shaken, 25 degrees, 1.5 times/s": (lambda t: Pose(0.5, 0.28, 0.13, turn=25 * math.sin(9 * t)), 25, {}),
    "zoom, 2 times/s": (lambda t: Pose(0.5, 0.28, 0.09 * 2**t), 25, {}),
    "camera, 0.5 widths/s": (lambda t: Pose(0.75 - 0.5 * t, 0.28, 0.13), 25, {"pan": (0.5, 0)}),
    "camera, 1 width/s": (lambda t: Pose(0.85 - t, 0.28, 0.13), 25, {"pan": (1, 0), "seconds": 0.7}),
    "camera with the person, 1.5 widths/s": (still, 25, {"pan": (1.5, 0)}),
    "camera shakes": (lambda t: Pose(0.5 + 0.03 * math.sin(40 * t), 0.28 + 0.02 * math.cos(33 * t), 0.13), 25, {}),
    "light halved, 6 times/s": (still, 25, {"light": _flash(0.5, 4, 2)}),
    "flashes, 2.5 times as bright": (still, 25, {"light": _flash(2.5, 8, 1)}),
    "flashes, 6 times as bright, two frames": (still, 25, {"light": _flash(6, 8, 2)}),
    "lens covered, 0.16 s": (still, 25, {"light": _covered}),
}


class Still(cuts.SceneCuts):
    """Takes each frame for a continuation of the last: what mien did before."""

    def update(self, picture: Pixels, at: float) -> cuts.Change:
        """No change."""
        return cuts.Change.NONE


def numbers(clip: list[Frame], detector: Any, *, aware: bool) -> list[int | None]:
    """The number of the person of each frame; None where the face was not found."""
    follower = Follower(detector)
    if not aware:
        follower._cuts = Still()
    given: list[int | None] = []
    for picture, at, box, _ in clip:
        found = [(one.box.overlap(box), track) for one, track in follower.update(picture, at)]
        overlap, track = max(found, default=(0.0, 0))
        given.append(track if overlap > 0.2 else None)
    return given


def figures(clip: list[Frame], *, at_cut: bool) -> list[list[float]]:
    """On what is decided, of each pair of frames."""
    rows: list[list[float]] = []
    for (one, _, first, _), (other, _, second, begins) in pairwise(clip):
        if begins is at_cut:
            a, b = cuts.reduced(one), cuts.reduced(other)
            looks = 1 - float(_thumbnail(one, first) @ _thumbnail(other, second))
            rows.append([cuts.correlation(a, b), cuts.shifted(a, b), cuts.colors_shared(a, b), looks])
    return rows


def spread(rows: list[list[float]]) -> dict[str, list[float]]:
    """Least, median and greatest of each figure."""
    columns = np.array(rows).T
    names = ("correlation", "middle anywhere", "colors shared", "face unlike")
    return {
        name: [round(float(value), 2) for value in np.percentile(column, [0, 50, 100])]
        for name, column in zip(names, columns, strict=True)
    }


def actors(data: tables.Table, count: int, seed: int, way: Way) -> list[Actor]:
    """Persons of different faces and tints."""
    part = data.split("validation")
    rng = np.random.default_rng(seed)
    made: list[Actor] = []
    for row in rng.permutation(len(part))[:count]:
        pixels, box = in_scene(part.take(np.array([row])).pictures(grey=True)[0])
        tint = np.array([1.0, rng.uniform(0.75, 0.95), rng.uniform(0.6, 0.9)]) * rng.uniform(0.7, 1.05)
        made.append(Actor(str(row), (pixels * tint).clip(0, 255).astype(np.uint8), box, way))
    return made


def measure(data: tables.Table, clips: int, seed: int) -> dict[str, Any]:
    """All kinds, with and without."""
    detector = build("auto")
    found: dict[str, Any] = {"cut": {}, "same scene": {}}
    cast = actors(data, 2 * clips, seed, still)
    for kind in BACKDROPS:
        made = [list(cut_clip(cast[2 * k], cast[2 * k + 1], kind, seed + k, 25)) for k in range(clips)]
        found["cut"][kind] = {
            "kept": {name: _kept(made, detector, aware) for name, aware in (("before", False), ("now", True))},
            "figures": spread([row for clip in made for row in figures(clip, at_cut=True)]),
        }
    for name, (way, rate, options) in SAME_SCENE.items():
        cast = actors(data, clips, seed, way)
        settings: dict[str, Any] = {"seconds": 1.0, **options}
        made = [
            list(
                shot(
                    cast[k],
                    backdrop(BACKDROPS[k % len(BACKDROPS)], seed + k),
                    np.random.default_rng(seed + k),
                    rate=rate,
                    **settings,
                )
            )
            for k in range(clips)
        ]
        found["same scene"][name] = {
            "broken": {name: _broken(made, detector, aware) for name, aware in (("before", False), ("now", True))},
            "figures": spread([row for clip in made for row in figures(clip, at_cut=False)]),
        }
        print(name, found["same scene"][name], file=sys.stderr, flush=True)
    return found


def _kept(made: list[list[Frame]], detector: Any, aware: bool) -> list[int]:
    """Cuts over which a number was kept, and cuts before and after which the person was found."""
    kept = seen = 0
    for clip in made:
        given = numbers(clip, detector, aware=aware)
        begin = next(index for index, frame in enumerate(clip) if frame[3])
        before, after = ({one for one in part if one is not None} for part in (given[:begin], given[begin:]))
        seen += bool(before and after)
        kept += bool(before & after)
    return [kept, seen]


def _broken(made: list[list[Frame]], detector: Any, aware: bool) -> list[int]:
    """Clips with more than one number, and clips in which the person was found."""
    given = [{one for one in numbers(clip, detector, aware=aware) if one is not None} for clip in made]
    return [sum(len(one) > 1 for one in given), sum(bool(one) for one in given)]


def table(found: dict[str, Any]) -> str:
    """As Markdown."""
    made = []
    for part, what, of in (
        ("cut", "cut, other person in the same place", "kept"),
        ("same scene", "same scene", "broken"),
    ):
        rows = [(name, _of(row[of]["before"]), _of(row[of]["now"])) for name, row in found[part].items()]
        made.append(recording.markdown((what, f"{of} before", f"{of} now"), rows))
    return "\n\n".join(made)


def _of(counts: list[int]) -> str:
    return f"{counts[0]} of {counts[1]}"


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__, data=False, seed=0, table="docs/output.md")
    parser.add_argument("--clips", type=int, default=8)
    asked = parser.parse_args()
    if asked.table:
        print(table(recording.read(asked.table)))
        return
    found = measure(tables.read(asked.data), asked.clips, asked.seed) | {"clips": asked.clips, "seed": asked.seed}
    print(table(found))
    recording.write(asked.record, found)


if __name__ == "__main__":
    main()
