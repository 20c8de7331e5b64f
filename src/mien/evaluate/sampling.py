"""Which faces to show: drawn by seed, evenly over the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def choose(truth: NDArray[np.integer], count: int, seed: int) -> NDArray[np.int64]:
    """Positions of faces, drawn so that the true labels share the sheet as evenly as they can.

    Args:
        truth: (N,) label indices; -1 is never drawn.
        count: faces wanted; fewer come back where there are fewer with a label.
        seed: the same seed draws the same faces.

    Returns:
        Positions, in the order of their labels.

    >>> sorted(np.array([0, 0, 0, 0, 1, 2, -1])[choose(np.array([0, 0, 0, 0, 1, 2, -1]), 4, seed=0)].tolist())
    [0, 0, 1, 2]
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(np.flatnonzero(truth >= 0))
    # The rank of each face among those of its label: all firsts come before all seconds.
    turn = np.zeros(len(shuffled), np.int64)
    for label in np.unique(truth[shuffled]):
        own = truth[shuffled] == label
        turn[own] = np.arange(own.sum())
    drawn = shuffled[np.argsort(turn, kind="stable")][:count]
    return drawn[np.argsort(truth[drawn], kind="stable")]
