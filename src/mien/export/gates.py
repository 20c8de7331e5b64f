"""What a model file must pass before it is written: it says what the trained network says.

A 32-bit file is compared with the network, one of less precision with the 32-bit file, face by face. Owns the
bounds. Of test faces only the answers are compared, never with their labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import ExportError
from mien.evaluate.predictions import Predictions

#: The largest difference of any probability that 32-bit files may show on real faces.
FP32_TOLERANCE = 1e-4
#: The share of faces that must keep their most likely label in a file of less precision.
AGREEMENT = 0.98
#: By how many hundredths the share of right answers may fall in a file of less precision.
ACCURACY_LOSS = 0.3


def check_parity(
    expected: Mapping[str, NDArray[np.floating]], found: Mapping[str, NDArray[np.floating]]
) -> dict[str, float]:
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


@dataclass(frozen=True)
class Agreement:
    """How one output of a file compares with the 32-bit file's for the same faces.

    Attributes:
        output: its name.
        faces: how many were compared.
        agreement: share of them with the same most likely label, 0-1.
        labelled: how many of the validation faces among them have a label.
        accuracy_loss: right answers of the 32-bit file less those of this one, in hundredths of ``labelled``;
            below zero if this one is right more often.
    """

    output: str
    faces: int
    agreement: float
    labelled: int
    accuracy_loss: float

    def __str__(self) -> str:
        loss = (
            f", accuracy loss {self.accuracy_loss:.2f} points on {self.labelled} labelled of validation"
            if self.labelled
            else ""
        )
        return f"{self.output}: {100 * self.agreement:.2f} % agreement on {self.faces} faces{loss}"


def compare(
    expected: Predictions,
    found: Predictions,
    unlabelled: tuple[Mapping[str, NDArray[np.floating]], Mapping[str, NDArray[np.floating]]] | None = None,
) -> list[Agreement]:
    """Compare two files on the same faces.

    Args:
        expected: of the 32-bit file, on validation.
        found: of the file to judge, on the same faces.
        unlabelled: what both say of further faces whose labels are not looked at, as test: output name to (N, K).

    Returns:
        One comparison per output: agreement on all faces, accuracy on validation.
    """
    compared = []
    for theirs, ours in zip(expected.scores, found.scores, strict=True):
        a, b = (s.probabilities.argmax(axis=1) for s in (theirs, ours))
        known = theirs.truth >= 0
        lost = int((a == theirs.truth)[known].sum()) - int((b == theirs.truth)[known].sum())
        loss = 100 * lost / max(int(known.sum()), 1)
        equal = a == b
        if unlabelled:
            more = [said[theirs.output].argmax(axis=1) for said in unlabelled]
            equal = np.concatenate([equal, more[0] == more[1]])
        compared.append(Agreement(theirs.output, len(equal), float(equal.mean()), int(known.sum()), loss))
    return compared


def check_agreement(compared: Sequence[Agreement]) -> None:
    """Let only files pass that say nearly always what the 32-bit file says, and are right nearly as often.

    Raises:
        ExportError: an output agrees on less than 98 % of the faces, or loses more than 0.3 points.
    """
    if any(c.agreement < AGREEMENT or c.accuracy_loss > ACCURACY_LOSS for c in compared):
        raise ExportError(
            f"the file differs too much from the 32-bit one ({'; '.join(map(str, compared))}; asked are"
            f" {100 * AGREEMENT:.0f} % and at most {ACCURACY_LOSS} points): it is not written; try more"
            " --calibration-faces, or fp16"
        )
