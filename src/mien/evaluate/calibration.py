"""Temperature scaling (Guo et al. 2017): one number per output, fitted on validation, that leaves ranks alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require

_RANGE = (0.05, 20.0)


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """The temperature that makes the true labels most likely.

    Args:
        logits: (N, K) of validation faces; log-probabilities serve as well.
        truth: (N,) label indices; -1 is left out.

    Returns:
        What to divide logits by, within 0.05-20.

    Raises:
        DataError: no face has a label.
    """
    optimize, special = require("scipy.optimize", "tables"), require("scipy.special", "tables")
    known = truth >= 0
    if not known.any():
        raise DataError("no validation face has a label to fit the temperature on")
    logits, truth = logits[known].astype(np.float64), truth[known]

    def loss(log_temperature: float) -> float:
        scaled = special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    result = optimize.minimize_scalar(loss, bounds=np.log(_RANGE), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(result.x))
