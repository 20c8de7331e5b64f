import math

import pytest

from mien.tracking.smoothing import Smoother


def test_the_answer_does_not_depend_on_the_frame_rate():
    def after_a_second(rate):
        smoother = Smoother(0.4)
        smoother.update(1, 0.0, {"happy": 1.0, "sad": 0.0})
        for number in range(1, rate + 1):
            scores = smoother.update(1, number / rate, {"happy": 0.0, "sad": 1.0})
        return scores["happy"]

    assert after_a_second(10) == pytest.approx(math.exp(-1 / 0.4))
    assert after_a_second(60) == pytest.approx(after_a_second(10))


def test_persons_do_not_mix_and_probabilities_still_sum_to_one():
    smoother = Smoother(1.0)
    smoother.update(1, 0.0, {"happy": 1.0, "sad": 0.0})
    assert smoother.update(2, 0.1, {"happy": 0.0, "sad": 1.0}) == {"happy": 0.0, "sad": 1.0}
    mixed = smoother.update(1, 0.1, {"happy": 0.2, "sad": 0.8})
    assert 0.2 < mixed["happy"] < 1
    assert sum(mixed.values()) == pytest.approx(1)


def test_after_a_long_gap_it_starts_anew():
    smoother = Smoother(0.2)
    smoother.update(1, 0.0, {"happy": 1.0, "sad": 0.0})
    assert smoother.update(1, 1.1, {"happy": 0.0, "sad": 1.0}) == {"happy": 0.0, "sad": 1.0}
