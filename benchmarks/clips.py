"""Videos whose truth is known: faces that move, grow, turn, cross and hide on a changing background.

    python benchmarks/clips.py picture.jpg clip.mp4 [--seconds 10] [--scene cross]

Used by the measurements of tracking and speed. An actor is a picture of a face; it is pasted with a soft edge, and its
box in each frame is what the frame of that picture became. Nothing made from FER2013 is committed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import recording
from numpy.typing import NDArray

from mien.results import Box

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pose:
    """Where a face is at a time: its centre and size as shares of the frame's width, degrees it is turned."""

    x: float
    y: float
    size: float
    turn: float = 0.0
    shown: bool = True


@dataclass(frozen=True)
class Actor:
    """A face and its way through the clip.

    Attributes:
        name: tells actors apart.
        picture: RGB uint8 (H, W, 3) with the face in its middle.
        box: the face in the picture.
        way: time in seconds to a pose; of two that meet, the later actor is in front.
    """

    name: str
    picture: Pixels
    box: Box
    way: Callable[[float], Pose]


Frame = tuple[Pixels, float, dict[str, Box]]


def frames(
    actors: list[Actor], *, seconds: float, width: int = 1280, height: int = 720, rate: int = 30
) -> Iterator[Frame]:
    """Frames (RGB), their times, and each visible actor's box.

    A box is left out where another face covers more than a third of it.
    """
    backdrop = _backdrop(width, height)
    for number in range(round(seconds * rate)):
        at = number / rate
        shift = (round(60 * at), round(25 * at))
        canvas = np.ascontiguousarray(np.roll(backdrop, shift, axis=(1, 0))[:height, :width])
        boxes: dict[str, Box] = {}
        for actor in actors:
            pose = actor.way(at)
            if pose.shown:
                boxes[actor.name] = _paste(canvas, actor, pose)
        names = list(boxes)
        clear = {
            name: boxes[name]
            for index, name in enumerate(names)
            if not any(_covered(boxes[name], boxes[other]) > 1 / 3 for other in names[index + 1 :])
        }
        yield canvas, at, clear


def scenes(pictures: list[tuple[Pixels, Box]]) -> dict[str, list[Actor]]:
    """The scenes by name, each with two actors."""
    (one, first), (other, second) = pictures[:2]

    def actors(*ways: Callable[[float], Pose]) -> list[Actor]:
        made = (Actor("one", one, first, ways[0]), Actor("other", other, second, ways[1]))
        return list(made)

    def wave(at: float, period: float) -> float:
        return math.sin(2 * math.pi * at / period)

    return {
        "walk": actors(
            lambda at: Pose(0.28 + 0.1 * wave(at, 7), 0.3 + 0.05 * wave(at, 5), 0.13 + 0.03 * wave(at, 6)),
            lambda at: Pose(0.72 + 0.1 * wave(at, 6), 0.3 + 0.04 * wave(at, 4), 0.12 + 0.02 * wave(at, 9)),
        ),
        "turn": actors(
            lambda at: Pose(0.3, 0.3, 0.14, turn=25 * wave(at, 4)),
            lambda at: Pose(0.7, 0.3, 0.14, turn=-25 * wave(at, 5)),
        ),
        "cross": actors(
            lambda at: Pose(0.5 + 0.32 * wave(at, 6), 0.29, 0.13),
            lambda at: Pose(0.5 - 0.32 * wave(at, 6), 0.31, 0.15),
        ),
        "hide": actors(
            lambda at: Pose(0.3 + 0.05 * wave(at, 5), 0.3, 0.14, shown=at % 3 < 2.3),
            lambda at: Pose(0.7 + 0.05 * wave(at, 4), 0.3, 0.14, shown=(at + 1.2) % 3 < 2.3),
        ),
    }


def _backdrop(width: int, height: int) -> Pixels:
    """Smooth coloured noise, wide enough to be moved along."""
    rng = np.random.default_rng(0)
    small = rng.integers(40, 215, (height // 40, width // 40, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _paste(canvas: Pixels, actor: Actor, pose: Pose) -> Box:
    """Put the actor's picture on the canvas; the upright box around the face as it lies there."""
    height, width = canvas.shape[:2]
    scale = pose.size * width / actor.box.width
    centre = (actor.box.x + actor.box.width / 2, actor.box.y + actor.box.height / 2)
    matrix = cv2.getRotationMatrix2D(centre, -pose.turn, scale)
    matrix[:, 2] += np.array([pose.x * width, pose.y * width]) - np.array(centre)
    rows, columns = actor.picture.shape[:2]
    mask = np.zeros((rows, columns), np.float32)
    middle = (round(centre[0]), round(centre[1]))
    axes = (round(min(centre[0], columns - centre[0]) * 0.9), round(min(centre[1], rows - centre[1]) * 0.9))
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), max(columns / 40, 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    face = cv2.warpAffine(actor.picture, matrix, (width, height), flags=how).astype(np.float32)
    share = cv2.warpAffine(mask, matrix, (width, height))[..., None]
    canvas[:] = np.rint(canvas * (1 - share) + face * share).astype(np.uint8)
    x, y = pose.x * width, pose.y * width
    wide, high = actor.box.width * scale, actor.box.height * scale
    return Box(x - wide / 2, y - high / 2, wide, high)


def _covered(box: Box, by: Box) -> float:
    width = min(box.x + box.width, by.x + by.width) - max(box.x, by.x)
    height = min(box.y + box.height, by.y + by.height) - max(box.y, by.y)
    return max(width, 0) * max(height, 0) / (box.width * box.height)


def write(path: Path, made: Iterator[Frame], rate: int = 30) -> list[tuple[float, dict[str, Box]]]:
    """Write frames to a video file; returns the truth."""
    from mien.outputs.video_writer import Movie

    movie, truth = Movie(path, rate=rate), []
    for pixels, at, boxes in made:
        movie.write(pixels, at)
        truth.append((at, boxes))
    movie.close()
    return truth


def portrait(path: Path) -> tuple[Pixels, Box]:
    """A picture and the largest face in it."""
    from mien.detection.detectors import build
    from mien.sources.images import read

    pixels = read(path)
    found = max(build("auto").detect(pixels), key=lambda one: one.box.width)
    x, y, side = round(found.box.x), round(found.box.y), round(found.box.width)
    left, top = max(x - side // 2, 0), max(y - side // 2, 0)
    part = np.ascontiguousarray(pixels[top : y + round(found.box.height) + side // 2, left : x + side + side // 2])
    return part, Box(found.box.x - left, found.box.y - top, found.box.width, found.box.height)


def main() -> None:
    parser = recording.parser(__doc__, record=False)
    parser.add_argument("picture", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--scene", default="walk")
    arguments = parser.parse_args()
    face, box = portrait(arguments.picture)
    mirrored = np.ascontiguousarray(face[:, ::-1])
    grey = np.repeat(cv2.cvtColor(mirrored, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    flipped = Box(face.shape[1] - box.x - box.width, box.y, box.width, box.height)
    actors = scenes([(face, box), (grey, flipped)])[arguments.scene]
    truth = write(arguments.clip, frames(actors, seconds=arguments.seconds))
    print(f"{arguments.clip}: {len(truth)} frames")


if __name__ == "__main__":
    main()
