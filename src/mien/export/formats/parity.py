"""The gate of every format: it must say what the model file says, face by face.

Owns the bounds. Labels are looked at for validation faces alone; of test faces only the answers are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.table import Table
from mien.evaluate import predictions
from mien.evaluate.predictions import Predictions, Scorer
from mien.export.formats.faces import made_faces
from mien.export.gates import ACCURACY_LOSS, AGREEMENT, compare

#: The largest difference of any probability of the golden crop.
GOLDEN = 0.1
#: The difference that 99 of 100 probabilities may have at most, for each output.
PERCENTILE = 0.06


@dataclass(frozen=True)
class OutputParity:
    """How one output compares.

    Attributes:
        output: its name.
        faces: how many were compared.
        agreement: share of them with the same most likely label, 0-1.
        percentile: the difference that 99 % of the probabilities do not exceed.
        largest: the largest difference of a probability.
        labelled: how many validation faces with a label were compared.
        change: right answers gained, in hundredths of those; None where there are none.
        interval: of the change, 95 %.
    """

    output: str
    faces: int
    agreement: float
    percentile: float
    largest: float
    labelled: int
    change: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Parity:
    """What the gate found.

    Attributes:
        faces: which were compared, in words.
        golden: largest difference of a probability of the golden crop.
        outputs: in the card's order.
    """

    faces: str
    golden: float
    outputs: tuple[OutputParity, ...]

    def faults(self) -> list[str]:
        """Each bound that is not kept, in words; none for a format that passes."""
        found = []
        if not self.golden <= GOLDEN:  # also true for nan
            found.append(f"the golden crop differs by {self.golden:.3f}, allowed are {GOLDEN}")
        for one in self.outputs:
            if not one.agreement >= AGREEMENT:
                found.append(
                    f"{one.output} agrees on {100 * one.agreement:.2f} % of {one.faces} faces,"
                    f" asked are {100 * AGREEMENT:.0f} %"
                )
            if not one.percentile <= PERCENTILE:
                found.append(
                    f"{one.output} differs by {one.percentile:.3f} (99th percentile), allowed are {PERCENTILE}"
                )
            if one.change is not None and -one.change > ACCURACY_LOSS:
                found.append(
                    f"{one.output} loses {-one.change:.2f} points on {one.labelled} faces, allowed are {ACCURACY_LOSS}"
                )
        return found


def judge(reference: Scorer, found: Scorer, table: Table | None, limit: int | None = None) -> Parity:
    """Compare a format with its model file.

    Args:
        reference: the model file.
        found: the format.
        table: with validation faces, and perhaps test faces; None compares on made faces.
        limit: of faces from each split, drawn evenly; None takes all.
    """
    crop = reference.card.golden_crop()[None]
    golden = _largest(reference.score(crop), found.score(crop))
    if table is None:
        faces = made_faces(reference.card)[:limit]
        before, after = reference.score(faces), found.score(faces)
        outputs = tuple(_unlabelled(name, before[name], after[name]) for name in before)
        return Parity(f"{len(faces)} faces made from the golden crop, no data", golden, outputs)
    splits = [split for split in ("validation", "test") if split in table.splits]
    parts = {split: _thinned(table.split(split), limit) for split in splits}
    told = " and ".join(f"{len(part):,} {split}" for split, part in parts.items())
    before, after = (predictions.predict(one, parts["validation"], "validation") for one in (reference, found))
    unseen = None
    if "test" in parts:
        unseen = predictions.answers(reference, parts["test"]), predictions.answers(found, parts["test"])
    return Parity(f"{told} faces", golden, _labelled(before, after, unseen))


def change_of_accuracy(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[float, tuple[float, float]]:
    """By how much accuracy changes on the same faces, in points, with Bonett and Price's interval (2012).

    >>> change_of_accuracy(np.array([True] * 98 + [False] * 2), np.array([True] * 99 + [False]))[0]
    1.0
    """
    n = len(before)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = 1.96 * float(np.sqrt((up + down - (up - down) ** 2) / (n + 2)))
    return 100 * (gained - lost) / n, (100 * (up - down - half), 100 * (up - down + half))


def _labelled(
    before: Predictions,
    after: Predictions,
    unseen: tuple[Mapping[str, NDArray[np.float32]], Mapping[str, NDArray[np.float32]]] | None,
) -> tuple[OutputParity, ...]:
    outputs = []
    for agreement, theirs, ours in zip(compare(before, after, unseen), before.scores, after.scores, strict=True):
        known = theirs.truth >= 0
        change = interval = None
        if known.any():
            right = [(s.probabilities.argmax(axis=1) == s.truth)[known] for s in (theirs, ours)]
            change, interval = change_of_accuracy(right[0], right[1])
        rows = np.abs(theirs.probabilities - ours.probabilities)
        if unseen:
            rows = np.concatenate([rows, np.abs(unseen[0][theirs.output] - unseen[1][theirs.output])])
        outputs.append(
            OutputParity(
                theirs.output,
                agreement.faces,
                agreement.agreement,
                float(np.percentile(rows, 99)),
                float(rows.max()),
                agreement.labelled,
                change,
                interval,
            )
        )
    return tuple(outputs)


def _unlabelled(name: str, before: NDArray[np.float32], after: NDArray[np.float32]) -> OutputParity:
    rows, same = np.abs(before - after), before.argmax(axis=1) == after.argmax(axis=1)
    percentile = float(np.percentile(rows, 99))
    return OutputParity(name, len(rows), float(same.mean()), percentile, float(rows.max()), 0, None, None)


def _largest(before: Mapping[str, NDArray[np.float32]], after: Mapping[str, NDArray[np.float32]]) -> float:
    return float(max(np.abs(rows - after[name]).max() for name, rows in before.items()))


def _thinned(part: Table, limit: int | None) -> Table:
    if limit is None or len(part) <= limit:
        return part
    return part.take(np.unique(np.linspace(0, len(part) - 1, limit).astype(int)))
