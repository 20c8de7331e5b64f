import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluate.coverage import coverage


def two_labels(confidences):
    sure = np.array(confidences, float)
    return np.stack([sure, 1 - sure], axis=1)


def test_the_curve_by_hand():
    found = coverage(two_labels([0.6, 0.9, 0.8, 0.7]), np.array([1, 0, 0, 1]))
    assert found.confidence.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert found.accuracy.tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert found.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert found.at(0.5) == (2, 1.0, 0.8)
    assert found.at(0.0)[0] == 1


def test_confidences_that_rank_right_before_wrong_have_the_smaller_area():
    truth = np.array([0] * 8 + [1] * 2)
    good = coverage(two_labels(np.linspace(0.99, 0.55, 10)), truth)
    bad = coverage(two_labels(np.linspace(0.55, 0.99, 10)), truth)
    assert good.accuracy[-1] == bad.accuracy[-1] == pytest.approx(0.8)
    assert good.aurc < 0.2 < bad.aurc


@given(st.permutations([0, 0, 0, 1, 1]))
def test_with_equal_confidences_the_order_of_the_faces_does_not_matter(truth):
    found = coverage(two_labels([0.75] * 5), np.array(truth))
    assert found.accuracy.tolist() == pytest.approx([0.6] * 5)
    assert found.aurc == pytest.approx(0.4)


def test_nobody_is_an_error():
    with pytest.raises(DataError):
        coverage(np.empty((0, 3)), np.empty(0, int))


@pytest.mark.parametrize("rate", [0.2, 0.1, 0.02])
def test_the_threshold_answers_as_many_as_the_rate_allows(rate):
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 2000)
    truth = (rng.random(2000) > sure).astype(int)  # right as often as it is sure
    curve = coverage(np.stack([sure, 1 - sure], axis=1), truth)
    least = curve.threshold(rate)
    answered = sure >= least
    assert (truth[answered] == 1).mean() <= rate
    more = sure >= np.sort(sure[~answered])[-1]
    assert (truth[more] == 1).mean() > rate, "one face more would be too many"


def test_a_rate_that_not_even_the_surest_keep_has_no_threshold():
    assert coverage(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([1, 0])).threshold(0.1) is None
