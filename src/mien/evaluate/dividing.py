"""Faces divided into groups by a column of the data table.

A group is whatever the column says: what persons state of themselves, the camera, the site, or what is measured of the
picture (:mod:`mien.data.attributes`). Refuses to guess a group.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, shown

#: A column of numbers with more values than this is cut at quantiles; a column of words with more is refused.
_MOST_NUMBERS, _MOST_WORDS = 12, 100

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grouping:
    """Which group each face of a split is in.

    Attributes:
        column: what it is by.
        names: of the groups, in order.
        rows: (N,) source rows.
        members: (N,) index into the names; -1 where the column says nothing.
        clusters: (N,) equal for rows that are drawn together: those of one person, or of one picture.
        edges: between groups of numbers, in the column's unit; empty for groups of words.
    """

    column: str
    names: tuple[str, ...]
    rows: Ints
    members: Ints
    clusters: Ints
    edges: tuple[float, ...] = ()


def divide(column: str, rows: Ints, values: Sequence[Any], clusters: Ints, bins: int = 3) -> Grouping:
    """Groups by the values of a column.

    Args:
        column: its name.
        rows: (N,) source rows of the split.
        values: (N,) words, numbers or None; more than 12 different numbers are cut at quantiles.
        clusters: (N,) equal for rows that are drawn together.
        bins: of numbers, with as equal counts as ties allow.

    Raises:
        DataError: there are fewer than two groups, or more than 100.

    >>> made = divide("age", np.arange(6), [20, 30, 40, 50, 60, 70] , np.arange(6))
    >>> made.names
    ('20', '30', '40', '50', '60', '70')
    """
    known = [v for v in values if not _absent(v)]
    edges: tuple[float, ...] = ()
    if len(set(known)) > _MOST_NUMBERS and all(_number(v) for v in known):
        edges = tuple(float(e) for e in np.unique(np.quantile(known, np.arange(1, bins) / bins)))
        names = _ranges(edges)
        place = [-1 if _absent(v) else bisect_left(edges, v) for v in values]
    else:
        order = sorted(set(known), key=lambda v: (not _number(v), v if _number(v) else 0, str(v)))
        index = {value: position for position, value in enumerate(order)}
        names = tuple(str(value) for value in order)
        place = [-1 if _absent(v) else index[v] for v in values]
    if not 2 <= len(names) <= _MOST_WORDS:
        raise DataError(
            f"the column '{shown(column)}' makes {len(names)} groups of these faces: expected 2 to {_MOST_WORDS};"
            " numbers of"
            f" more than {_MOST_NUMBERS} values are cut into groups, words are not"
        )
    return Grouping(column, names, rows, np.array(place, np.int64), clusters, edges)


def _absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ranges(edges: Sequence[float]) -> tuple[str, ...]:
    """What the stretches between edges are called."""
    if not edges:
        return ("all",)
    digits = max(0, 2 - math.floor(math.log10(max(abs(e) for e in edges) or 1)))
    said = [f"{e:.{digits}f}" for e in edges]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(said)]
    return (f"up to {said[0]}", *between, f"above {said[-1]}")
