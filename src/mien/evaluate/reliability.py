"""Is a confidence of 80 % right 80 % of the time? The bins of a reliability diagram.

Owns what a reliability diagram shows; :func:`mien.evaluate.metrics.expected_calibration_error` sums the same bins
up in one number. Refuses to calibrate (``calibration``) and to draw (``report``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.metrics import BINS


@dataclass(frozen=True)
class Bin:
    """The faces whose confidence lies in one stretch of 0-1, open below and closed above.

    Attributes:
        low, high: the stretch.
        n: faces in it.
        confidence: their mean confidence; nan without faces.
        accuracy: share of them that are right; nan without faces.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(probabilities: NDArray[np.floating], truth: NDArray[np.integer], bins: int = BINS) -> tuple[Bin, ...]:
    """The bins of a reliability diagram (Guo et al. 2017, section 2).

    Args:
        probabilities: (N, K), rows summing to 1.
        truth: (N,) label indices.
        bins: of equal width over 0-1.

    >>> sure = np.array([[0.9, 0.1]] * 4)
    >>> [(round(b.confidence, 1), b.accuracy) for b in reliability(sure, np.array([0, 0, 0, 1]), bins=5) if b.n]
    [(0.9, 0.75)]
    """
    confidence = probabilities.max(axis=1).astype(float)
    hits = probabilities.argmax(axis=1) == truth
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for b in range(bins):
        part = which == b
        n = int(part.sum())
        mean = (float(confidence[part].mean()), float(hits[part].mean())) if n else (float("nan"), float("nan"))
        found.append(Bin(b / bins, (b + 1) / bins, n, *mean))
    return tuple(found)
