import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluate.predictions import Predictions, Scores
from mien.report.comparison import Entry, rank


def entry(name, right, *, split="validation", data="f", protocol="official", label_set="ab", rows=None):
    """A model that is right on the faces that ``right`` says."""
    right = np.array(right, bool)
    truth = np.arange(len(right)) % 2
    guess = np.where(right, truth, 1 - truth)
    probabilities = np.where(np.arange(2) == guess[:, None], 0.9, 0.1).astype(np.float32)
    rows = np.arange(len(right)) if rows is None else rows
    scores = Scores("probabilities", label_set, ("a", "b"), rows, truth, truth, probabilities)
    return Entry(name, Predictions(split, {"data": "d", "data_fingerprint": data}, (scores,)), protocol)


def share(count, of=100):
    return np.arange(of) < count


def test_the_best_goes_first_and_the_others_are_tested_against_it():
    ranked = rank([entry("low", share(60)), entry("top", share(90)), entry("near", share(88))])["ab"]
    assert [line.entry.name for line in ranked] == ["top", "near", "low"]
    assert ranked[0].test is None
    near, low = ranked[1:]
    assert (low.test.only_first, low.test.only_second, low.paired) == (30, 0, 100)
    assert low.p_holm == pytest.approx(2 * low.test.p)
    assert near.p_holm == pytest.approx(0.5)
    assert low.p_holm < 0.001


def test_only_faces_that_both_have_are_paired():
    other = entry("b", share(40, 80), rows=np.arange(20, 100))
    ranked = rank([entry("a", share(90)), other])["ab"]
    assert ranked[1].paired == 80
    # Faces 20-89 are right in a, of the other's 80 the first 40, so rows 20-59.
    assert (ranked[1].test.only_first, ranked[1].test.only_second) == (30, 0)


@pytest.mark.parametrize(
    ("change", "word"), [({"split": "test"}, "split"), ({"data": "g"}, "data"), ({"protocol": "paper"}, "protocol")]
)
def test_other_faces_are_refused(change, word):
    with pytest.raises(DataError, match=word):
        rank([entry("a", share(9)), entry("b", share(8), **change)])


def test_an_unknown_protocol_hinders_nothing():
    assert rank([entry("a", share(9)), entry("b", share(8), protocol=None)])


def test_something_must_be_shared():
    with pytest.raises(DataError, match="at least two"):
        rank([entry("a", share(9))])
    with pytest.raises(DataError, match="no label set"):
        rank([entry("a", share(9)), entry("b", share(8), label_set="cd")])
