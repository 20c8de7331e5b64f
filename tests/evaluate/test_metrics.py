import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluate import metrics
from mien.evaluate.predictions import Scores
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN


def scores(truth, guesses, *, label_set="fer2013", unfiltered=None, confidence=0.9) -> Scores:
    labels = BASIC_SEVEN if label_set == "fer2013" else BASIC_EIGHT
    truth = np.array(truth)
    rows = np.full((len(truth), len(labels)), (1 - confidence) / (len(labels) - 1), np.float32)
    rows[np.arange(len(truth)), guesses] = confidence
    return Scores(
        "probabilities",
        label_set,
        labels,
        np.arange(len(truth)),
        truth,
        truth if unfiltered is None else np.array(unfiltered),
        rows,
    )


def test_figures_by_hand():
    found = metrics.measure(scores([0, 0, 0, 3, 3, -1], [0, 0, 3, 3, 3, 5]))
    assert found.n == 5
    assert found.top1 == pytest.approx(4 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.macro_f1 == pytest.approx((2 * 1 * (2 / 3) / (1 + 2 / 3) + 2 * (2 / 3) * 1 / (2 / 3 + 1)) / 2)
    angry, happy = found.classes[0], found.classes[3]
    assert (angry.n, angry.precision, angry.recall) == pytest.approx((3, 1, 2 / 3))
    assert (happy.n, happy.precision, happy.recall) == pytest.approx((2, 2 / 3, 1))
    assert found.ece == pytest.approx(0.1)


def test_the_figures_change_with_the_label_order():
    truth = np.arange(70) % 7
    right = scores(truth, truth)
    permuted = Scores(
        right.output, right.label_set, right.labels, right.rows, truth, truth, right.probabilities[:, ::-1]
    )
    assert metrics.measure(right).top1 == 1
    assert metrics.measure(permuted).top1 == pytest.approx(1 / 7)


def test_ferplus_is_also_given_without_contempt_and_unfiltered():
    contempt = BASIC_EIGHT.index("contempt")
    found = metrics.measure(
        scores([0, 1, contempt, -1], [0, 2, contempt, 4], label_set="ferplus", unfiltered=[0, 1, contempt, 4])
    )
    assert (found.n, found.top1) == (3, pytest.approx(2 / 3))
    assert found.also == {"seven classes": (2, 0.5), "unfiltered": (4, 0.75)}


def test_without_labels_there_are_no_figures():
    with pytest.raises(DataError, match="no face"):
        metrics.measure(scores([-1, -1], [0, 1]))


def test_the_interval_holds_the_share_and_narrows_with_n():
    few, many = np.arange(100) % 4 > 0, np.arange(10_000) % 4 > 0
    low, high = metrics.bootstrap_interval(few)
    assert low < 0.75 < high
    # The normal approximation, 1.96 standard errors on each side.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 100), rel=0.15)
    narrow = metrics.bootstrap_interval(many)
    assert narrow[1] - narrow[0] < (high - low) / 5
    assert metrics.bootstrap_interval(many) == narrow
    assert metrics.bootstrap_interval(np.ones(5, bool)) == (1.0, 1.0)


def test_calibration_error_of_a_calibrated_and_of_a_boastful_model():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200_000)
    rows = np.stack([confidence, 1 - confidence], axis=1)
    honest = np.where(rng.uniform(size=len(rows)) < confidence, 0, 1)
    assert metrics.expected_calibration_error(rows, honest) < 0.005
    coin = rng.integers(0, 2, len(rows))
    assert metrics.expected_calibration_error(rows, coin) == pytest.approx(0.25, abs=0.01)


def test_a_probability_on_the_edge_of_a_bin_belongs_to_the_lower_one():
    rows = np.array([[0.6, 0.4], [0.61, 0.39]])
    # Bins of 0.2: the first face closes (0.4, 0.6], the second opens (0.6, 0.8].
    error = metrics.expected_calibration_error(rows, np.array([0, 1]), bins=5)
    assert error == pytest.approx((0.4 + 0.61) / 2)
