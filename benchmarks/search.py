"""Which faces are found in small, large and long pictures, and what is taken for a face that is none.

    python benchmarks/search.py FER2013.parquet
    python benchmarks/search.py FER2013.parquet --widths 200 512 --record benchmarks/search.json
    python benchmarks/search.py --table benchmarks/search.json

Faces of two kinds are put into pictures of 200 to 8,000 px with a blurred background made at random: ``cut``, Training
faces of FER2013 as they come, cut at chin and brow, around them their blurred edge; and ``head``, the same faces in
the place of the one in docs/astronaut.jpg, with its hair and shoulders around them. Sizes are those of FER2013's frame.
A face is found where the middle of a detection is in the middle half of its frame and the detection is between a half
and twice as large.

``opencv`` is what mien did up to commit 7bc2c0d: one look at 800 px. ``best`` is what YuNet sees at best: the
surroundings of each face, cut out at its known place and scaled so that it measures 64, 128 or 256 px, whichever finds
most.

``false`` counts detections in pictures without faces: noise of five spectra, as even as sand and as soft as clouds,
with and without shapes on it.

``--record`` adds to a file that is there already, so that it can be made width by width.
``--table`` prints what docs/faces.md shows. MIEN_CACHE names a folder with YuNet's file where it cannot be downloaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import recording
from numpy.typing import NDArray
from samples import training_faces

from mien.detection.base import LONGEST, Detection
from mien.detection.yunet import YUNET, YuNet
from mien.download import fetch
from mien.results import Box
from mien.sources import images

Pixels = NDArray[np.uint8]
Detect = Callable[[Pixels], list[Detection]]

#: Width and height of the pictures, and how many faces of which sizes (0: as large as the picture is) are in one.
SCENES = (
    (200, 150, 1, (24, 36, 48, 96, 0)),
    (512, 384, 1, (24, 36, 48, 96, 192, 0)),
    (1280, 960, 4, (24, 36, 48, 96, 192, 0)),
    (2000, 1500, 6, (24, 48, 96, 192, 768, 0)),
    (4000, 3000, 10, (24, 48, 96, 192, 768)),
    (8000, 6000, 20, (24, 48, 96, 192)),
    (600, 6000, 10, (24, 48, 96, 192, 384)),
)
KINDS = ("cut", "head")
#: FER2013's frame of the face in the portrait (benchmarks/detectors.py), and how much of it is around a head.
PORTRAIT = Path(__file__).parents[1] / "docs" / "astronaut.jpg"
PORTRAIT_FRAME = (169, 66, 106)
BEST = (64, 128, 256)
TEXTURES = ((640, 480), (1600, 1200), (3000, 2000))


def cut(face: Pixels) -> tuple[Pixels, Box]:
    """A face (H, W) with its blurred edge, as RGB; and its frame."""
    from framing import scene

    return scene(face)


def head(face: Pixels) -> tuple[Pixels, Box]:
    """The portrait in grey with another face (H, W) in the place of its own, as RGB; and the frame."""
    portrait = cv2.cvtColor(images.read(PORTRAIT), cv2.COLOR_RGB2GRAY)
    x, y, side = PORTRAIT_FRAME
    part = portrait[y : y + side, x : x + side].astype(np.float32)
    new = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    new = (new - new.mean()) / max(float(new.std()), 1.0) * part.std() + part.mean()
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (round(side * 0.38), round(side * 0.44)), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), side * 0.05)
    portrait[y : y + side, x : x + side] = (mask * new + (1 - mask) * part).clip(0, 255)
    above = portrait[: 4 * side, : 4 * side]
    return np.asarray(cv2.cvtColor(above, cv2.COLOR_GRAY2RGB), np.uint8), Box(x, y, side, side)


def background(width: int, height: int, random: np.random.Generator) -> Pixels:
    """Soft shapes, as a landscape out of focus has."""
    coarse = random.integers(40, 216, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def composed(
    faces: list[tuple[Pixels, Box]], side: int, width: int, height: int, random: np.random.Generator
) -> tuple[Pixels, list[Box]]:
    """A picture with the faces at random places of a grid, ``side`` pixels a side; and their frames."""
    picture = background(width, height, random)
    columns = min(max(round((len(faces) * width / height) ** 0.5), 1), len(faces))
    rows = -(-len(faces) // columns)
    frames: list[Box] = []
    for index, (inner, frame) in enumerate(faces):
        cell_x, cell_y = width / columns, height / rows
        left = (index % columns) * cell_x + random.uniform(0.05, 0.95) * max(cell_x - side, 0)
        top = (index // columns) * cell_y + random.uniform(0.05, 0.95) * max(cell_y - side, 0)
        if len(faces) == 1 and side == min(width, height):
            left, top = (width - side) / 2, (height - side) / 2
        scale = side / frame.width
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        pasted = cv2.resize(inner, None, fx=scale, fy=scale, interpolation=how)
        soft = max(round(side / 8), 1)
        mask = np.zeros(pasted.shape[:2], np.float32)
        mask[soft:-soft, soft:-soft] = 1
        mask = cv2.blur(mask, (soft, soft))[..., None]
        x, y = round(left - frame.x * scale), round(top - frame.y * scale)
        area = slice(max(y, 0), min(y + pasted.shape[0], height)), slice(max(x, 0), min(x + pasted.shape[1], width))
        own = slice(area[0].start - y, area[0].stop - y), slice(area[1].start - x, area[1].stop - x)
        picture[area] = (mask[own] * pasted[own] + (1 - mask[own]) * picture[area]).astype(np.uint8)
        frames.append(Box(x + frame.x * scale, y + frame.y * scale, side, side))
    return picture, frames


def matches(found: Detection, frame: Box) -> bool:
    box = found.box
    away_x = box.x + box.width / 2 - frame.x - frame.width / 2
    away_y = box.y + box.height / 2 - frame.y - frame.height / 2
    near = abs(away_x) < frame.width / 4 and abs(away_y) < frame.height / 4
    return near and 0.5 < (box.width * box.height) ** 0.5 / frame.width < 2


def best(yunet: YuNet, picture: Pixels, frame: Box) -> list[bool]:
    """Whether a face of known place is found at each of the sizes ``BEST``."""
    half = frame.width * 1.25
    x, y = frame.x + frame.width / 2, frame.y + frame.height / 2
    left, top = max(round(x - half), 0), max(round(y - half), 0)
    part = picture[top : round(y + half), left : round(x + half)]
    there = Box(frame.x - left, frame.y - top, frame.width, frame.height)
    seen: list[bool] = []
    for size in BEST:
        longest = round(max(part.shape) * size / frame.width)
        how = cv2.INTER_AREA if size < frame.width else cv2.INTER_LINEAR
        scale = longest / max(part.shape)
        scaled = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=how), np.uint8)
        frame_there = Box(there.x * scale, there.y * scale, there.width * scale, there.height * scale)
        seen.append(any(matches(one, frame_there) for one in yunet.detect(scaled, longest=max(scaled.shape))))
    return seen


def recall(ways: dict[str, Detect], yunet: YuNet, faces: Pixels, widths: list[int], seed: int) -> list[dict[str, Any]]:
    """Shares of the faces found, and false detections, for each scene, size, kind and way to look."""
    cells: list[dict[str, Any]] = []
    for width, height, at_once, sides in SCENES:
        for side in sides if width in widths else ():
            for kind in KINDS:
                random = np.random.default_rng(seed)
                pixels = side or min(width, height)
                room = max(width // (2 * pixels), 1) * max(height // (2 * pixels), 1)
                number = 1 if not side else min(at_once, room)
                made = [globals()[kind](face) for face in faces]
                hits, false, total = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0), 0
                sizes = np.zeros(len(BEST))
                for start in range(0, len(made), number):
                    picture, frames = composed(made[start : start + number], pixels, width, height, random)
                    total += len(frames)
                    sizes += np.sum([best(yunet, picture, frame) for frame in frames], axis=0)
                    for name, way in ways.items():
                        found = way(picture)
                        hits[name] += sum(any(matches(one, frame) for one in found) for frame in frames)
                        right = [one for one in found if any(matches(one, frame) for frame in frames)]
                        false[name] += len(found) - len(right)
                        false[name] += sum(max(sum(matches(one, frame) for one in found) - 1, 0) for frame in frames)
                cell = {"width": width, "height": height, "side": pixels, "kind": kind, "faces": total}
                cell |= {"found": {name: hit / total for name, hit in hits.items()} | {"best": sizes.max() / total}}
                cells.append(cell | {"false": false})
                print(json.dumps(cells[-1]), file=sys.stderr, flush=True)
    return cells


def texture(width: int, height: int, slope: float, edges: bool, random: np.random.Generator) -> Pixels:
    """Noise whose amplitude falls with frequency to the power of ``slope``, and straight edges on it."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1
    shared = random.standard_normal((height, width))
    planes: list[NDArray[np.float64]] = []
    for _ in range(3):
        mixed = 0.6 * shared + 0.4 * random.standard_normal((height, width))
        plane = np.fft.irfft2(np.fft.rfft2(mixed) / frequency**slope, s=(height, width))
        planes.append((plane - plane.mean()) / plane.std())
    picture = np.clip(128 + 55 * np.stack(planes, axis=2), 0, 255).astype(np.uint8)
    if edges:
        for _ in range(60):
            color = tuple(random.integers(0, 256, 3).tolist())
            x, y, w, h = random.integers(0, (width, height, width // 4, height // 4)).tolist()
            if random.random() < 0.5:
                cv2.rectangle(picture, (x, y), (x + w, y + h), color, -1 if random.random() < 0.5 else 3)
            else:
                cv2.ellipse(picture, (x, y), (w // 2, h // 2), 0, 0, 360, color, -1 if random.random() < 0.5 else 3)
    return picture


def false_ones(ways: dict[str, Detect], count: int, seed: int) -> dict[str, Any]:
    """Detections in pictures without faces."""
    random = np.random.default_rng(seed)
    found = dict.fromkeys(ways, 0)
    number = 0
    for width, height in TEXTURES:
        for slope in (0, 0.5, 1, 1.5, 2):
            for edges in (False, True):
                for _ in range(count):
                    picture = texture(width, height, slope, edges, random)
                    number += 1
                    for name, way in ways.items():
                        found[name] += len(way(picture))
    return {"pictures": number, "false": found}


def table(record: dict[str, Any]) -> str:
    """The recorded figures as Markdown."""
    cells = record["figures"]["recall"]
    sides = sorted({cell["side"] for cell in cells})
    small = [side for side in sides if any(c["side"] == side and side < min(c["width"], c["height"]) for c in cells)]
    rows = []
    for width, height, *_ in SCENES:
        for kind in KINDS:
            own = {
                c["side"]: c["found"] for c in cells if (c["width"], c["height"], c["kind"]) == (width, height, kind)
            }
            if own:
                shown = [own.get(side) if side != min(width, height) else None for side in small]
                texts = [_shares(one) for one in (*shown, own.get(min(width, height)))]
                rows.append((f"{width}x{height}, {kind}", *texts))
    return recording.markdown(("picture, kind of face", *map(str, small), "whole"), rows)


def _shares(found: dict[str, float] | None) -> str:
    return "" if not found else " / ".join(f"{100 * found[name]:.0f}" for name in ("opencv", "quick", "full", "best"))


def main() -> None:
    from yunet import OpenCV

    parser = recording.parser(__doc__, data=False, faces=40, seed=0, table="docs/faces.md")
    parser.add_argument("--widths", type=int, nargs="*", default=[scene[0] for scene in SCENES], help="of pictures")
    parser.add_argument("--textures", type=int, default=2, help="pictures of each kind without faces; 0: none")
    options = parser.parse_args()
    if options.table:
        print(table(recording.read(options.table)))
        return
    cv2.setNumThreads(1)
    yunet, opencv = YuNet(fetch(YUNET), threads=1), OpenCV()
    ways: dict[str, Detect] = {
        "opencv": opencv.detect,
        "quick": lambda picture: yunet.detect(picture, longest=LONGEST),
        "full": yunet.detect,
    }
    faces = training_faces(options.data, options.faces, options.seed)
    figures: dict[str, Any] = {"recall": recall(ways, yunet, faces, options.widths, options.seed)}
    if options.textures:
        figures["textures"] = false_ones(ways, options.textures, options.seed)
    record = {"commands": [sys.argv[1:]], "figures": figures}
    if options.record:
        record = added(options.record, record)
        recording.write(options.record, record)
    print(table(record), json.dumps(record["figures"].get("textures")), sep="\n\n")


def added(file: Path, record: dict[str, Any]) -> dict[str, Any]:
    """What a file has already, with these figures; of the same scene the new ones."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"commands": [], "figures": {}}
    cells = [*before["figures"].get("recall", []), *record["figures"]["recall"]]
    kept = {(cell["width"], cell["height"], cell["side"], cell["kind"]): cell for cell in cells}
    figures = before["figures"] | record["figures"] | {"recall": list(kept.values())}
    return {"commands": [*before["commands"], *record["commands"]], "figures": figures}


if __name__ == "__main__":
    main()
