"""Groups stay whole, classes are shared out alike, the seed decides."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mien.data.partition import carve_validation, deal, together
from mien.errors import DataError

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_together_joins_by_way_of_a_third_row() -> None:
    assert together(["a", "b", "b", "c"], ["x", "x", "y", "y"]).tolist() == [0, 0, 0, 0]


def test_an_empty_key_joins_nothing() -> None:
    assert together(["a", "b"], ["", ""]).tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=60, max_size=200),
    st.integers(0, 2**32 - 1),
)
def test_groups_are_never_torn(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = np.array(rows).T
    assume(len(set(groups.tolist())) >= 3)
    splits = deal(labels, groups, SHARES, seed)
    assert set(splits.tolist()) == set(SHARES)
    for group in set(groups.tolist()):
        assert len(set(splits[groups == group].tolist())) == 1


def test_classes_are_shared_out_alike() -> None:
    labels = np.repeat([0, 1, 2], [800, 150, 50])
    splits = deal(labels, np.arange(1000), SHARES, seed=3)
    for label, count in ((0, 800), (1, 150), (2, 50)):
        own = splits[labels == label]
        assert (own == "validation").sum() == pytest.approx(count / 10, abs=1)
        assert (own == "test").sum() == pytest.approx(count / 10, abs=1)


def test_few_large_subjects_still_reach_every_split() -> None:
    groups = np.repeat(np.arange(5), [100, 10, 10, 10, 10])
    splits = deal(np.zeros(140, int), groups, SHARES, seed=0)
    assert set(splits.tolist()) == {"train", "validation", "test"}
    assert set(splits[groups == 0].tolist()) == {"train"}


def test_the_seed_decides() -> None:
    labels, groups = np.zeros(200, int), np.arange(200)
    first = deal(labels, groups, SHARES, seed=1)
    assert (first == deal(labels, groups, SHARES, seed=1)).all()
    assert (first != deal(labels, groups, SHARES, seed=2)).any()


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match=r"50 pictures in 1 groups cannot be dealt to train and validation and test"):
        deal(np.zeros(50, int), np.zeros(50, int), SHARES, seed=0)


def test_carving_leaves_test_alone() -> None:
    splits = np.array(["train"] * 100 + ["test"] * 20, dtype="<U10")
    note = carve_validation(splits, np.zeros(120, int), np.arange(120), 0.1, seed=0)
    assert (splits[100:] == "test").all()
    assert (splits[:100] == "validation").sum() == 10
    assert "10%" in note


def test_many_small_classes_do_not_all_round_to_train() -> None:
    splits = deal(np.arange(32) % 7, np.arange(32), {"train": 0.9, "validation": 0.1}, seed=0)
    assert 2 <= (splits == "validation").sum() <= 4


def test_five_equal_persons_reach_every_split() -> None:
    splits = deal(np.zeros(60, int), np.arange(60) % 5, SHARES, seed=0)
    assert {name: int((splits == name).sum()) for name in SHARES} == {"train": 36, "validation": 12, "test": 12}


def test_a_share_of_nothing_gets_nothing() -> None:
    splits = deal(np.arange(30) % 4, np.arange(30), {"train": 0.9, "validation": 0.1, "test": 0.0}, seed=0)
    assert set(splits.tolist()) == {"train", "validation"}
