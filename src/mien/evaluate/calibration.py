"""Calibration of an output, fitted on validation: a temperature, a power and one bias per label.

Temperature scaling (Guo et al. 2017) makes a confidence of 80 % right 80 % of the time; a bias per label (Alexandari et
al. 2020, "Maximum likelihood with bias-corrected calibration") also corrects labels that the network names too often or
too seldom. Both scale sure and unsure answers alike; the power does not: negative log-probabilities are raised to it,
which keeps the order of the labels (a one-parameter member of the family of Rahimi et al. 2020, "Intra
order-preserving functions for calibration of multi-class neural networks"). ``benchmarks/calibration.py`` shows what
was compared. On few validation faces the biases stay near zero and the power near one, and what
does not help faces that it was not fitted on is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require

_LOWEST, _HIGHEST = 0.05, 20.0
_HALVINGS = 60
#: Standard deviation of the normal distribution that biases are thought to come from.
_BIAS = 0.5
#: The same of the power's logarithm.
_POWER = 0.5
_TINY = 1e-30
# Below this many faces it is tried on others first what may be fitted.
_FEW, _FOLDS = 1_000, 5
_FREE = ("", "temperature", "all")


class Calibrated(Protocol):
    """Whatever carries the numbers of a calibration, as an output in a card."""

    @property
    def temperature(self) -> float:
        """As of :class:`Calibration`."""
        ...

    @property
    def bias(self) -> tuple[float, ...]:
        """As of :class:`Calibration`."""
        ...

    @property
    def power(self) -> float:
        """As of :class:`Calibration`."""
        ...


@dataclass(frozen=True)
class Calibration:
    """What turns logits into probabilities: softmax(bias - nll ** power / temperature).

    The negative log-likelihood (nll) of a label is -log(softmax(logits)); at power 1 this is
    softmax(logits / temperature + bias).

    Attributes:
        temperature: above 0.
        bias: one per label; empty for none.
        power: above 0.
    """

    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    power: float = 1.0

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Self:
        """What :meth:`to_dict` wrote, also before there were biases and powers."""
        facts: dict[str, Any] = {**numbers, "bias": tuple(numbers.get("bias", ()))}
        return cls(**facts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {"temperature": self.temperature, "bias": list(self.bias), "power": self.power}

    @classmethod
    def of(cls, output: Calibrated) -> Self:
        """The calibration that an output says it has."""
        return cls(output.temperature, output.bias, output.power)

    @property
    def kind(self) -> str:
        """What was fitted: ``temperature, power and biases``, ``temperature``, or ``none``."""
        if self.bias:
            return "temperature, power and biases"
        return "none" if self == Calibration() else "temperature"

    def __str__(self) -> str:
        """Without the biases: ``temperature 1.21, power 0.93``."""
        return f"temperature {self.temperature:.3g}, power {self.power:.3g}"

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, K) logits, or log-probabilities, to (N, K) probabilities.

        >>> Calibration(0.5).probabilities(np.log([[0.8, 0.2]])).round(3).tolist()
        [[0.941, 0.059]]
        """
        special = require("scipy.special", "tables")
        nll = -special.log_softmax(logits.astype(np.float64), axis=1)
        return special.softmax(self._bias - nll**self.power / self.temperature, axis=1)

    def undone(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """What the network said before: (N, K) calibrated probabilities to those of its logits as they are."""
        scaled = self._bias - np.log(np.maximum(probabilities.astype(np.float64), _TINY))
        # All labels of a face were moved alike when they were made to sum to 1; by how much is found by bisection:
        # the negative log-likelihoods must be of probabilities that sum to 1 themselves.
        low: NDArray[np.float64] = -scaled.min(axis=1, keepdims=True)
        high: NDArray[np.float64] = low + (np.log(scaled.shape[1]) ** self.power) / self.temperature
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            too_likely = self._before(scaled + middle).sum(axis=1, keepdims=True) > 1
            low, high = np.where(too_likely, middle, low), np.where(too_likely, high, middle)
        found = self._before(scaled + high)
        return found / found.sum(axis=1, keepdims=True)

    def _before(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of negative log-likelihoods that were raised and divided."""
        return np.exp(-((np.maximum(scaled, 0) * self.temperature) ** (1 / self.power)))

    @property
    def _bias(self) -> NDArray[np.float64] | float:
        return np.array(self.bias) if self.bias else 0.0


def fit(logits: NDArray[np.floating], truth: NDArray[np.integer]) -> Calibration:
    """The temperature, within 0.05-20, the power and the biases that make the true labels most likely.

    On fewer than 1,000 faces all of them, the temperature alone, or nothing is fitted: whichever makes faces most
    likely that it was not fitted on, in five parts.

    Args:
        logits: (N, K) of validation faces; log-probabilities serve as well.
        truth: (N,) label indices; -1 is left out.

    Raises:
        DataError: no face has a label.
    """
    known = truth >= 0
    if not known.any():
        raise DataError("no validation face has a label to fit the calibration on")
    logits, truth = logits[known].astype(np.float64), truth[known]
    if len(truth) >= _FEW:
        return _fitted(logits, truth)
    # The first of these that no later one beats: where nothing helps, nothing is changed.
    losses = [_cross_fitted(logits, truth, free) for free in _FREE]
    best = _FREE[int(np.argmin(losses))]
    return _fitted(logits, truth, best) if best else Calibration()


def _cross_fitted(logits: NDArray[np.float64], truth: NDArray[np.integer], free: str) -> float:
    """Mean negative log-likelihood of faces under calibrations that were fitted without them."""
    total = 0.0
    for part in np.array_split(np.random.default_rng(0).permutation(len(truth)), min(_FOLDS, len(truth))):
        rest = np.delete(np.arange(len(truth)), part)
        fitted = _fitted(logits[rest], truth[rest], free) if free and len(rest) else Calibration()
        right = fitted.probabilities(logits[part])[np.arange(len(part)), truth[part]]
        total -= float(np.log(np.maximum(right, _TINY)).sum())
    return total / len(truth)


def _fitted(logits: NDArray[np.float64], truth: NDArray[np.integer], free: str = "all") -> Calibration:
    """The calibration that fits best: ``all`` of it, or the ``temperature`` alone."""
    optimize, special = require("scipy.optimize", "tables"), require("scipy.special", "tables")
    nll = np.maximum(-special.log_softmax(logits, axis=1), _TINY)
    logarithms = np.log(nll)
    count, labels = logits.shape
    one_hot = np.eye(labels)[truth]

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        power, bias = np.exp(x[1]), x[2:]
        raised = nll**power * np.exp(-x[0])
        scaled = special.log_softmax(bias - raised, axis=1)
        error = np.exp(scaled) - one_hot
        value = -(scaled * one_hot).sum() + (bias**2).sum() / (2 * _BIAS**2) + x[1] ** 2 / (2 * _POWER**2)
        slopes = [(error * raised).sum(), -(error * raised * logarithms).sum() * power + x[1] / _POWER**2]
        return value / count, np.concatenate([slopes, error.sum(axis=0) + bias / _BIAS**2]) / count

    others = [(-1.5, 1.5), *[(-5.0, 5.0)] * labels] if free == "all" else [(0.0, 0.0)] * (labels + 1)
    bounds = [(np.log(_LOWEST), np.log(_HIGHEST)), *others]
    options = {"ftol": 1e-12, "gtol": 1e-8}
    result = optimize.minimize(loss, np.zeros(labels + 2), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    temperature, power = (round(float(np.exp(number)), 4) for number in result.x[:2])
    if free != "all":
        return Calibration(temperature)
    bias = result.x[2:] - result.x[2:].mean()  # the same on all labels changes nothing
    return Calibration(temperature, tuple(round(float(b), 4) for b in bias), power)
