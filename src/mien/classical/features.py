"""Pictures into features: what each kind of a recipe's ``features`` computes.

Owns the interface, the dispatch, pixels, HOG and LBP; ``landmark_features`` and ``network_features`` own theirs, and
are imported only where they are asked for. Refuses to fit anything: features of a picture depend on no other picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from mien.errors import RecipeError, require
from mien.recipes.classical_schema import Hog, LandmarkFeatures, Lbp, NetworkFeatures, Pixels

_CHUNK = 512


class Features(Protocol):
    """Pictures uint8 (N, S, S) grey to features float32 (N, D); a row of nan where nothing can be said of a picture."""

    def __call__(self, pictures: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Compute them."""
        ...


def build(spec: Pixels | Hog | Lbp | NetworkFeatures | LandmarkFeatures) -> Features:
    """What computes the features that a recipe asks for.

    Raises:
        MissingExtraError: the library that they need is not installed.
        MienError: the run, weights or landmarks that they rest on are missing; the message says which.
    """
    match spec:
        case Pixels():
            return pixels
        case Hog():
            return HogFeatures(spec)
        case Lbp():
            return LbpFeatures(spec)
        case NetworkFeatures():
            from mien.classical import network_features

            return network_features.build(spec)
        case LandmarkFeatures():
            from mien.classical import landmark_features

            return landmark_features.build(spec)
        case _:
            assert_never(spec)


def compute(
    features: Features, pictures: NDArray[np.uint8], report: Callable[[int], None] = lambda done: None
) -> NDArray[np.float32]:
    """Features of many pictures, some at a time, so that what lies between picture and feature stays small.

    Args:
        features: from :func:`build`.
        pictures: uint8 (N, S, S), in memory or mapped.
        report: told how many pictures are done.

    Returns:
        float32 (N, D).
    """
    found: NDArray[np.float32] | None = None
    for start in range(0, len(pictures), _CHUNK):
        part = features(np.ascontiguousarray(pictures[start : start + _CHUNK]))
        if found is None:
            found = np.empty((len(pictures), part.shape[1]), np.float32)
        found[start : start + len(part)] = part
        report(start + len(part))
    if found is None:
        raise ValueError("there are no pictures to compute features of")
    return found


def pixels(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels in 0-1, row by row: uint8 (N, S, S) to float32 (N, S * S).

    >>> pixels(np.full((1, 2, 2), 255, np.uint8)).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """
    return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)


class HogFeatures:
    """Histograms of oriented gradients.

    Args:
        spec: of the recipe.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """

    def __init__(self, spec: Hog) -> None:
        self._spec = spec
        self._hog: Any = require("skimage.feature", "classical").hog

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of uint8 (N, S, S).

        Raises:
            RecipeError: the pictures are smaller than a block.
        """
        spec, size = self._spec, pictures.shape[1]
        if size < spec.cell * spec.block:
            side = spec.cell * spec.block
            raise RecipeError(f"features: a block of {side} px is larger than the pictures of {size} px")
        return np.stack([self._one(picture) for picture in pictures])

    def _one(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        spec = self._spec
        return self._hog(
            picture.astype(np.float32) / 255,
            orientations=spec.orientations,
            pixels_per_cell=(spec.cell, spec.cell),
            cells_per_block=(spec.block, spec.block),
            block_norm=spec.norm,
            transform_sqrt=spec.square_root,
        ).astype(np.float32)


class LbpFeatures:
    """Histograms of uniform local binary patterns on a grid of cells.

    A pattern is uniform that changes at most twice between darker and lighter around the circle; all others share one
    bin. A grid that does not divide the picture leaves its last rows and columns to the last cells.

    Args:
        spec: of the recipe.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """

    def __init__(self, spec: Lbp) -> None:
        self._spec = spec
        self._pattern: Any = require("skimage.feature", "classical").local_binary_pattern
        self.bins = spec.points + 2 if spec.rotation_invariant else spec.points * (spec.points - 1) + 3

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, grid * grid * bins) of uint8 (N, S, S).

        Raises:
            RecipeError: the grid has more cells a side than the pictures have pixels.
        """
        grid, size = self._spec.grid, pictures.shape[1]
        if size < grid:
            raise RecipeError(f"features: a grid of {grid} cells a side is finer than the pictures of {size} px")
        place = np.array([min(pixel // (size // grid), grid - 1) for pixel in range(size)])
        cells = (place[:, None] * grid + place[None, :]).ravel()
        area = np.bincount(cells)[:, None]
        rows: list[NDArray[np.float32]] = []
        for picture in pictures:
            patterns = self._patterns(picture).ravel()
            counts = np.bincount(cells * self.bins + patterns, minlength=grid * grid * self.bins)
            rows.append((counts.reshape(-1, self.bins) / area).astype(np.float32).ravel())
        return np.stack(rows)

    def _patterns(self, picture: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The number of each pixel's pattern; what lies outside the picture is as its outermost pixels."""
        spec, margin = self._spec, math.ceil(self._spec.radius)
        method = "uniform" if spec.rotation_invariant else "nri_uniform"
        found = self._pattern(np.pad(picture, margin, mode="edge"), spec.points, spec.radius, method)
        return found[margin:-margin, margin:-margin].astype(np.int64)
