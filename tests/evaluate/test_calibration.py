import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mien.errors import DataError
from mien.evaluate.calibration import Calibration, _fitted, fit


def drawn(logits, calibration, seed=1):
    """Labels drawn from the probabilities that a calibration gives."""
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(logits.shape[1], p=row) for row in calibration.probabilities(logits)])


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_and_biases_that_labels_were_drawn_at_are_found(temperature):
    logits = np.random.default_rng(1).normal(0, 3, (20_000, 5))
    wanted = Calibration(temperature, (0.6, -0.4, 0.0, -0.3, 0.1))
    found = fit(logits, drawn(logits, wanted))
    assert found.temperature == pytest.approx(temperature, rel=0.04)
    assert np.allclose(found.bias, wanted.bias, atol=0.08)


@pytest.mark.parametrize("power", [0.6, 1.0, 1.5])
def test_the_power_that_labels_were_drawn_at_is_found(power):
    logits = np.random.default_rng(6).normal(0, 2, (20_000, 5))
    wanted = Calibration(1.4, (0.3, -0.2, 0.0, -0.2, 0.1), power)
    found = fit(logits, drawn(logits, wanted))
    assert found.power == pytest.approx(power, rel=0.06)
    assert found.probabilities(logits) == pytest.approx(wanted.probabilities(logits), abs=0.03)


def test_without_biases_no_power_changes_an_answer():
    logits = np.random.default_rng(7).normal(0, 2, (200, 5))
    answers = [Calibration(1.3, power=power).probabilities(logits) for power in (0.5, 1.0, 2.0)]
    assert all(np.array_equal(a.argsort(axis=1), logits.argsort(axis=1)) for a in answers)
    assert not np.allclose(answers[0], answers[2], atol=0.05)


def test_at_power_one_it_is_temperature_scaling():
    logits = np.random.default_rng(8).normal(0, 2, (50, 4))
    bias = (0.5, -0.2, 0.0, -0.3)
    assert np.allclose(Calibration(0.7, bias).probabilities(logits), softmax(logits / 0.7 + bias, axis=1))
    assert Calibration.from_dict({"temperature": 0.7, "bias": [0.5, -0.5]}) == Calibration(0.7, (0.5, -0.5))


def test_biases_correct_a_label_that_is_named_too_often():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 3000)
    logits = rng.normal(0, 1, (3000, 3)) + 2.0 * np.eye(3)[truth] + [1.5, 0, 0]
    before = np.mean(logits.argmax(axis=1) == truth)
    after = np.mean(fit(logits, truth).probabilities(logits).argmax(axis=1) == truth)
    assert after > before + 0.05


def test_few_faces_move_the_biases_and_the_power_little():
    logits = np.random.default_rng(4).normal(0, 1, (6, 3))
    assert 0.7 < fit(logits, np.zeros(6, int)).power < 1.4
    assert np.abs(fit(logits, np.zeros(6, int)).bias).max() < 1.0
    assert np.abs(fit(np.repeat(logits, 500, axis=0), np.zeros(3000, int)).bias).max() > 2.0


def test_faces_without_a_label_do_not_count():
    logits = np.array([[2.0, 0, 0], [0, 1.5, 0], [0, 0, 1.0], [9.0, 0, 0]] * 50)
    truth = np.array([0, 1, 0, -1] * 50)
    assert fit(logits, truth) == fit(logits[truth >= 0], truth[truth >= 0])
    with pytest.raises(DataError):
        fit(logits, np.full(200, -1))


def test_log_probabilities_serve_as_logits():
    rng = np.random.default_rng(2)
    logits, truth = rng.normal(0, 2, (500, 4)), rng.integers(0, 4, 500)
    a, b = fit(log_softmax(logits, axis=1), truth), fit(logits, truth)
    assert a.temperature == pytest.approx(b.temperature, rel=1e-3)
    assert np.allclose(a.bias, b.bias, atol=1e-3)


@pytest.mark.parametrize("power", [0.6, 1.0, 1.7])
def test_a_calibration_can_be_taken_out_again(power):
    logits = np.random.default_rng(5).normal(0, 2, (50, 4))
    calibration = Calibration(0.7, (0.5, -0.2, 0.0, -0.3), power)
    assert np.allclose(calibration.undone(calibration.probabilities(logits)), softmax(logits, axis=1), atol=1e-6)
    assert not np.allclose(
        Calibration(0.7).undone(calibration.probabilities(logits)), softmax(logits, axis=1), atol=0.05
    )
    assert np.isfinite(calibration.undone(np.array([[1.0, 0.0, 0.0, 0.0]], np.float32))).all()


def _answers(faces: int, seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that is right as often as it says at sharpness 1, and true labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (faces, 7))
    return sharpness * logits, np.array([rng.choice(7, p=row) for row in softmax(logits, axis=1)])


def test_on_few_faces_a_calibration_that_does_not_help_others_is_left_out():
    left, always, now = 0, 0.0, 0.0
    unseen, labels = _answers(2_000, 99, 1.0)
    for seed in range(12):
        found = fit(*_answers(36, seed, 1.0))
        left += found.kind == "none"
        every = _fitted(*_answers(36, seed, 1.0))
        always, now = (
            total - np.log(one.probabilities(unseen)[np.arange(2_000), labels]).mean()
            for total, one in ((always, every), (now, found))
        )
    assert left >= 4
    assert now < always


def test_on_few_faces_a_calibration_that_is_needed_is_kept():
    found = fit(*_answers(100, 1, 4.0))
    assert found.kind != "none"
    assert 2 < found.temperature < 8
    assert fit(*_answers(1_200, 1, 1.0)).kind == "temperature, power and biases"
