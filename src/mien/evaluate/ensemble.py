"""Ensembles: which models to average, and with what weights, by what they say of the validation faces.

Greedy forward selection with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models") of the
members that lower the validation loss of the mean probabilities most, then one calibration. The loss rather than
top-1, which on a few thousand faces is mostly luck between near members. Owns the choice; refuses to see the test
split while choosing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, shown
from mien.evaluate.calibration import Calibration, fit
from mien.evaluate.predictions import Predictions, Scores
from mien.expressions import FUSED

#: The least that a mean probability counts for in a logarithm.
LEAST = 1e-12
_ROUNDS = 50


@dataclass(frozen=True)
class Choice:
    """What was chosen for one label set.

    Attributes:
        weights: member to its part of the mean, summing to 1; those that were not chosen have 0.
        calibration: of the logarithms of the mean.
        loss: mean negative log-likelihood of the validation faces, with them.
    """

    weights: Mapping[str, float]
    calibration: Calibration
    loss: float


def choose(members: Mapping[str, Predictions]) -> dict[str, Choice]:
    """Choose weights for each label set of a head that all members are scored on.

    Args:
        members: name to answers on validation, of the same data and protocol.

    Raises:
        DataError: there are fewer than two, they are not about validation or not about the same faces, or they share
            no label set.
    """
    for name, answers in members.items():
        if answers.split != "validation":
            raise DataError(f"{name} is about the {answers.split} split: members are chosen on validation only")
    return {label_set: _choose(scores) for label_set, scores in _aligned(members).items() if label_set != FUSED}


def combine(members: Mapping[str, Predictions], choices: Mapping[str, Choice]) -> Predictions:
    """The ensemble's answers to a split.

    Args:
        members: name to answers, of the same split and data.
        choices: from :func:`choose`; every member with a weight must be there.

    Raises:
        DataError: the members are not about the same faces, or one that was chosen is missing.
    """
    aligned = _aligned(members)
    combined: list[Scores] = []
    outputs: dict[str, Any] = {}
    for label_set, choice in choices.items():
        scores = aligned.get(label_set, {})
        missing = [name for name, weight in choice.weights.items() if weight and name not in scores]
        if missing:
            raise DataError(f"{', '.join(missing)} has no answers on '{shown(label_set)}' here, but was chosen")
        first = next(iter(scores.values()))
        mean = np.sum(
            [weight * scores[name].probabilities for name, weight in choice.weights.items() if weight], axis=0
        )
        probabilities = choice.calibration.probabilities(_logarithms(mean)).astype(np.float32)
        combined.append(replace(first, probabilities=probabilities))
        outputs[first.output] = {"labels": list(first.labels), **choice.calibration.to_dict()}
    one = next(iter(members.values()))
    made = {label_set: dict(choice.weights) for label_set, choice in choices.items()}
    graphs = {name: answers.provenance.get("graph_sha256") for name, answers in members.items()}
    provenance = dict(one.provenance) | {
        "model": f"ensemble of {len(members)}",
        "graph_sha256": hashlib.sha256(json.dumps([graphs, made], sort_keys=True).encode()).hexdigest(),
        "outputs": outputs,
        "members": made,
    }
    return Predictions(one.split, provenance, tuple(combined))


def _aligned(members: Mapping[str, Predictions]) -> dict[str, dict[str, Scores]]:
    """Label set to member to scores, where all members have that label set, with the rows of the first."""
    if len(members) < 2:
        raise DataError("an ensemble needs at least two members")
    (one, first), *others = members.items()
    for name, answers in others:
        for what in ("split", "data", "data_fingerprint"):
            a, b = (p.split if what == "split" else p.provenance.get(what) for p in (first, answers))
            if a != b:
                raise DataError(f"{one} and {name} are not about the same faces: {what} {a} and {b}")
    by_set = {
        s.label_set: {n: m for n, p in members.items() for m in p.scores if m.label_set == s.label_set}
        for s in first.scores
    }
    shared = {label_set: found for label_set, found in by_set.items() if len(found) == len(members)}
    if not shared:
        raise DataError(f"the members share no label set with {one}: {', '.join(by_set)}")
    for label_set, found in shared.items():
        for name, scores in found.items():
            if scores.labels != found[one].labels or not np.array_equal(scores.rows, found[one].rows):
                raise DataError(f"{one} and {name} answer to other faces or labels in '{shown(label_set)}'")
    return shared


def _choose(scores: Mapping[str, Scores]) -> Choice:
    names = list(scores)
    known = [s.labelled() for s in scores.values()]
    truth = known[0].truth
    if not len(truth):
        raise DataError(f"no validation face has a label in '{shown(known[0].label_set)}'")
    probabilities = np.stack([s.probabilities.astype(np.float64) for s in known])
    counts, total = np.zeros(len(names)), np.zeros_like(probabilities[0])
    best, kept, mean = np.inf, counts, total
    # The path goes on where a round is worse: equal shares of two may be, and three to one better again.
    for size in range(1, _ROUNDS + 1):
        losses = [_loss((total + member) / size, truth) for member in probabilities]
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total = total + probabilities[chosen]
        if losses[chosen] < best:
            best, kept, mean = losses[chosen], counts.copy(), total / size
    calibration = fit(_logarithms(mean), truth)
    return Choice(
        dict(zip(names, (kept / kept.sum()).tolist(), strict=True)),
        calibration,
        _loss(calibration.probabilities(_logarithms(mean)), truth),
    )


def _logarithms(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.log(np.maximum(probabilities, LEAST))


def _loss(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    return float(-_logarithms(probabilities[np.arange(len(truth)), truth]).mean())
