"""Faces of FER2013 that several benchmarks draw, what counts as right, and draws of whole groups for intervals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.data import ferplus
from mien.data import table as tables
from mien.evaluate.sensitivity import Variant

Array: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]
Pixels: TypeAlias = NDArray[np.uint8]


def training_faces(data: Path, count: int, seed: int) -> Pixels:
    """Training faces at random, grey (N, 48, 48)."""
    train = tables.read(data).split("train")
    chosen = np.sort(np.random.default_rng(seed).choice(len(train), count, replace=False))
    return train.take(chosen).pictures(grey=True)


def right_answers(part: tables.Table) -> Labels:
    """What most of each face's voters saw; -1 without a vote."""
    assert part.votes is not None
    return ferplus.seven_plurality(part.votes)


def voted(data: Path) -> tables.Table:
    """The PublicTest faces that somebody voted on for one of the seven."""
    part = tables.read(data).split("validation")
    return part.take(right_answers(part) >= 0)


def numbered(keys: NDArray[Any]) -> Labels:
    """A number from 0 for each row; equal keys have the same."""
    return np.unique(keys, return_inverse=True)[1]


def dealt(keys: NDArray[Any], folds: int) -> Labels:
    """A fold for each row; equal keys stay together."""
    number = numbered(keys)
    return (np.random.default_rng(0).permutation(number.max() + 1) % folds)[number]


def drawn(clusters: Labels, times: int, seed: int = 0) -> Iterator[Array]:
    """Weights (N,) of the rows in each bootstrap draw of whole clusters, which are numbered from 0."""
    rng, count = np.random.default_rng(seed), int(clusters.max()) + 1
    for _ in range(times):
        yield np.bincount(rng.integers(0, count, count), minlength=count)[clusters].astype(np.float64)


def entropy(p: Array) -> Array:
    """Of probabilities (N, K), in nats: (N,)."""
    return -(p * np.log(np.maximum(p, 1e-12))).sum(axis=1)


def divergence(a: Array, b: Array) -> Array:
    """Jensen-Shannon divergence of probabilities (N, K), 0 to ln 2: (N,)."""
    return entropy((a + b) / 2) - (entropy(a) + entropy(b)) / 2


def noise(sigma: float, seed: int = 0) -> Variant:
    """Grey noise of a standard deviation in grey levels, the same for every picture."""

    def apply(picture: Pixels) -> Pixels:
        added = np.random.default_rng(seed).normal(0, sigma, picture.shape[:2])[..., None]
        return np.clip(picture + added, 0, 255).round().astype(np.uint8)

    return apply
