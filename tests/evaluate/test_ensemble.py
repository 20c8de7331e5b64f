from dataclasses import replace

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluate import ensemble
from mien.evaluate.predictions import Predictions, Scores

N, K = 600, 4
LABELS = ("a", "b", "c", "d")


def answers(seed, skill, split="validation", faces=0, **provenance):
    """A member that leans towards the truth by ``skill``, with errors of its own."""
    truth = np.random.default_rng(faces).integers(0, K, N)
    logits = np.random.default_rng([seed, faces + 1]).normal(size=(N, K)) * 1.5
    logits[np.arange(N), truth] += skill
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth[:20] = -1  # without a label
    scores = Scores("probabilities", "set", LABELS, np.arange(N), truth, truth, p.astype(np.float32))
    about = {"data": "made", "data_fingerprint": "f", "graph_sha256": str(seed), **provenance}
    return Predictions(split, about, (scores,))


def right(scores):
    part = scores.labelled()
    return np.mean(part.probabilities.argmax(axis=1) == part.truth)


@pytest.fixture
def members():
    return {"good": answers(1, 2.0), "other": answers(2, 2.0), "third": answers(3, 1.8), "noise": answers(4, 0.0)}


def test_several_that_err_differently_beat_the_best_and_noise_gets_no_weight(members):
    choice = ensemble.choose(members)["set"]
    assert sum(choice.weights.values()) == pytest.approx(1)
    assert choice.weights["noise"] == 0
    assert all(choice.weights[name] > 0 for name in ("good", "other", "third"))
    combined = ensemble.combine(members, {"set": choice}).scores[0]
    assert right(combined) > max(right(p.scores[0]) for p in members.values()) + 0.02
    known = combined.labelled()
    loss = -np.log(known.probabilities[np.arange(len(known.truth)), known.truth]).mean()
    assert loss == pytest.approx(choice.loss, abs=1e-4)


def test_a_weaker_member_may_have_a_small_share_where_an_equal_one_would_be_worse():
    pair = {"good": answers(1, 2.4), "weak": answers(2, 1.0)}
    choice = ensemble.choose(pair)["set"]
    good, weak = (p.scores[0].labelled() for p in pair.values())
    chances = [s.probabilities[np.arange(len(s.truth)), s.truth] for s in (good, weak)]
    alone, halves = (-np.log(chances[0]).mean(), -np.log((chances[0] + chances[1]) / 2).mean())
    assert halves > alone
    assert 0.05 < choice.weights["weak"] < 0.5
    share = choice.weights["weak"]
    assert -np.log((1 - share) * chances[0] + share * chances[1]).mean() < alone


def test_other_faces_get_the_weights_that_validation_chose(members):
    choices = ensemble.choose(members)
    test = {name: answers(k, 2.0, "test", faces=7) for k, name in enumerate(members, 1)}
    combined = ensemble.combine(test, choices)
    assert combined.split == "test"
    mean = sum(w * test[name].scores[0].probabilities for name, w in choices["set"].weights.items())
    expected = choices["set"].calibration.probabilities(np.log(mean))
    assert np.allclose(combined.scores[0].probabilities, expected, atol=1e-6)
    assert combined.provenance["members"]["set"] == dict(choices["set"].weights)
    assert combined.provenance["graph_sha256"] != "1"


def test_choosing_on_the_test_split_is_refused():
    with pytest.raises(DataError, match="chosen on validation only"):
        ensemble.choose({"a": answers(1, 2, "test"), "b": answers(2, 2, "test")})


def test_members_must_be_about_the_same_faces(members):
    one = members["good"]
    shuffled = replace(one.scores[0], rows=one.scores[0].rows[::-1])
    for other, words in (
        (answers(2, 2.0, data_fingerprint="g"), "data_fingerprint f and g"),
        (replace(one, scores=(shuffled,)), "other faces or labels"),
        (replace(one, scores=(replace(one.scores[0], labels=LABELS[::-1]),)), "other faces or labels"),
        (replace(one, scores=(replace(one.scores[0], label_set="else"),)), "share no label set"),
    ):
        with pytest.raises(DataError, match=words):
            ensemble.choose({"one": one, "other": other})
    with pytest.raises(DataError, match="at least two"):
        ensemble.choose({"one": one})


def test_a_chosen_member_may_not_be_missing(members):
    choices = ensemble.choose(members)
    with pytest.raises(DataError, match="good has no answers"):
        ensemble.combine({name: p for name, p in members.items() if name != "good"}, choices)
