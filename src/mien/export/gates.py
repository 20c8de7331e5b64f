"""What a model file must pass before it is written: it says what the trained network says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import ExportError

#: The largest difference of any probability that 32-bit files may show on real faces.
FP32_TOLERANCE = 1e-4


def check_parity(expected: dict[str, NDArray[np.floating]], found: dict[str, NDArray[np.floating]]) -> dict[str, float]:
    """Compare the probabilities of the network and of the file for the same faces.

    Args:
        expected: output name to (N, K), from the network.
        found: the same from the file.

    Returns:
        Output name to the largest absolute difference.

    Raises:
        ExportError: a difference is not below 1e-4.
    """
    largest = {name: float(np.abs(expected[name] - found[name]).max()) for name in expected}
    for name, difference in largest.items():
        if not difference < FP32_TOLERANCE:  # also true for nan
            raise ExportError(
                f"the file's {name} differ from the network's by up to {difference:.2g},"
                f" more than {FP32_TOLERANCE:g}: it is not written"
            )
    return largest
