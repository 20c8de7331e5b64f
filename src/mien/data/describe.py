"""What a data table holds: rows per split and class, in every label set that it has.

On FER2013 these are Table 1 of "Automated robust facial expression recognition using transfer learning
ResNet50" (2024). Owns the counts and their form as dict; refuses to judge them (``audit`` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mien.data import scarce
from mien.data.table import Table
from mien.data.writer import SPLITS

#: The Happy row of the paper's Table 1 for Training, and what the data has.
_PAPER_HAPPY, _TRUE_HAPPY = 7_251, 7_215


@dataclass(frozen=True)
class Description:
    """Counts of one table.

    Attributes:
        name, fingerprint, official, source, notes: as the table has them.
        rows: rows of each split.
        counts: label set, then split, then label, to the number of rows.
        unlabelled: label set, then split, to the number of rows without such a label.
        remarks: what a reader who compares with the literature has to know.
        warnings: what is too little to learn from or to measure by.
    """

    name: str
    fingerprint: str
    official: bool
    source: dict[str, Any]
    notes: tuple[str, ...]
    rows: dict[str, int]
    counts: dict[str, dict[str, dict[str, int]]]
    unlabelled: dict[str, dict[str, int]]
    remarks: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return dict(vars(self))


def describe(table: Table) -> Description:
    """Count a table's rows by split and class, for each of its label sets."""
    present = [name for name in SPLITS if name in table.splits]
    counts: dict[str, dict[str, dict[str, int]]] = {}
    unlabelled: dict[str, dict[str, int]] = {}
    for label_set, labels in table.label_sets.items():
        truth = table.truth(label_set)
        of_split = {name: truth[table.splits == name] for name in present}
        counts[label_set] = {
            name: {label: int((own == index).sum()) for index, label in enumerate(labels)}
            for name, own in of_split.items()
        }
        unlabelled[label_set] = {name: int((own < 0).sum()) for name, own in of_split.items()}
    return Description(
        name=table.info.name,
        fingerprint=table.fingerprint,
        official=table.info.official,
        source=table.info.source,
        notes=table.info.notes,
        rows={name: int((table.splits == name).sum()) for name in present},
        counts=counts,
        unlabelled=unlabelled,
        remarks=_remarks(table, counts),
        warnings=tuple(scarce.warnings(table, table.label_sets, present)),
    )


def _remarks(table: Table, counts: dict[str, dict[str, dict[str, int]]]) -> tuple[str, ...]:
    if not (table.info.name == "fer2013" and table.info.official):
        return ()
    train = counts["fer2013"]["train"]
    total = sum(train.values())
    if train["happy"] != _TRUE_HAPPY:
        return ()
    return (
        f"Table 1 of the ResNet50 paper (2024) prints {_PAPER_HAPPY:,} happy training pictures; the data has"
        f" {train['happy']:,}, which is also what makes the paper's own total of {total:,} right (its rows"
        f" add up to {total - _TRUE_HAPPY + _PAPER_HAPPY:,})",
    )
