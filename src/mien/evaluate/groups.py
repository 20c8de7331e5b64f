"""Figures of groups of faces: how each group is read, and whether the groups differ by more than luck.

Functions of predictions tables and of groups (:mod:`mien.evaluate.dividing`); no torch. Owns the figures, their
intervals and the test. Refuses to say why groups differ.

Intervals are percentile bootstrap intervals that draw whole clusters, the rows of one person or of one picture (Field
and Welsh 2007, "Bootstrapping clustered data"). Gaps are tested by permuting the groups over the faces, or over the
persons where each has one group, with the largest studentized gap of all pairs as statistic (Westfall and Young 1993,
"Resampling-based multiple testing", single-step maxT), so that many groups do not make a gap by chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, shown
from mien.evaluate.dividing import Floats, Grouping, Ints
from mien.evaluate.metrics import BINS
from mien.evaluate.predictions import Scores

#: Groups of fewer faces are shown with a warning and take no part in gaps.
FEW = 30
FIGURES = ("top1", "balanced_accuracy", "macro_f1", "ece")
_RESAMPLES = _PERMUTATIONS = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure, 0-1, with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Group:
    """What a model scores on one group.

    Attributes:
        name: of the group.
        n, clusters: faces with a label, and persons or pictures among them.
        figures: name, as in ``FIGURES``, to figure; empty without faces.
    """

    name: str
    n: int
    clusters: int
    figures: dict[str, Estimate]


@dataclass(frozen=True)
class Gap:
    """The largest difference of a figure between two groups of at least 30 faces.

    Attributes:
        figure: which.
        high, low: the groups with the higher and the lower value.
        size: how much it is, 0-1.
        p: probability that some two groups differ as much relative to their sizes, were groups dealt at random.
        p_same_labels: the same, were they dealt at random among faces (or persons) of the same true labels: small where
            the labels that a group happens to have do not explain the gap. None where hardly two persons have the same.
    """

    figure: str
    high: str
    low: str
    size: float
    p: float
    p_same_labels: float | None


@dataclass(frozen=True)
class Comparison:
    """One output's figures by group.

    Attributes:
        output, label_set, column, edges: of the scores and the grouping.
        whole: all faces that are in a group.
        groups: in order.
        gaps: a figure each; none where fewer than two groups have 30 faces.
        permuted: ``faces`` or ``clusters``.
        without: faces with a label but without a group.
        warnings: what a reader has to know.
    """

    output: str
    label_set: str
    column: str
    edges: tuple[float, ...]
    whole: Group
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    permuted: str
    without: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Faces:
    """What figures are made of: (N,) true and given label, whether right, confidence and its bin; number of labels."""

    truth: Ints
    guess: Ints
    surplus: Floats
    bin: Ints
    labels: int

    @classmethod
    def of(cls, part: Scores) -> _Faces:
        confidence, guess = part.probabilities.max(axis=1).astype(float), part.probabilities.argmax(axis=1)
        which = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        return cls(part.truth, guess, (guess == part.truth) - confidence, which, len(part.labels))

    def take(self, rows: NDArray[Any]) -> _Faces:
        return _Faces(self.truth[rows], self.guess[rows], self.surplus[rows], self.bin[rows], self.labels)

    def figures(self, members: Ints, count: int, weights: Floats | None = None) -> Floats:
        """(count, 4) figures of each group, in the order of ``FIGURES``; ``members`` (N,) are indices of groups."""
        k = self.labels
        place = (members * k + self.truth) * k + self.guess
        table = np.bincount(place, weights, count * k * k).reshape(count, k, k).astype(float)
        right, support, given = np.einsum("gkk->gk", table), table.sum(axis=2), table.sum(axis=1)
        n = support.sum(axis=1)
        occurs = support > 0
        labels = occurs.sum(axis=1)
        with np.errstate(invalid="ignore"):
            recall = np.where(occurs, right / np.where(occurs, support, 1), 0)
            f1 = np.where(occurs, 2 * right / np.where(occurs, support + given, 1), 0)
            surplus = self.surplus if weights is None else self.surplus * weights
            off = np.bincount(members * BINS + self.bin, surplus, count * BINS).reshape(count, BINS)
            columns = (right.sum(axis=1) / n, recall.sum(axis=1) / labels, f1.sum(axis=1) / labels)
            return np.stack([*columns, np.abs(off).sum(axis=1) / n], axis=1)


def compare(scores: Scores, grouping: Grouping, *, seed: int = 0) -> Comparison:
    """Figures of each group, with intervals, and the largest gaps, tested.

    Args:
        scores: of one output and split; faces without a label are left out.
        grouping: of that split's rows.
        seed: of bootstrap and permutations.

    Raises:
        DataError: a face is not in the grouping's rows, or no face has a label and a group.
    """
    part = scores.labelled()
    members, clusters = _aligned(part.rows, grouping)
    inside = members >= 0
    if not inside.any():
        raise DataError(
            f"no face with a label in '{shown(scores.label_set)}' has a group in '{shown(grouping.column)}'"
        )
    faces = _Faces.of(part.where(inside))
    members, clusters = members[inside], np.unique(clusters[inside], return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    groups = tuple(
        _group(name, faces.take(members == g), clusters[members == g], rng) for g, name in enumerate(grouping.names)
    )
    whole = _group("all", faces, clusters, rng)
    gaps, permuted = _gaps(faces, members, clusters, groups, rng)
    return Comparison(
        scores.output,
        scores.label_set,
        grouping.column,
        grouping.edges,
        whole,
        groups,
        gaps,
        permuted,
        int((~inside).sum()),
        _warnings(groups, int((~inside).sum())),
    )


def _aligned(rows: Ints, grouping: Grouping) -> tuple[Ints, Ints]:
    """Group and cluster of each scored face."""
    order = np.argsort(grouping.rows, kind="stable")
    place = np.searchsorted(grouping.rows[order], rows)
    found = np.minimum(place, len(order) - 1)
    if not (grouping.rows[order][found] == rows).all():
        raise DataError(
            f"the predictions have faces that the column '{shown(grouping.column)}' says nothing of: other data?"
        )
    return grouping.members[order[found]], grouping.clusters[order[found]]


def _group(name: str, faces: _Faces, clusters: Ints, rng: np.random.Generator) -> Group:
    n = len(faces.truth)
    if not n:
        return Group(name, 0, 0, {})
    codes = np.unique(clusters, return_inverse=True)[1]
    count, nobody = int(codes.max()) + 1, np.zeros(n, np.int64)
    drawn = np.empty((_RESAMPLES, len(FIGURES)))
    for k in range(_RESAMPLES):
        weights = np.bincount(rng.integers(0, count, count), minlength=count)[codes].astype(float)
        drawn[k] = faces.figures(nobody, 1, weights)[0]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0).tolist()
    values = faces.figures(nobody, 1)[0].tolist()
    figures = {f: Estimate(*three) for f, *three in zip(FIGURES, values, low, high, strict=True)}
    return Group(name, n, count, figures)


def _gaps(
    faces: _Faces, members: Ints, clusters: Ints, groups: Sequence[Group], rng: np.random.Generator
) -> tuple[tuple[Gap, ...], str]:
    """The largest gap of each figure among groups that are large enough, and what was permuted."""
    owner = np.full(clusters.max() + 1, -1, np.int64)
    owner[clusters] = members
    whole = bool((owner[clusters] == members).all()) and len(owner) < len(members)
    if not whole:
        owner, clusters = members, np.arange(len(members))
    permuted = "clusters" if whole else "faces"
    large = [g for g, group in enumerate(groups) if group.n >= FEW]
    pairs = np.array(list(itertools.combinations(large, 2)), np.int64).reshape(-1, 2)
    if not len(pairs):
        return (), permuted

    def gaps_of(owner: Ints) -> Floats:
        found = faces.figures(owner[clusters], len(groups))
        return found[pairs[:, 0]] - found[pairs[:, 1]]

    strata = _same_labels(faces, clusters)

    def within_labels() -> Ints:
        dealt = owner.copy()
        for rows in strata:
            dealt[rows] = rng.permutation(owner[rows])
        return dealt

    observed = gaps_of(owner)
    p = _p_of_largest(observed, np.stack([gaps_of(rng.permutation(owner)) for _ in range(_PERMUTATIONS)]))
    kept = None
    if strata:
        kept = _p_of_largest(observed, np.stack([gaps_of(within_labels()) for _ in range(_PERMUTATIONS)]))
    found: list[Gap] = []
    for f, figure in enumerate(FIGURES):
        largest = int(np.abs(observed[:, f]).argmax())
        first, second = (groups[int(g)].name for g in pairs[largest])
        high, low = (first, second) if observed[largest, f] >= 0 else (second, first)
        size = abs(float(observed[largest, f]))
        found.append(Gap(figure, high, low, size, p[f], None if kept is None else kept[f]))
    return tuple(found), permuted


def _same_labels(faces: _Faces, clusters: Ints) -> list[Ints]:
    """Clusters with the same true labels, a list each; none where hardly two persons have the same."""
    counts = np.zeros((clusters.max() + 1, faces.labels), np.int64)
    np.add.at(counts, (clusters, faces.truth), 1)
    which = np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1)
    strata = [rows for k in range(which.max() + 1) if len(rows := np.flatnonzero(which == k)) > 1]
    return strata if sum(map(len, strata)) > len(counts) / 2 else []


def _p_of_largest(observed: Floats, permuted: Floats) -> list[float]:
    """For each figure the adjusted p of its largest gap: (pairs, figures) and (permutations, pairs, figures)."""
    mean, spread = permuted.mean(axis=0), permuted.std(axis=0)
    spread = np.where(spread > 0, spread, np.inf)
    most = (np.abs(permuted - mean) / spread).max(axis=1)
    own = np.abs(observed - mean) / spread
    largest = np.abs(observed).argmax(axis=0)
    at = own[largest, np.arange(own.shape[1])]
    return ((1 + (most >= at - 1e-9).sum(axis=0)) / (1 + len(permuted))).tolist()


def _warnings(groups: Sequence[Group], without: int) -> tuple[str, ...]:
    few = [f"{g.name} ({g.n})" for g in groups if g.n < FEW]
    said = [f"fewer than {FEW} faces, too few to judge and in no gap: {', '.join(few)}"] if few else []
    said += [f"{without:,} faces have no group and are left out"] if without else []
    if sum(g.n >= FEW for g in groups) < 2:
        said.append(f"fewer than two groups have {FEW} faces: no gap is tested")
    return tuple(said)
