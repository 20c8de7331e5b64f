"""Which calibration suits these outputs? Compared on validation alone, with the committed predictions.

    python benchmarks/calibration.py            # writes benchmarks/calibration.json, prints the table

Each calibration is fitted to four fifths of the validation faces and judged on the fifth, five times round, so that
none is judged on faces it has seen. ``chance`` is the expected calibration error (ECE, top label, 15 bins) that a
network which is right exactly as often as it says would show on average, with these confidences on as many faces;
figures below it are luck. All that were tried are here; the one that mien uses was chosen by this very table, so its
own row flatters it a little. The test split is never read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import recording
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from mien.evaluate import predictions
from mien.evaluate.calibration import Calibration, fit
from mien.evaluate.metrics import expected_calibration_error

RECORD = Path(__file__).with_suffix(".json")
PREDICTIONS = Path("docs/predictions")
MODELS = ("fast", "resnet50")
FOLDS, DRAWS = 5, 200

Array = NDArray[np.float64]
Truth = NDArray[np.int64]
Fit = Callable[[Array, Truth], Callable[[Array], Array]]


def by_likelihood(answer: Callable[[Array, Array], Array], count: int) -> Fit:
    """Fit what turns numbers and logits into probabilities; numbers start at 0, around which they are normal."""

    def fitted(logits: Array, truth: Truth) -> Callable[[Array], Array]:
        def loss(x: Array) -> float:
            likely = answer(x, logits)[np.arange(len(truth)), truth]
            return float(-np.log(np.maximum(likely, 1e-12)).mean() + (x**2).sum() / (2 * 0.5**2) / len(truth))

        found = minimize(loss, np.zeros(count), method="L-BFGS-B").x
        return lambda new: answer(found, new)

    return fitted


def with_uniform(x: Array, logits: Array) -> Array:
    """Some answers are drawn from all labels alike: x is the scale, that share and the biases."""
    share = expit(x[1] - 4)
    return (1 - share) * softmax(logits * np.exp(x[0]) + x[2:], axis=1) + share / logits.shape[1]


def two_temperatures(x: Array, logits: Array) -> Array:
    """A mixture of two scales: x is the first, how much smaller the second is, its share, and the biases."""
    share, scale = expit(x[2] - 2), np.exp(x[0])
    second = softmax(logits * scale * np.exp(-abs(x[1]) - 0.1) + x[3:], axis=1)
    return (1 - share) * softmax(logits * scale + x[3:], axis=1) + share * second


def by_entropy(x: Array, logits: Array) -> Array:
    """A scale that depends on the answer's entropy: x is the scale, that slope and the biases."""
    sure = softmax(logits, axis=1)
    entropy = -(sure * log_softmax(logits, axis=1)).sum(axis=1, keepdims=True)
    return softmax(logits * np.exp(x[0] + x[1] * (entropy - 0.8)) + x[2:], axis=1)


def shipped(logits: Array, truth: Truth) -> Callable[[Array], Array]:
    """What mien does."""
    return fit(logits, truth).probabilities


def calibrations(k: int) -> dict[str, Fit]:
    """Name to what is compared, for k labels."""
    return {
        "none": lambda logits, truth: lambda new: softmax(new, axis=1),
        "temperature": by_likelihood(lambda x, z: softmax(z * np.exp(x[0]), axis=1), 1),
        "temperature, biases": by_likelihood(lambda x, z: softmax(z * np.exp(x[0]) + x[1:], axis=1), 1 + k),
        "one scale a label, biases": by_likelihood(lambda x, z: softmax(z * np.exp(x[:k]) + x[k:], axis=1), 2 * k),
        "temperature, biases, share of uniform answers": by_likelihood(with_uniform, 2 + k),
        "two temperatures, biases": by_likelihood(two_temperatures, 3 + k),
        "temperature by entropy, biases": by_likelihood(by_entropy, 2 + k),
        "temperature, biases, power": shipped,
    }


def judged(name: str, label_set: str, logits: Array, truth: Truth) -> list[dict[str, str | float]]:
    """A row for each calibration."""
    rng = np.random.default_rng(0)
    fold = rng.permutation(len(truth)) % FOLDS
    rows = []
    for what, fitted in calibrations(logits.shape[1]).items():
        found = np.empty_like(logits)
        for one in range(FOLDS):
            found[fold == one] = fitted(logits[fold != one], truth[fold != one])(logits[fold == one])
        sure, guess = found.max(axis=1), found.argmax(axis=1)
        lucky = [
            expected_calibration_error(found, np.where(rng.random(len(sure)) < sure, guess, -2)) for _ in range(DRAWS)
        ]
        rows.append(
            {
                "model": name,
                "labels": label_set,
                "n": len(truth),
                "calibration": what,
                "ece": round(expected_calibration_error(found, truth), 4),
                "chance": round(float(np.mean(lucky)), 4),
                "loss": round(float(-np.log(found[np.arange(len(truth)), truth]).mean()), 4),
                "top1": round(100 * float((guess == truth).mean()), 2),
            }
        )
    return rows


def table(rows: list[dict[str, str | float]]) -> str:
    """The record as Markdown."""
    lines = [
        (
            f"{row['model']}, {row['labels']}",
            row["calibration"],
            *(f"{row[key]:.4f}" for key in ("ece", "chance", "loss")),
            f"{row['top1']:.2f}",
        )
        for row in rows
    ]
    return recording.markdown(("model, labels", "calibration", "ECE", "by chance", "loss", "top-1"), lines)


def main() -> None:
    """Judge, record, print."""
    rows = []
    for name in MODELS:
        read = predictions.read(PREDICTIONS / f"{name}-fer2013-validation.parquet")
        for scores in read.scores:
            known, said = scores.labelled(), read.provenance["outputs"][scores.output]
            said = {key: said[key] for key in ("temperature", "bias", "power") if key in said}
            raw = Calibration.from_dict(said).undone(known.probabilities)
            rows += judged(name, scores.label_set, log_softmax(np.log(raw), axis=1), known.truth)
    recording.write(RECORD, {"split": "validation", "figures": rows})
    print(table(rows))


if __name__ == "__main__":
    main()
