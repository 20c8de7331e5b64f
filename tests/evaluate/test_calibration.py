import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mien.errors import DataError
from mien.evaluate.calibration import fit_temperature


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (20_000, 7))
    truth = np.array([rng.choice(7, p=row) for row in softmax(logits / temperature, axis=1)])
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.03)


def test_faces_without_a_label_do_not_count():
    logits = np.array([[2.0, 0, 0], [0, 1.5, 0], [0, 0, 1.0], [9.0, 0, 0]] * 50)
    truth = np.array([0, 1, 0, -1] * 50)
    assert fit_temperature(logits, truth) == pytest.approx(fit_temperature(logits[truth >= 0], truth[truth >= 0]))
    with pytest.raises(DataError):
        fit_temperature(logits, np.full(200, -1))


def test_log_probabilities_serve_as_logits():
    rng = np.random.default_rng(2)
    logits, truth = rng.normal(0, 2, (500, 4)), rng.integers(0, 4, 500)
    assert fit_temperature(log_softmax(logits, axis=1), truth) == pytest.approx(
        fit_temperature(logits, truth), rel=1e-3
    )
