"""What a card says of a model's answers: figures, how sure to be for which share of errors, golden answers.

Everything here is of the validation split.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mien.evaluate import metrics, predictions
from mien.evaluate.coverage import coverage
from mien.export.cards import summary
from mien.models import Card

# Shares of wrong answers for which the card says how sure the model must be.
_ERROR_RATES = (0.2, 0.15, 0.1, 0.05, 0.02, 0.01)


def complete(card: Card, scorer: predictions.Scorer, scored: predictions.Predictions) -> Card:
    """A card with figures on validation, how sure to be for which share of errors, and golden answers.

    Args:
        card: as described.
        scorer: that it is of.
        scored: its answers to validation.
    """
    figures = {s.output: summary(metrics.measure(s)) for s in scored.scores}
    abstain = {s.output: thresholds(s) for s in scored.scores}
    crop = card.golden_crop()[None]
    golden = {name: tuple(round(float(p), 5) for p in rows[0]) for name, rows in scorer.score(crop).items()}
    return replace(
        card,
        outputs={
            name: replace(output, metrics={"validation": figures[name]}, abstain=abstain[name])
            for name, output in card.outputs.items()
        },
        golden=replace(card.golden, probabilities=golden),
    )


def thresholds(scores: predictions.Scores) -> dict[str, float]:
    """Error rate to the least probability that keeps it with 95 % certainty, for the rates that can be kept.

    Args:
        scores: of validation faces; :meth:`mien.evaluate.coverage.Coverage.threshold` says what is promised.
    """
    part = scores.labelled()
    curve = coverage(part.probabilities, part.truth)
    found = {f"{rate:g}": curve.threshold(rate) for rate in _ERROR_RATES}
    # Rounded down, so that the faces that the bound was about are still answered.
    return {rate: math.floor(least * 1e6) / 1e6 for rate, least in found.items() if least is not None}
