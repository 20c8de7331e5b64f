import numpy as np
import pytest
from scipy.special import softmax

from mien.evaluate.metrics import expected_calibration_error, reliability


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3000, 5))
    truth = np.array([rng.choice(5, p=row) for row in softmax(logits, axis=1)])
    return logits, truth


def test_every_face_is_in_one_bin_and_the_bins_sum_up_to_the_error(answers):
    logits, truth = answers
    probabilities = softmax(2 * logits, axis=1)
    bins = reliability(probabilities, truth)
    assert sum(b.n for b in bins) == len(truth)
    error = sum(b.n * abs(b.accuracy - b.confidence) for b in bins if b.n) / len(truth)
    assert error == pytest.approx(expected_calibration_error(probabilities, truth))
    assert all(b.low < b.confidence <= b.high for b in bins if b.n)


def test_empty_bins_have_no_accuracy(answers):
    logits, truth = answers
    first = reliability(softmax(logits, axis=1), truth)[0]  # five labels: nobody is less than 20 % sure
    assert first.n == 0
    assert np.isnan(first.accuracy)
