import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluate.significance import holm, mcnemar


def hits(both: int, first: int, second: int, neither: int):
    a = np.array([True] * both + [True] * first + [False] * second + [False] * neither)
    b = np.array([True] * both + [False] * first + [True] * second + [False] * neither)
    return a, b


def test_mcnemar_by_hand():
    found = mcnemar(*hits(50, 1, 9, 40))
    assert (found.only_first, found.only_second) == (1, 9)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)


def test_only_faces_that_differ_count():
    assert mcnemar(*hits(5, 3, 12, 0)).p == mcnemar(*hits(5000, 3, 12, 700)).p
    assert mcnemar(*hits(10, 0, 0, 10)).p == 1.0


def test_equal_models_are_seldom_told_apart():
    rng = np.random.default_rng(0)
    values = [mcnemar(rng.random(400) < 0.7, rng.random(400) < 0.7).p for _ in range(400)]
    assert np.mean(np.array(values) < 0.05) < 0.07


def test_other_faces_are_refused():
    with pytest.raises(DataError, match="same faces"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.2]) == (0.2,)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_and_keeps_the_order(values):
    adjusted = holm(values)
    assert all(value <= a <= 1 for value, a in zip(values, adjusted, strict=True))
    order = np.argsort(values)
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
