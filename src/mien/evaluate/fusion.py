"""One answer from both heads: log-probabilities mixed, calibrated on single votes, carried to a stated prior.

The head of the crowd's majority sees too much neutral, that of FER2013's original labels too little. Their
log-probabilities are averaged (a logarithmic opinion pool, Genest & Zidek 1986) with a fixed weight, calibrated by a
temperature and one bias per label against the votes of single people on all validation faces, agreed on or not, and
carried by Bayes' rule (Menon et al. 2021, "Long-tail learning via logit adjustment") to :data:`PRIOR`. Weight and prior
were chosen by ``benchmarks/fusion.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require
from mien.evaluate.calibration import Calibration
from mien.expressions import BASIC_SEVEN

#: Label set to the weight of its head's log-probabilities, summing to 1.
WEIGHTS: Mapping[str, float] = MappingProxyType({"ferplus": 0.7, "fer2013": 0.3})
#: Shares of the basic seven that the fused probabilities are calibrated for: near the square root of the voters'
#: shares, with neutral less often.
PRIOR: tuple[float, ...] = (0.135, 0.06, 0.085, 0.235, 0.16, 0.165, 0.16)

#: The least probability whose logarithm is pooled, here and in model files.
TINY = 1e-30
_DEVIATION = 0.5  # standard deviation of the normal distributions that biases and log-temperature are thought from


def pool(
    probabilities: Mapping[str, NDArray[np.floating]], weights: Mapping[str, float] = WEIGHTS
) -> NDArray[np.float64]:
    """Log-probabilities of the basic seven, averaged over heads: (N, 7), up to a number per row.

    Args:
        probabilities: label set to (N, K), columns in the order of ``mien.expressions``; contempt is left out.
        weights: of each label set.
    """
    seven = len(BASIC_SEVEN)
    parts = [
        weight * np.log(np.maximum(probabilities[name][:, :seven].astype(np.float64), TINY))
        for name, weight in weights.items()
    ]
    return np.sum(parts, axis=0)


def fit(pooled: NDArray[np.floating], shares: NDArray[np.floating], prior: tuple[float, ...] = PRIOR) -> Calibration:
    """The temperature and biases that make single votes most likely, with the biases carried to the prior.

    Args:
        pooled: (N, K), from :func:`pool`.
        shares: (N, K) of a face's votes, rows summing to 1; a row of zeros is left out.
        prior: (K,) shares of the labels for which the outcome is calibrated.

    Returns:
        A calibration of power 1: its ``probabilities`` of the pooled log-probabilities are the answer.

    Raises:
        DataError: no face has a vote.
    """
    optimize, special = require("scipy.optimize", "tables"), require("scipy.special", "tables")
    known = shares.sum(axis=1) > 0
    if not known.any():
        raise DataError("no validation face has a vote to fit the fusion on")
    logits = special.log_softmax(pooled[known].astype(np.float64), axis=1)
    target = shares[known]
    count = len(target)

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled = logits * np.exp(x[0])
        said = special.log_softmax(scaled + x[1:], axis=1)
        error = np.exp(said) - target
        value = -(target * said).sum() + (x**2).sum() / (2 * _DEVIATION**2)
        slopes = np.concatenate([[(error * scaled).sum()], error.sum(axis=0)]) + x / _DEVIATION**2
        return value / count, slopes / count

    bounds = [(-3.0, 3.0), *[(-5.0, 5.0)] * logits.shape[1]]
    options = {"ftol": 1e-12, "gtol": 1e-8}
    found = optimize.minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    # One imaginary vote for each label: a label that nobody saw is still no impossible one.
    common = (target.sum(axis=0) + 1) / (target.sum() + target.shape[1])
    bias = found.x[1:] + np.log(np.array(prior) / common)
    bias -= bias.mean()
    return Calibration(round(float(np.exp(-found.x[0])), 4), tuple(round(float(b), 4) for b in bias))
