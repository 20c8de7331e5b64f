"""Accuracy against coverage: what is gained when faces that the model is unsure of are left unanswered.

Owns the curve, the area under it, and the threshold that keeps the share of wrong answers below a rate. Confidence is
the largest probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require

#: How certain it is that a threshold keeps its error rate on faces of the same kind.
CERTAINTY = 0.95


@dataclass(frozen=True)
class Coverage:
    """Accuracy on the surest faces, for every number of them.

    Attributes:
        confidence: (N,) float64, falling: the least confidence among the k surest faces.
        accuracy: (N,) float64: the share of the k surest faces that are right.
        aurc: area under the risk-coverage curve (Geifman et al. 2019): the mean of 1 - accuracy over all k; 0 is
            perfect, the model's error rate is what random confidences would get.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    aurc: float

    def at(self, share: float) -> tuple[int, float, float]:
        """Faces answered, their accuracy and the threshold on confidence at a coverage of 0-1 (at least one face)."""
        count = max(1, round(share * len(self.accuracy)))
        return count, float(self.accuracy[count - 1]), float(self.confidence[count - 1])

    def threshold(self, error_rate: float) -> float | None:
        """The least confidence at which, with 95 % certainty, no more than that share of the answers is wrong.

        The certainty is about other faces from where these came from (Geifman & El-Yaniv 2017, "Selective
        classification for deep neural networks"): the upper Clopper-Pearson bound of the error must not exceed the
        rate. Looking at many thresholds and keeping the best would break the promise, so they are tried in a fixed
        order, from the surest faces on by whole percents of the faces, up to the first that does not pass (fixed
        sequence testing: Angelopoulos et al. 2021, "Learn then test"). The first has so many faces that it passes
        with half the errors allowed.

        Args:
            error_rate: 0-1.

        Returns:
            The threshold; None where not even the surest faces are right so often, or there are too few to say so.
        """
        total = len(self.confidence)
        counts = np.arange(1, total + 1)
        enough = counts[upper_bound((counts * error_rate / 2).astype(int), counts) <= error_rate]
        if not len(enough):
            return None
        steps = total * np.arange(1, 101) // 100
        steps = np.array([enough[0], *steps[steps > enough[0]]])
        least = self.confidence[steps - 1]
        given = np.searchsorted(-self.confidence, -least, side="right")  # all that are as sure
        wrong = np.rint(given * (1 - self.accuracy[given - 1])).astype(int)
        passed = np.logical_and.accumulate(upper_bound(wrong, given) <= error_rate)
        return float(least[passed][-1]) if passed[0] else None


def upper_bound(wrong: NDArray[np.integer], given: NDArray[np.integer]) -> NDArray[np.float64]:
    """The largest error rates, 0-1, that so many wrong of so many given answers speak for, with 95 % certainty.

    One-sided, exact (Clopper & Pearson 1934).

    Args:
        wrong: (N,).
        given: (N,), each above 0.

    >>> upper_bound(np.array([0, 3]), np.array([59, 3])).round(3).tolist()
    [0.05, 1.0]
    """
    special = require("scipy.special", "tables")
    found = special.betaincinv(wrong + 1, np.maximum(given - wrong, 1), CERTAINTY)
    return np.where(wrong >= given, 1.0, found)


def coverage(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> Coverage:
    """The curve of one output.

    Faces with the same confidence count alike, as if their order were random.

    Args:
        probabilities: (N, K), rows summing to 1.
        truth: (N,) label indices.

    Raises:
        DataError: there is no face.

    >>> found = coverage(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    >>> found.accuracy.tolist(), found.aurc
    ([1.0, 0.5], 0.25)
    """
    if not len(truth):
        raise DataError("without a labelled face there is no accuracy at any coverage")
    confidence = probabilities.max(axis=1).astype(np.float64)
    hits = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    _, tie = np.unique(confidence, return_inverse=True)
    shared = np.bincount(tie, weights=hits) / np.bincount(tie)
    order = np.argsort(-confidence, kind="stable")
    accuracy = np.cumsum(shared[tie][order]) / np.arange(1, len(order) + 1)
    return Coverage(confidence[order], accuracy, float(np.mean(1 - accuracy)))
