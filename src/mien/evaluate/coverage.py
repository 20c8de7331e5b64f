"""Accuracy against coverage: what is gained when faces that the model is unsure of are left unanswered.

Owns the curve and the area under it. Confidence is the largest probability. Refuses to choose a threshold: that
belongs to whoever knows what a wrong answer costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError


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
        """The least confidence at which as many faces as possible are answered and no more than that share is wrong.

        None where not even the surest faces are right so often.
        """
        fitting = np.flatnonzero(self.accuracy >= 1 - error_rate)
        return float(self.confidence[fitting[-1]]) if len(fitting) else None


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
