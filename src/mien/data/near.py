"""Near copies: pictures that are the same but for brightness, contrast, compression or a few pixels.

Two pictures are near copies when their 16x16 thumbnails, mean taken off, have a cosine of at least 0.99. Owns
the thumbnails and the search; refuses to know labels and splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.partition import Progress
from mien.data.table import Table
from mien.errors import DataError, MienError
from mien.sources.images import decode, luma

SIDE = 16
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """What of the pictures of a table the search looks at.

    Attributes:
        vectors: (N, 256) float32, mean-centred and of length 1; zero where a picture is blank.
        contrast: (N,) float32, standard deviation of the full picture's grey values.
    """

    vectors: NDArray[np.float32]
    contrast: NDArray[np.float32]


def thumbnails(table: Table, blank: float, progress: Progress | None = None) -> Thumbnails:
    """Shrink every picture of a table; one picture is in memory at a time.

    Args:
        table: any data table.
        blank: pictures with less contrast than this, in grey levels, get a zero vector.
        progress: called with the pictures done and their number.

    Raises:
        DataError: a picture cannot be decoded.
    """
    vectors = np.zeros((len(table), SIDE * SIDE), np.float32)
    contrast = np.zeros(len(table), np.float32)
    for index, (row, data, path) in enumerate(table.encoded()):
        try:
            grey = luma(decode(data)).astype(np.float32)
        except MienError as error:
            raise DataError(f"row {row} ({path}): {error}") from error
        contrast[index] = grey.std()
        if contrast[index] >= blank:
            small = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).ravel()
            vectors[index] = small - small.mean()
        if progress and index % 256 == 0:
            progress(index, len(table))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return Thumbnails(vectors, contrast)


def near_pairs(
    vectors: NDArray[np.float32], threshold: float, progress: Progress | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """All pairs of rows with a cosine of at least ``threshold``, each pair once; zero vectors have none.

    Rows are sorted along the direction in which they differ most: unit vectors with cosine c lie at most
    sqrt(2 - 2c) apart, so a row needs comparing only with the stretch of that length which follows it.
    Nothing is missed, most products are saved, and memory stays at one block.

    Args:
        vectors: (N, D) float32 of length 1 or 0.
        threshold: cosine, above 0 and at most 1.
        progress: called with the rows done and their number.

    Yields:
        Rows i, rows j and their cosines, (M,) each.
    """
    used = np.flatnonzero(vectors.any(axis=1))
    if len(used) < 2:
        return
    _, directions = np.linalg.eigh(np.cov(vectors[used], rowvar=False))
    along: NDArray[np.float32] = vectors[used] @ directions[:, -1].astype(np.float32)
    order = np.argsort(along, kind="stable")
    used, along = used[order], along[order]
    reach = float(np.sqrt(2 - 2 * threshold)) + 1e-3
    for start in range(0, len(used), _BLOCK):
        stop = min(start + _BLOCK, len(used))
        furthest = float(along[stop - 1]) + reach
        end = int(np.searchsorted(along, furthest, side="right"))
        cosines = vectors[used[start:stop]] @ vectors[used[start:end]].T
        # A rounding error below the cosine of equal pictures must not lose a pair at threshold 1.
        left, right = np.nonzero(cosines >= threshold - 1e-6)
        once = right > left
        left, right = left[once], right[once]
        yield used[start + left], used[start + right], cosines[left, right]
        if progress:
            progress(stop, len(used))
