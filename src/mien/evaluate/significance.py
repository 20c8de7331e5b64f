"""Are two models really different? Paired tests on the faces that both have answered.

Owns the tests. Refuses to decide which models or which split are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require


@dataclass(frozen=True)
class McNemar:
    """What the exact McNemar test found.

    Attributes:
        only_first, only_second: faces that one model alone got right.
        p: two-sided probability of such an imbalance, were both models equally good.
    """

    only_first: int
    only_second: int
    p: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """The exact McNemar test (McNemar 1947; binomial form) of two models on the same faces.

    Args:
        first, second: (N,) whether each model is right.

    Raises:
        DataError: the arrays are of different lengths.

    >>> mcnemar(np.array([True] * 5 + [False]), np.array([False] * 5 + [True])).p
    0.21875
    """
    if len(first) != len(second):
        raise DataError(f"a paired test needs the same faces, not {len(first)} and {len(second)}")
    stats = require("scipy.stats", "tables")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p = float(stats.binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0
    return McNemar(only_first, only_second, p)


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """Holm's correction (1979) for several tests at once: adjusted p values in the order given.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted = [0.0] * len(values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return tuple(adjusted)
