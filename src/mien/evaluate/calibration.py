"""Bias-corrected temperature scaling, fitted on validation: one number and one bias per label for each output.

Temperature scaling (Guo et al. 2017) makes a confidence of 80 % right 80 % of the time; a bias per label (Alexandari et
al. 2020, "Maximum likelihood with bias-corrected calibration") also corrects labels that the network names too often or
too seldom. On few validation faces the biases stay near zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require

_LOWEST, _HIGHEST = 0.05, 20.0
#: Standard deviation of the normal distribution that biases are thought to come from.
_BIAS = 0.5
_TINY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """What turns logits into probabilities: softmax(logits / temperature + bias).

    Attributes:
        temperature: above 0.
        bias: one per label; empty for none.
    """

    temperature: float = 1.0
    bias: tuple[float, ...] = ()

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, K) logits, or log-probabilities, to (N, K) probabilities.

        >>> Calibration(0.5).probabilities(np.log([[0.8, 0.2]])).round(3).tolist()
        [[0.941, 0.059]]
        """
        special = require("scipy.special", "tables")
        return special.softmax(logits.astype(np.float64) / self.temperature + self._bias, axis=1)

    def undone(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """What the network said before: (N, K) calibrated probabilities to those at temperature 1 without biases."""
        special = require("scipy.special", "tables")
        logits = np.log(np.maximum(probabilities.astype(np.float64), _TINY)) - self._bias
        return special.softmax(logits * self.temperature, axis=1)

    @property
    def _bias(self) -> NDArray[np.float64] | float:
        return np.array(self.bias) if self.bias else 0.0


def fit(logits: NDArray[np.floating], truth: NDArray[np.integer]) -> Calibration:
    """The temperature, within 0.05-20, and the biases that make the true labels most likely.

    Args:
        logits: (N, K) of validation faces; log-probabilities serve as well.
        truth: (N,) label indices; -1 is left out.

    Raises:
        DataError: no face has a label.
    """
    optimize, special = require("scipy.optimize", "tables"), require("scipy.special", "tables")
    known = truth >= 0
    if not known.any():
        raise DataError("no validation face has a label to fit the calibration on")
    logits, truth = logits[known].astype(np.float64), truth[known]
    # The same bias on all labels changes nothing: logits that lean on none keep the fit well conditioned.
    logits = special.log_softmax(logits, axis=1)
    count, labels = logits.shape
    one_hot = np.eye(labels)[truth]

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale, bias = np.exp(-x[0]), x[1:]
        scaled = special.log_softmax(logits * scale + bias, axis=1)
        error = np.exp(scaled) - one_hot
        value = -(scaled * one_hot).sum() + (bias**2).sum() / (2 * _BIAS**2)
        slopes = np.concatenate([[-(error * logits).sum() * scale], error.sum(axis=0) + bias / _BIAS**2])
        return value / count, slopes / count

    bounds = [(np.log(_LOWEST), np.log(_HIGHEST)), *[(-5.0, 5.0)] * labels]
    options = {"ftol": 1e-12, "gtol": 1e-8}
    result = optimize.minimize(loss, np.zeros(labels + 1), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    bias = result.x[1:] - result.x[1:].mean()
    return Calibration(round(float(np.exp(result.x[0])), 4), tuple(round(float(b), 4) for b in bias))
