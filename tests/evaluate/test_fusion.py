"""One answer from two heads: what is pooled, that votes calibrate it, and under which prior."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mien.data import ferplus
from mien.errors import DataError
from mien.evaluate import fusion


def _faces(count=6000, seed=0):
    """True log-odds of seven labels, and one vote a face drawn from them."""
    rng = np.random.default_rng(seed)
    truth = softmax(rng.normal(0, 2, (count, 7)) + np.array([0, -1, 0, 1, 0, 0, 2]), axis=1)
    votes = np.eye(7)[(truth.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(max=6)]
    return truth, votes


def test_the_pool_is_the_weighted_mean_of_logarithms_without_contempt():
    eight, seven = np.array([[0.1] * 6 + [0.2, 0.2]]), np.array([[0.4, *[0.1] * 6]])
    found = fusion.pool({"ferplus": eight, "fer2013": seven}, {"ferplus": 0.75, "fer2013": 0.25})
    assert found == pytest.approx(0.75 * np.log(eight[:, :7]) + 0.25 * np.log(seven))


def test_weights_and_prior_are_shares():
    assert sum(fusion.WEIGHTS.values()) == pytest.approx(1)
    assert sum(fusion.PRIOR) == pytest.approx(1)


def test_a_distorted_answer_is_put_right_under_the_votes_own_prior():
    truth, votes = _faces()
    bent = 3 * np.log(truth) + np.linspace(-1, 1, 7)
    found = fusion.fit(bent, votes, tuple(votes.mean(axis=0))).probabilities(bent)
    assert np.abs(found - truth).mean() < 0.01


def test_the_prior_asked_for_is_what_the_answers_amount_to_among_faces_of_that_prior():
    truth, votes = _faces()
    logarithms = np.log(truth)
    prior = (0.3, 0.05, 0.15, 0.1, 0.2, 0.1, 0.1)
    found = fusion.fit(logarithms, votes, prior).probabilities(logarithms)
    weights = (votes * (np.array(prior) / votes.mean(axis=0))).sum(axis=1, keepdims=True)
    assert (weights * found).sum(axis=0) / weights.sum() == pytest.approx(prior, abs=0.02)


def test_faces_without_votes_do_not_count_and_some_must_have_one():
    truth, votes = _faces(300)
    logits = log_softmax(np.log(truth), axis=1)
    blank = np.vstack([votes, np.zeros((50, 7))])
    assert fusion.fit(np.vstack([logits, logits[:50]]), blank) == fusion.fit(logits, votes)
    with pytest.raises(DataError, match="vote"):
        fusion.fit(logits, np.zeros_like(votes))


def test_a_label_without_a_vote_stays_finite():
    truth, votes = _faces(300)
    votes[:, 1] = 0
    votes[votes.sum(axis=1) == 0, 0] = 1
    assert np.isfinite(fusion.fit(np.log(truth), votes).bias).all()


def test_shares_of_seven_leave_contempt_and_unknown_out_and_keep_single_votes():
    votes = np.array([[3, 0, 0, 1, 0, 0, 0, 4, 2, 0], [0, 0, 0, 0, 0, 0, 0, 5, 5, 0]])
    assert ferplus.seven_shares(votes).tolist() == [[0, 0, 0, 0, 0.25, 0, 0.75], [0] * 7]
    assert ferplus.seven_plurality(votes).tolist() == [6, -1]
