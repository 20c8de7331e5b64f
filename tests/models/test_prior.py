"""Priors: which there are, how they are read, and what they do to probabilities."""

import json

import numpy as np
import pytest

from mien.errors import ModelError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from mien.models import prior


@pytest.mark.parametrize("name", prior.NAMED)
def test_named_priors_are_shares_of_the_seven(name):
    assert tuple(prior.NAMED[name]) == BASIC_SEVEN
    assert sum(prior.NAMED[name].values()) == pytest.approx(1)


def test_a_file_in_any_order_and_spelling_need_not_sum_to_one(tmp_path):
    file = tmp_path / "office.json"
    file.write_text(
        json.dumps({"Neutral": 6, "happiness": 2} | dict.fromkeys(BASIC_SEVEN[:3], 1) | {"sad": 1, "surprise": 1})
    )
    expected = np.array([1, 1, 1, 2, 1, 1, 6]) / 13
    assert prior.resolve(str(file), BASIC_SEVEN) == pytest.approx(expected)
    assert prior.resolve(file, BASIC_SEVEN) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("normal", "natural, balanced"),
        ({"happy": 1.0}, "wants each of angry"),
        (dict.fromkeys(BASIC_EIGHT, 1.0), "wants each of angry"),
        (dict.fromkeys(BASIC_SEVEN, 1.0) | {"sad": 0}, "share of sad is 0"),
        (dict.fromkeys(BASIC_SEVEN, 1.0) | {"sad": "much"}, "share of sad is 'much'"),
        (dict.fromkeys(BASIC_SEVEN, 1.0) | {"sad": float("nan")}, "share of sad"),
        (dict.fromkeys(BASIC_SEVEN, 1.0) | {"Sadness": 1.0}, "wants each of angry"),
    ],
)
def test_what_is_no_prior_is_refused_with_a_reason(wrong, says):
    with pytest.raises(ModelError, match=says):
        prior.resolve(wrong, BASIC_SEVEN)


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_file_that_is_no_object_is_refused(tmp_path, text):
    (tmp_path / "p.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match="JSON"):
        prior.resolve(tmp_path / "p.json", BASIC_SEVEN)


def test_reweighting_is_bayes_rule_and_goes_back():
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    before, after = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])
    there = prior.reweight(rows, before, after)
    assert there.dtype == np.float32
    odds = (rows[:, 0] / rows[:, 2]) * (0.6 / 0.2) / (0.1 / 0.5)
    assert there[:, 0] / there[:, 2] == pytest.approx(odds, rel=1e-5)
    assert prior.reweight(there, after, before) == pytest.approx(rows, abs=1e-6)
