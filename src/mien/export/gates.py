"""What a model file must pass before it is written: it says what the trained network says.

A 32-bit file is compared with the network, one of less precision with the 32-bit file, face by face. Owns the
bounds. Refuses to report how right either file is: test faces take part, and only differences may be known of them.
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
        labelled: how many of them have a label.
        accuracy_loss: right answers of the 32-bit file less those of this one, in hundredths of ``labelled``;
            below zero if this one is right more often.
    """

    output: str
    faces: int
    agreement: float
    labelled: int
    accuracy_loss: float

    def __str__(self) -> str:
        loss = f", accuracy loss {self.accuracy_loss:.2f} points on {self.labelled} labelled" if self.labelled else ""
        return f"{self.output}: {100 * self.agreement:.2f} % agreement on {self.faces} faces{loss}"


def compare(expected: Sequence[Predictions], found: Sequence[Predictions]) -> list[Agreement]:
    """Compare two files that scored the same splits of the same table, all splits together.

    Args:
        expected: of the 32-bit file, one per split.
        found: of the file to judge, in the same order.

    Returns:
        One comparison per output.
    """
    compared = []
    for outputs in zip(*(p.scores for p in expected), *(p.scores for p in found), strict=True):
        theirs, ours = outputs[: len(expected)], outputs[len(expected) :]
        truth = np.concatenate([s.truth for s in theirs])
        a, b = (np.concatenate([s.probabilities.argmax(axis=1) for s in side]) for side in (theirs, ours))
        known = truth >= 0
        lost = int((a == truth)[known].sum()) - int((b == truth)[known].sum())
        loss = 100 * lost / max(int(known.sum()), 1)
        compared.append(Agreement(theirs[0].output, len(a), float((a == b).mean()), int(known.sum()), loss))
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
