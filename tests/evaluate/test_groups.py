"""Figures by group: each against those of the whole code, intervals by person, gaps under and without an effect."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluate import groups, metrics
from mien.evaluate.dividing import Grouping
from mien.evaluate.predictions import Scores


def scores(right: Any, truth: Any = None, *, confidence: float = 0.8) -> Scores:
    """Answers on two labels, right where said."""
    right = np.asarray(right, bool)
    truth = np.zeros(len(right), np.int64) if truth is None else np.asarray(truth)
    guess = np.where(right, truth, 1 - truth)
    probabilities = np.full((len(right), 2), 1 - confidence, np.float32)
    probabilities[np.arange(len(right)), guess] = confidence
    return Scores("p", "set", ("a", "b"), np.arange(len(right)), truth, truth, probabilities)


def grouping(members: Any, clusters: Any = None, names: tuple[str, ...] = ("x", "y")) -> Grouping:
    members = np.asarray(members)
    rows = np.arange(len(members))
    return Grouping("camera", names, rows, members, rows if clusters is None else np.asarray(clusters))


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_PERMUTATIONS", 199)
    monkeypatch.setattr(groups, "_RESAMPLES", 400)


def test_each_groups_figures_are_what_its_faces_alone_score() -> None:
    rng = np.random.default_rng(0)
    n = 120
    probabilities = rng.dirichlet(np.ones(4), n).astype(np.float32)
    truth = rng.integers(-1, 3, n)  # some faces without a label, and a label that no face has
    made = Scores("p", "set", tuple("abcd"), rng.permutation(n), truth, truth, probabilities)
    members = rng.integers(-1, 2, n)
    found = groups.compare(made, Grouping("c", ("x", "y"), made.rows, members, made.rows))
    assert found.without == int(((truth >= 0) & (members < 0)).sum()) > 0
    for index, group in enumerate(found.groups):
        own = metrics.measure(made.where(members == index))
        assert group.n == own.n
        for name, estimate in group.figures.items():
            assert estimate.value == pytest.approx(getattr(own, name)), name
            assert estimate.low <= estimate.high
        top1 = group.figures["top1"]
        assert (top1.low, top1.high) == pytest.approx(own.interval, abs=0.03)
    assert found.whole.n == sum(group.n for group in found.groups)


def test_rows_are_matched_by_number_not_by_place() -> None:
    made = scores([True] * 40 + [False] * 40)
    turned = grouping([0] * 40 + [1] * 40)
    other = Grouping("c", turned.names, turned.rows[::-1], turned.members[::-1], turned.clusters)
    top1 = [group.figures["top1"].value for group in groups.compare(made, other).groups]
    assert top1 == [1.0, 0.0]
    with pytest.raises(DataError, match="says nothing of"):
        groups.compare(made, grouping([0] * 79))


def test_a_real_gap_is_found_and_its_direction_told() -> None:
    rng = np.random.default_rng(1)
    members = np.repeat([0, 1, 2], 150)
    right = rng.random(450) < np.array([0.8, 0.8, 0.55])[members]
    found = groups.compare(scores(right), grouping(members, names=("x", "y", "z")))
    gap = found.gaps[0]
    assert (gap.figure, gap.low) == ("top1", "z")
    assert gap.size == pytest.approx(max(right[:150].mean(), right[150:300].mean()) - right[300:].mean())
    assert gap.p == pytest.approx(1 / 200)
    assert gap.p_same_labels == pytest.approx(1 / 200)


def test_many_groups_without_an_effect_seldom_show_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_PERMUTATIONS", 99)
    monkeypatch.setattr(groups, "_RESAMPLES", 2)
    rng = np.random.default_rng(2)
    sizes = np.arange(32, 92, 6)
    members = np.repeat(np.arange(len(sizes)), sizes)
    names = tuple(map(str, range(len(sizes))))
    trials = 30
    p = [
        groups.compare(scores(rng.random(len(members)) < 0.7), grouping(members, names=names)).gaps[0].p
        for _ in range(trials)
    ]
    # Without the correction for 45 pairs nearly every trial would be below 0.05; binomial: P(> 6 of 30) < 0.001.
    assert sum(value <= 0.05 for value in p) <= 6
    assert np.mean(p) > 0.3


def test_a_gap_that_the_mix_of_labels_makes_is_told_apart() -> None:
    rng = np.random.default_rng(3)
    members = np.repeat([0, 1], 400)
    truth = (rng.random(800) < np.array([0.8, 0.2])[members]).astype(int)
    right = rng.random(800) < np.where(truth == 1, 0.95, 0.6)
    gap = groups.compare(scores(right, truth), grouping(members)).gaps[0]
    assert gap.high == "x"
    assert gap.p == pytest.approx(1 / 200)
    assert gap.p_same_labels is not None
    assert gap.p_same_labels > 0.05


def test_persons_are_drawn_whole() -> None:
    rng = np.random.default_rng(4)
    persons = rng.random(60) < 0.7  # every picture of a person is read alike
    right, owner, members = np.repeat(persons, 10), np.repeat(np.arange(60), 10), np.repeat([0, 1], 300)
    apart = groups.compare(scores(right), grouping(members))
    whole = groups.compare(scores(right), grouping(members, owner))
    alone = groups.compare(scores(persons), grouping(np.repeat([0, 1], 30)))
    widths = [one.whole.figures["top1"].high - one.whole.figures["top1"].low for one in (apart, whole, alone)]
    assert widths[1] == pytest.approx(widths[2], abs=0.05)
    assert widths[1] > 2 * widths[0]
    assert (apart.permuted, whole.permuted) == ("faces", "clusters")
    assert whole.gaps[0].p_same_labels is not None  # all persons have the same ten labels
    assert (whole.groups[0].n, whole.groups[0].clusters) == (300, 30)
    assert whole.gaps[0].p == pytest.approx(alone.gaps[0].p, abs=0.12)


def test_few_faces_are_shown_with_a_warning_and_make_no_gap() -> None:
    right = [True] * 20 + [False] * 20 + [True] * 20 + [False] * 29
    found = groups.compare(scores(right), grouping([0] * 40 + [1] * 20 + [2] * 29, names=("x", "y", "z")))
    assert [group.n for group in found.groups] == [40, 20, 29]
    assert found.gaps == ()
    assert found.warnings[0].endswith("y (20), z (29)")
    assert "no gap is tested" in found.warnings[1]
    enough = groups.compare(scores([*right, False]), grouping([0] * 40 + [1] * 20 + [2] * 30, names=("x", "y", "z")))
    assert (enough.gaps[0].high, enough.gaps[0].low) == ("x", "z")
    assert len(enough.warnings) == 1


def test_a_group_without_scored_faces_and_one_that_is_always_right() -> None:
    found = groups.compare(scores([True] * 40), grouping([0] * 40))
    assert (found.groups[1].n, found.groups[1].figures) == (0, {})
    assert asdict(found.groups[0])["figures"]["top1"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    same = groups.compare(scores([True] * 80), grouping([0] * 40 + [1] * 40))
    assert same.gaps[0].size == 0
    assert same.gaps[0].p == 1.0
