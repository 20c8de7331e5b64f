"""What is wrong with a data table: copies, conflicting labels, blank pictures, pictures that show no face.

Figures measured on FER2013 are only honest beside these: 314 of its 3,589 PrivateTest pictures have an
identical copy in Training or PublicTest. Owns the findings and their form as dict; refuses to mend anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import ferplus
from mien.data.near import near_pairs, thumbnails
from mien.data.partition import Progress
from mien.data.table import Table
from mien.data.writer import SPLITS
from mien.expressions import BASIC_EIGHT, FERPLUS_VOTES

#: Pictures that differ by less than this standard deviation, in grey levels, show nothing.
BLANK = 1.0
NEAR = 0.99
#: Not-a-face votes, of ten, from which a picture is listed.
NOT_A_FACE = 5
_EXAMPLES = 2000

NearPairs = Iterable[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]


@dataclass(frozen=True)
class Copies:
    """Pictures that a table holds more than once.

    Attributes:
        between: for each split, how many of its rows have a copy in each split (in their own one: another
            row), and ``elsewhere``: in any of the other splits.
        relabelled: the same, for copies that carry another label.
        share: for each split, ``elsewhere`` as a part of its rows, 0-1.
    """

    between: dict[str, dict[str, int]]
    relabelled: dict[str, dict[str, int]]
    share: dict[str, float]


@dataclass(frozen=True)
class Agreement:
    """How far a split's labels agree with the FER+ crowd.

    Attributes:
        n: rows whose FER+ majority is one of the table's labels.
        agreement: part of them whose label is that majority, 0-1.
        per_label: the same for the rows of each label; None where there are none.
        n_all: all labelled rows of the split.
        agreement_all: part of these whose label got the most votes; of k equally voted ones each counts 1/k.
    """

    n: int
    agreement: float | None
    per_label: dict[str, float | None]
    n_all: int
    agreement_all: float


@dataclass(frozen=True)
class Audit:
    """The findings on one table; rows are positions in the table.

    Attributes:
        name, fingerprint: of the table.
        rows: rows of each split.
        unique: different pictures.
        redundant: rows beyond the first of each picture.
        groups: pictures that occur more than once, each as its rows.
        conflicting: those of them whose rows carry different labels.
        exact: identical copies.
        near: near copies, identical ones included; blank pictures are left out.
        near_examples: some pairs (row, row, cosine) of near copies that are not identical.
        blank: rows whose picture shows nothing.
        constant: how many of these have one grey value throughout.
        not_a_face: rows with five or more FER+ votes for "not a face"; None without votes.
        ferplus: agreement of each split with FER+; None without votes.
    """

    name: str
    fingerprint: str
    rows: dict[str, int]
    unique: int
    redundant: int
    groups: tuple[tuple[int, ...], ...]
    conflicting: tuple[tuple[int, ...], ...]
    exact: Copies
    near: Copies
    near_examples: tuple[tuple[int, int, float], ...]
    blank: tuple[int, ...]
    constant: int
    not_a_face: tuple[int, ...] | None
    ferplus: dict[str, Agreement] | None

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON; rows are positions in the table."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "rows": self.rows,
            "unique": self.unique,
            "exact": {
                "redundant": self.redundant,
                "groups": len(self.groups),
                "conflicting_groups": len(self.conflicting),
                "conflicting_rows": [list(rows) for rows in self.conflicting],
            }
            | vars(self.exact),
            "near": {"threshold": NEAR} | vars(self.near),
            "blank": {"count": len(self.blank), "constant": self.constant, "rows": list(self.blank)},
            "not_a_face": None
            if self.not_a_face is None
            else {"votes": NOT_A_FACE, "count": len(self.not_a_face), "rows": list(self.not_a_face)},
            "ferplus": None if self.ferplus is None else {s: vars(a) for s, a in self.ferplus.items()},
        }


def audit(table: Table, progress: Progress | None = None) -> Audit:
    """Look for everything that makes figures measured on a table doubtful.

    Args:
        table: any data table; with FER+ votes, two findings more.
        progress: called with the work done and all there is.

    Raises:
        DataError: a picture cannot be decoded.
    """
    _, picture = np.unique(table.digests, return_inverse=True)
    unique, labels = int(picture.max()) + 1, table.labels
    groups = _groups(picture)
    total = 2 * len(table)
    small = thumbnails(table, BLANK, progress and (lambda done, _: progress(done, total)))
    marks = _identical(picture, table)
    exact = _copies(marks, table.splits)
    pairs = near_pairs(small.vectors, NEAR, progress and (lambda done, _: progress(len(table) + done, total)))
    examples = _add_near(marks, pairs, picture, table)
    return Audit(
        name=table.info.name,
        fingerprint=table.fingerprint,
        rows={name: int((table.splits == name).sum()) for name in SPLITS},
        unique=unique,
        redundant=len(table) - unique,
        groups=groups,
        conflicting=tuple(group for group in groups if len(set(labels[list(group)].tolist()) - {-1}) > 1),
        exact=exact,
        near=_copies(marks, table.splits),
        near_examples=examples,
        blank=tuple(np.flatnonzero(small.contrast < BLANK).tolist()),
        constant=int((small.contrast == 0).sum()),
        not_a_face=_not_a_face(table),
        ferplus=_agreements(table),
    )


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where each row has copies: ``copied`` and ``relabelled``, (N, splits) bool, in the order of SPLITS."""

    copied: NDArray[np.bool_]
    relabelled: NDArray[np.bool_]


def _places(table: Table) -> NDArray[np.int64]:
    return np.array([SPLITS.index(name) for name in table.splits.tolist()], dtype=np.int64)


def _groups(picture: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """The rows of each picture that occurs more than once, in the order of their first rows."""
    order = np.argsort(picture, kind="stable")
    starts = np.flatnonzero(np.diff(picture[order], prepend=-1))
    several = [tuple(rows.tolist()) for rows in np.split(order, starts[1:]) if len(rows) > 1]
    return tuple(sorted(several))


def _identical(picture: NDArray[np.int64], table: Table) -> _Marks:
    """Marks for identical copies, counted by picture, split and label."""
    place, labels, rows = _places(table), table.labels, np.arange(len(table))
    counts = np.zeros((int(picture.max()) + 1, len(SPLITS), len(table.info.labels) + 1), dtype=np.int32)
    np.add.at(counts, (picture, place, labels), 1)  # -1, no label, is the last place
    copies = counts[picture].sum(axis=2)
    copies[rows, place] -= 1
    others = counts[picture, :, :-1].sum(axis=2) - counts[picture, :, labels]
    return _Marks(copies > 0, (others > 0) & (labels >= 0)[:, None])


def _add_near(
    marks: _Marks, pairs: NearPairs, picture: NDArray[np.int64], table: Table
) -> tuple[tuple[int, int, float], ...]:
    """Mark near copies too, and return some pairs that are not identical."""
    place, labels = _places(table), table.labels
    examples: list[tuple[int, int, float]] = []
    for left, right, cosines in pairs:
        differ = (labels[left] != labels[right]) & (labels[left] >= 0) & (labels[right] >= 0)
        for row, copy in ((left, right), (right, left)):
            marks.copied[row, place[copy]] = True
            marks.relabelled[row[differ], place[copy[differ]]] = True
        new = np.flatnonzero(picture[left] != picture[right])[: _EXAMPLES - len(examples)]
        examples += zip(left[new].tolist(), right[new].tolist(), cosines[new].tolist(), strict=True)
    return tuple(examples)


def _copies(marks: _Marks, splits: NDArray[np.str_]) -> Copies:
    present = [name for name in SPLITS if name in splits]

    def count(marked: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for name in present:
            own = marked[splits == name]
            elsewhere = [SPLITS.index(other) for other in present if other != name]
            counts[name] = {other: int(own[:, SPLITS.index(other)].sum()) for other in present}
            counts[name]["elsewhere"] = int(own[:, elsewhere].any(axis=1).sum())
        return counts

    between = count(marks.copied)
    share = {name: between[name]["elsewhere"] / int((splits == name).sum()) for name in present}
    return Copies(between, count(marks.relabelled), share)


def _not_a_face(table: Table) -> tuple[int, ...] | None:
    if table.votes is None:
        return None
    return tuple(np.flatnonzero(table.votes[:, FERPLUS_VOTES.index("NF")] >= NOT_A_FACE).tolist())


def _agreements(table: Table) -> dict[str, Agreement] | None:
    """Agreement of each split with FER+, where there are votes and the labels are expressions."""
    if table.votes is None or not set(table.info.labels) <= set(BASIC_EIGHT):
        return None
    ours = np.array([BASIC_EIGHT.index(name) for name in table.info.labels])
    crowd, votes = ferplus.majority(table.votes), ferplus.expression_votes(table.votes)
    labels = np.where(table.labels >= 0, ours[table.labels], -1)
    most = (votes == votes.max(axis=1, keepdims=True)) & (votes > 0)
    share = np.where(most[np.arange(len(labels)), labels], 1 / np.maximum(most.sum(axis=1), 1), 0)
    found: dict[str, Agreement] = {}
    for name in SPLITS:
        known = (table.splits == name) & (labels >= 0)
        if not known.any():
            continue
        clear = known & np.isin(crowd, ours)
        found[name] = Agreement(
            n=int(clear.sum()),
            agreement=_part(crowd == labels, clear),
            per_label={
                label: _part(crowd == labels, clear & (labels == BASIC_EIGHT.index(label)))
                for label in table.info.labels
            },
            n_all=int(known.sum()),
            agreement_all=float(share[known].mean()),
        )
    return found


def _part(agree: NDArray[np.bool_], rows: NDArray[np.bool_]) -> float | None:
    return float(agree[rows].mean()) if rows.any() else None
