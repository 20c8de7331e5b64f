from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluate import predictions
from mien.evaluate.coverage import coverage
from mien.export.figures import thresholds


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


def faces(count, seed):
    """Confidences of two labels, and labels that are right a little less often than the confidence says."""
    rng = np.random.default_rng(seed)
    sure = 1 - 0.5 * rng.beta(0.6, 1.2, count)
    truth = (rng.random(count) > chance(sure)).astype(int)  # 0 is what is answered
    return sure, truth


def chance(sure):
    return 1 - 1.1 * (1 - sure)


@pytest.fixture(scope="module")
def error_above():
    """Least confidence to the true share of wrong answers among the made faces that are as sure."""
    sure = np.sort(faces(400_000, seed=9)[0])[::-1]
    errors = np.cumsum(1 - chance(sure)) / np.arange(1, len(sure) + 1)
    return lambda least: errors[max(np.searchsorted(-sure, -least, side="right"), 1) - 1]


@pytest.mark.parametrize("count", [400, 3600])
@pytest.mark.parametrize("rate", [0.15, 0.1, 0.05])
def test_the_promise_is_kept_in_95_of_100_repetitions(rate, count, error_above):
    repetitions, broken, found = 200, 0, 0
    for seed in range(repetitions):
        sure, truth = faces(count, seed + 10)
        least = coverage(two_labels(sure), truth).threshold(rate)
        if least is not None:
            found, broken = found + 1, broken + (error_above(least) > rate)
    assert broken <= 0.05 * repetitions
    assert found > (0.8 if count > 1000 else 0.1) * repetitions


def test_a_point_estimate_would_break_it(error_above):
    """What was done before: the lowest threshold whose share of wrong answers is within the rate."""
    broken = 0
    for seed in range(100):
        sure, truth = faces(3600, seed + 10)
        curve = coverage(two_labels(sure), truth)
        least = curve.confidence[np.flatnonzero(curve.accuracy >= 0.9)[-1]]
        broken += error_above(least) > 0.1
    assert broken > 30


PUBLISHED = Path(__file__).parents[2] / "docs" / "predictions"


def test_the_promise_is_kept_on_the_published_test_faces():
    """With 95 % certainty each: of some forty cells, about two may break it."""
    cells, broken = 0, 0
    for file in sorted(PUBLISHED.glob("*-fer2013-validation.parquet")):
        tested = predictions.read(file.with_name(file.name.replace("validation", "test")))
        for chosen, test in zip(predictions.read(file).scores, tested.scores, strict=True):
            part = test.labelled()
            sure, wrong = part.probabilities.max(axis=1), part.probabilities.argmax(axis=1) != part.truth
            for rate, least in thresholds(chosen).items():
                cells, broken = cells + 1, broken + (wrong[sure >= least].mean() > float(rate))
    assert cells >= 40
    assert broken <= 0.05 * cells + 2 * np.sqrt(0.05 * 0.95 * cells)


def test_more_faces_buy_more_answers():
    few, many = (faces(count, seed=1) for count in (300, 10_000))
    shares = [(sure >= coverage(two_labels(sure), truth).threshold(0.1)).mean() for sure, truth in (few, many)]
    assert shares[0] < shares[1]


def test_all_faces_that_are_as_sure_count():
    """The hundred surest have one confidence, among them the wrong ones: none of them may be passed over."""
    sure = np.array([0.9] * 200 + [0.6] * 10)
    truth = np.array([0] * 100 + [1] * 100 + [0] * 10)
    assert coverage(two_labels(sure), truth).threshold(0.2) is None


def test_a_rate_that_not_even_the_surest_keep_has_no_threshold():
    assert coverage(two_labels([0.9, 0.8]), np.array([1, 0])).threshold(0.1) is None


def test_too_few_faces_have_no_threshold_even_if_all_are_right():
    assert coverage(two_labels([0.9] * 20), np.zeros(20, int)).threshold(0.1) is None
    assert coverage(two_labels([0.9] * 200), np.zeros(200, int)).threshold(0.1) == 0.9
