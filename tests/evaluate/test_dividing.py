"""Groups by the values of a column: numbers cut at quantiles, words, and what makes no groups."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluate import dividing


def test_columns_become_groups() -> None:
    rows = np.arange(30)
    made = dividing.divide("light", rows, [float(k) for k in range(29)] + [None], rows, bins=3)
    assert np.bincount(made.members[:-1]).tolist() == [10, 9, 10]
    assert made.members[-1] == -1
    assert made.names == ("up to 9.3", "9.3 to 18.7", "above 18.7")
    assert made.edges == pytest.approx((28 / 3, 56 / 3))
    words = dividing.divide("site", rows, ["b", "a", ""] * 10, rows)
    assert (words.names, words.edges) == (("a", "b"), ())
    assert words.members.tolist() == [1, 0, -1] * 10
    assert dividing.divide("worn", rows, [True, False] * 15, rows).names == ("False", "True")
    assert dividing.divide("n", rows, [10, 9, 2] * 10, rows).names == ("2", "9", "10")
    for values in (["a"] * 30, [None] * 30, [5.0] * 30):
        with pytest.raises(DataError, match="expected 2 to"):
            dividing.divide("c", rows, values, rows)
    with pytest.raises(DataError, match="makes 150 groups"):
        dividing.divide("c", np.arange(150), [f"w{k}" for k in range(150)], np.arange(150))
