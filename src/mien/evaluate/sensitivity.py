"""How much worse a model reads faces that are framed, lit or stored less well than those of a data set.

Each corruption is a small set of variants (to the left, to the right, ...) whose figures are averaged. What a shift or
a wider frame brings into the picture is its edge, repeated: tables hold no more of the scene. Owns the corruptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.table import Table
from mien.evaluate.predictions import predict
from mien.models import Model

Picture = NDArray[np.uint8]
Variant = Callable[[Picture], Picture]


@dataclass(frozen=True)
class Sensitivity:
    """What one corruption does.

    Attributes:
        name: as in ``shifted by 10 %``.
        top1: label set to the share of right answers, 0-1, mean over the variants.
        change: label set to how much that is above the clean share.
    """

    name: str
    top1: dict[str, float]
    change: dict[str, float]


def _warp(scale: float = 1.0, right: float = 0.0, down: float = 0.0, degrees: float = 0.0) -> Variant:
    def apply(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
        matrix[:, 2] += right * width, down * height
        warped = cv2.warpAffine(
            picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(warped, np.uint8)

    return apply


def _shifts(part: float) -> tuple[Variant, ...]:
    return tuple(_warp(right=x * part, down=y * part) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)))


def _light(factor: float) -> Variant:
    return lambda picture: np.clip(picture.astype(np.float32) * factor, 0, 255).round().astype(np.uint8)


def _blur(part: float) -> Variant:
    """A Gaussian whose standard deviation is a part of the picture's width."""
    return lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), part * picture.shape[1]), np.uint8)


def _jpeg(quality: int) -> Variant:
    def apply(picture: Picture) -> Picture:
        stored = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        found = cv2.imdecode(stored, cv2.IMREAD_COLOR)
        assert found is not None
        return np.asarray(found[..., ::-1], np.uint8)

    return apply


def _cover(top: float = 0, bottom: float = 1, left: float = 0, right: float = 1) -> Variant:
    """A mid-grey rectangle over part of the face, bounds in 0-1."""

    def apply(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        covered = picture.copy()
        covered[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 128
        return covered

    return apply


#: Name to variants, in the order they are told.
CORRUPTIONS: Mapping[str, tuple[Variant, ...]] = {
    "shifted by 10 %": _shifts(0.1),
    "shifted by 20 %": _shifts(0.2),
    "framed 10 % tighter": (_warp(1 / 0.9),),
    "framed 20 % tighter": (_warp(1 / 0.8),),
    "framed 10 % wider": (_warp(1 / 1.1),),
    "framed 20 % wider": (_warp(1 / 1.2),),
    "rotated by 15°": (_warp(degrees=15), _warp(degrees=-15)),
    "half as bright": (_light(0.5),),
    "half as bright again": (_light(1.5),),
    "blurred, sigma 2 % of the width": (_blur(0.02),),
    "blurred, sigma 4 % of the width": (_blur(0.04),),
    "JPEG quality 30": (_jpeg(30),),
    "lower half covered": (_cover(top=0.5),),
    "upper half covered": (_cover(bottom=0.5),),
    "one side covered": (_cover(left=0.5), _cover(right=0.5)),
}


def measure(
    model: Model,
    table: Table,
    split: str,
    corruptions: Mapping[str, tuple[Variant, ...]] = CORRUPTIONS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Sensitivity]:
    """Score a split clean and under each corruption.

    Args:
        model: any model file.
        table: with labels that the model knows.
        split: train, validation or test.
        corruptions: name to variants; all by default.
        progress: called with variants done and all there are.

    Raises:
        DataError: the table lacks the split or the labels.
    """
    total, done = sum(map(len, corruptions.values())), 0
    plain = _top1(model, table, split, None)
    found: list[Sensitivity] = []
    for name, variants in corruptions.items():
        shares: list[dict[str, float]] = []
        for variant in variants:
            shares.append(_top1(model, table, split, variant))
            done += 1
            progress(done, total)
        top1 = {label_set: float(np.mean([share[label_set] for share in shares])) for label_set in plain}
        found.append(Sensitivity(name, top1, {k: share - plain[k] for k, share in top1.items()}))
    return found


def _top1(model: Model, table: Table, split: str, variant: Variant | None) -> dict[str, float]:
    def change(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return crops if variant is None else np.stack([variant(crop) for crop in crops])

    shares: dict[str, float] = {}
    for scores in predict(model, table, split, change).scores:
        part = scores.labelled()
        guess: NDArray[np.int64] = part.probabilities.argmax(axis=1)
        hits: NDArray[np.bool_] = guess == part.truth
        shares[scores.label_set] = float(np.mean(hits))
    return shares
