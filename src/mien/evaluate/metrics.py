"""Figures from labels and probabilities.

Owns what is measured. scikit-learn and SciPy compute what they know; only the calibration error is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require, shown
from mien.evaluate.predictions import Scores
from mien.expressions import LABEL_SETS

BINS = 15
_RESAMPLES = 2000


@dataclass(frozen=True)
class ClassFigures:
    """One label: how many faces carry it, and how precisely and completely they are found (0-1)."""

    label: str
    n: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Figures:
    """What one output scores on the faces that have a label.

    Attributes:
        n: faces.
        top1: share whose most probable label is the true one.
        interval: its 95 % bootstrap interval.
        balanced_accuracy: mean recall over the labels that occur.
        macro_f1: mean F1 over the labels that occur.
        ece: expected calibration error of the top label, 15 equal-width bins.
        classes: per label, in order.
        also: further top-1 figures on other selections of faces, as each source of pooled data: name to (n, top1).
    """

    output: str
    label_set: str
    n: int
    top1: float
    interval: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float
    ece: float
    classes: tuple[ClassFigures, ...]
    also: dict[str, tuple[int, float]]


def measure(scores: Scores, *, seed: int = 0) -> Figures:
    """Compute all figures of one output.

    Args:
        scores: of one split; faces without a label are left out, except from ``also``.
        seed: of the bootstrap.

    Raises:
        DataError: no face has a label.
    """
    sk = require("sklearn.metrics", "tables")
    part = scores.labelled()
    if not len(part.truth):
        raise DataError(f"no face of this split has a label in '{shown(scores.label_set)}'")
    guess: NDArray[np.int64] = part.probabilities.argmax(axis=1)
    present = np.unique(part.truth)
    columns = range(len(part.labels))
    precision, recall, _, support = sk.precision_recall_fscore_support(
        part.truth, guess, labels=columns, zero_division=0
    )
    return Figures(
        output=part.output,
        label_set=part.label_set,
        n=len(part.truth),
        top1=_share(guess, part.truth),
        interval=bootstrap_interval(guess == part.truth, seed=seed),
        balanced_accuracy=float(recall[present].mean()),
        macro_f1=float(sk.f1_score(part.truth, guess, labels=present, average="macro", zero_division=0)),
        ece=expected_calibration_error(part.probabilities, part.truth),
        classes=tuple(
            ClassFigures(part.labels[k], int(support[k]), float(precision[k]), float(recall[k])) for k in columns
        ),
        also=_also(scores),
    )


def _share(guess: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Of right answers."""
    hits: NDArray[np.bool_] = guess == truth
    return float(np.mean(hits))


def _also(scores: Scores) -> dict[str, tuple[int, float]]:
    """Other selections: FER+ without contempt and without its filter, as the literature has both; pooled sources."""
    found = _ferplus(scores) if scores.label_set == "ferplus" else {}
    guess: NDArray[np.int64] = scores.probabilities.argmax(axis=1)
    for name, (start, end) in scores.sources.items():
        own = (scores.truth >= 0) & (scores.rows >= start) & (scores.rows < end)
        if own.any():
            found[name] = (int(own.sum()), _share(guess[own], scores.truth[own]))
    return found


def _ferplus(scores: Scores) -> dict[str, tuple[int, float]]:
    seven = len(LABEL_SETS["fer2013"])
    within = (scores.truth >= 0) & (scores.truth < seven)
    known = scores.unfiltered >= 0
    seven_guess: NDArray[np.int64] = scores.probabilities[within, :seven].argmax(axis=1)
    any_guess: NDArray[np.int64] = scores.probabilities[known].argmax(axis=1)
    return {
        "seven classes": (int(within.sum()), _share(seven_guess, scores.truth[within])),
        "unfiltered": (int(known.sum()), _share(any_guess, scores.unfiltered[known])),
    }


def bootstrap_interval(hits: NDArray[np.bool_], *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a share (Efron 1979): 2,000 resamples of the faces."""
    if hits.all() or not hits.any():
        share = float(hits.mean())
        return share, share
    stats = require("scipy.stats", "tables")
    result = stats.bootstrap(
        (hits.astype(float),),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=200,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def expected_calibration_error(
    probabilities: NDArray[np.floating], truth: NDArray[np.integer], bins: int = BINS
) -> float:
    """How far the top label's probability is from being right that often (Guo et al. 2017, equation 3).

    Args:
        probabilities: (N, K), rows summing to 1.
        truth: (N,) label indices.
        bins: of equal width over 0-1, each open below and closed above.

    >>> sure = np.array([[0.9, 0.1]] * 10)
    >>> round(expected_calibration_error(sure, np.zeros(10, int)), 3)
    0.1
    """
    confidence = probabilities.max(axis=1).astype(float)
    hits: NDArray[np.bool_] = probabilities.argmax(axis=1) == truth
    which: NDArray[np.int64] = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps: list[float] = [
        abs(hits[which == b].mean() - confidence[which == b].mean()) * np.mean(which == b) for b in np.unique(which)
    ]
    return float(np.sum(gaps))


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
    found: list[Bin] = []
    for b in range(bins):
        part = which == b
        n = int(part.sum())
        mean = (float(confidence[part].mean()), float(hits[part].mean())) if n else (float("nan"), float("nan"))
        found.append(Bin(b / bins, (b + 1) / bins, n, *mean))
    return tuple(found)
