"""What is too little data to learn from or to measure by, in words: one label alone, labels with few faces.

Owns the words and the numbers. Refuses to stop anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.data.table import Table

#: Fewer faces of a label than this are few, to learn it as to measure its recall.
FEW = 10
#: Fewer training faces than this are few to train a network from scratch.
FEW_FOR_SCRATCH = 5_000


def warnings(table: Table, label_sets: Iterable[str], splits: Sequence[str] = ("train", "validation")) -> list[str]:
    """A line for each split and label set with one label alone, or with labels of few faces; the labels are named.

    Args:
        table: with the splits of a protocol.
        label_sets: of the table.
        splits: to look at; those without rows are passed over.
    """
    found: list[str] = []
    for label_set in dict.fromkeys(label_sets):
        truth = table.truth(label_set)
        for split in splits:
            line = warning(truth[table.splits == split], table.label_sets[label_set])
            found += [f"{split}, {label_set}: {line}"] if line else []
    return found


def warning(truth: NDArray[np.integer], labels: Sequence[str]) -> str:
    """What is scarce among some faces; "" for nothing.

    Args:
        truth: (N,) label indices; -1 is left out.
        labels: in order.

    >>> warning(np.array([0] * 40 + [1] * 3), ["happy", "sad"])
    'fewer than 10 faces are labelled sad (3)'
    """
    counts = np.bincount(truth[truth >= 0], minlength=len(labels))
    present = np.flatnonzero(counts)
    if not len(present):
        return ""
    if len(present) == 1:
        return f"all {counts.sum():,} faces are labelled {labels[present[0]]}: nothing else can be learned or measured"
    few = [f"{labels[k]} ({counts[k]})" for k in range(len(labels)) if counts[k] < FEW]
    return f"fewer than {FEW} faces are labelled {', '.join(few)}" if few else ""
