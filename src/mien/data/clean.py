"""Cleaner training rows: a new table in which every change has its reason, and validation and test stay as they were.

Four steps, each of which can be left out, so that validation can say what it brings:

=======  ==================================================================================================
step     what it does to train rows
=======  ==================================================================================================
faces    leaves out blank pictures, and those that half of the FER+ crowd calls no face
copies   leaves out all but the first of identical pictures; where their labels differ, the mean is trained
errors   takes the label away where networks that never saw the picture contradict it (confident learning,
         Northcutt et al. 2021, by cleanlab); FER+ votes stay
votes    trains on a blend of the label and the FER+ vote shares
=======  ==================================================================================================

Owns those rules. Refuses to look at labels outside of training, and to train or score networks.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import ferplus
from mien.data.audit import BLANK, NOT_A_FACE
from mien.data.near import thumbnails
from mien.data.partition import Progress
from mien.data.table import Table
from mien.errors import DataError, require, shown
from mien.expressions import BASIC_EIGHT, FERPLUS_VOTES
from mien.files import AtomicFile

STEPS = ("faces", "copies", "errors", "votes")


@dataclass(frozen=True)
class Outside:
    """What networks that did not train on a picture say of it: out-of-fold predictions.

    Attributes:
        rows: (M,) source rows, each once.
        probabilities: float (M, K) over the table's own labels.
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.floating]


@dataclass(frozen=True)
class LeftOut:
    """A row that is not in the clean table any more."""

    row: int
    label: str
    reason: str


@dataclass(frozen=True)
class Cleaned:
    """The new table, what it lost, and how many rows each step changed or left out."""

    table: Table
    left_out: tuple[LeftOut, ...]
    changed: dict[str, int]

    def write(self, path: Path) -> Path:
        """Write the table, and beside it ``<name>.left-out.csv`` (row, label, reason), whose path is returned.

        Raises:
            WriteError: one of them cannot be written.
        """
        self.table.write(path)
        lost = left_out_file(path)
        with AtomicFile(lost) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("row", "label", "reason"))
            writer.writerows((row.row, row.label, row.reason) for row in self.left_out)
        return lost


def left_out_file(table: Path) -> Path:
    """Where the rows that a cleaned table lacks are listed."""
    return table.with_suffix(".left-out.csv")


@dataclass
class _Draft:
    """The rows as the steps leave them."""

    table: Table
    train: NDArray[np.bool_]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32]
    reasons: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    left_out: dict[int, str] = field(default_factory=dict[int, str])

    def leave_out(self, index: int, reason: str) -> None:
        self.left_out.setdefault(index, reason)

    def note(self, index: int, reason: str) -> None:
        self.reasons.setdefault(index, []).append(reason)

    def kept(self) -> NDArray[np.int64]:
        """Train rows that no step has left out."""
        kept = self.train.copy()
        kept[list(self.left_out)] = False
        return np.flatnonzero(kept)


def clean(
    table: Table,
    steps: tuple[str, ...] = ("faces", "copies"),
    *,
    outside: Outside | None = None,
    blend: float = 0.5,
    progress: Progress | None = None,
) -> Cleaned:
    """Clean the train rows of a table.

    Args:
        table: with its own label set, and FER+ votes for ``votes``.
        steps: of ``STEPS``; they are taken in that order.
        outside: what ``errors`` goes by; of every train row, or the others are not judged.
        blend: the part of ``votes`` that is the crowd's, 0-1.
        progress: called with pictures looked at and all there are.

    Raises:
        DataError: there is no such step, it lacks what it needs, or a picture cannot be decoded.

    The table says in its notes what was done; its splits, if official, stay so, since no other row has changed.
    """
    unknown = [step for step in steps if step not in STEPS]
    if unknown or not steps:
        raise DataError(f"{', '.join(unknown) or 'nothing'} is no cleaning step; there are {', '.join(STEPS)}")
    if not 0 < blend <= 1:
        raise DataError(f"blend is {blend:g}: expected the crowd's part, above 0 and at most 1")
    labels = table.labels.copy()
    draft = _Draft(table, table.splits == "train", labels, table.targets(table.info.label_set).copy())
    if not draft.train.any():
        raise DataError(f"the table '{shown(table.info.name)}' has no train rows to clean")
    changed: dict[str, int] = {}
    for step in (s for s in STEPS if s in steps):
        before = len(draft.left_out) + sum(len(r) for r in draft.reasons.values())
        if step == "faces":
            _faces(draft, progress)
        elif step == "copies":
            _copies(draft)
        elif step == "errors":
            _errors(draft, outside)
        else:
            _votes(draft, blend)
        changed[step] = len(draft.left_out) + sum(len(r) for r in draft.reasons.values()) - before
    return _finish(draft, changed)


def _faces(draft: _Draft, progress: Progress | None) -> None:
    rows = np.flatnonzero(draft.train)
    blank = thumbnails(draft.table.take(rows), BLANK, progress).contrast < BLANK
    for index in rows[blank].tolist():
        draft.leave_out(index, "blank")
    if draft.table.votes is not None:
        against = draft.table.votes[:, FERPLUS_VOTES.index("NF")]
        for index in rows[against[rows] >= NOT_A_FACE].tolist():
            draft.leave_out(index, f"{against[index]} of {draft.table.votes[index].sum()} votes for not a face")


def _copies(draft: _Draft) -> None:
    rows = draft.kept()
    _, picture = np.unique(draft.table.digests[rows], return_inverse=True)
    order = np.argsort(picture, kind="stable")
    for group in np.split(rows[order], np.flatnonzero(np.diff(picture[order])) + 1):
        if len(group) == 1:
            continue
        first, others = group[0], group[1:]
        known = group[draft.targets[group].sum(axis=1) > 0]
        labels: list[int] = draft.labels[group].tolist()
        names = Counter(draft.table.info.labels[label] for label in labels if label >= 0)
        if len(names) > 1:
            draft.targets[first] = draft.targets[known].mean(axis=0)
            draft.note(first, "copies are labelled " + ", ".join(f"{name} {n}x" for name, n in names.items()))
        elif draft.labels[first] < 0 and len(known):
            draft.labels[first], draft.targets[first] = draft.labels[known[0]], draft.targets[known[0]]
            draft.note(first, "label of its copy")
        for index in others.tolist():
            draft.leave_out(index, f"copy of row {draft.table.rows[first]}")


def _errors(draft: _Draft, outside: Outside | None) -> None:
    if outside is None:
        raise DataError("the step errors needs out-of-fold predictions: runs of protocol kfold, one of each fold")
    names = draft.table.info.labels
    if outside.probabilities.shape != (len(outside.rows), len(names)):
        raise DataError(f"out-of-fold predictions have other labels than the table: {', '.join(names)}")
    place = {row: index for index, row in enumerate(draft.table.rows.tolist())}
    unknown = [row for row in outside.rows.tolist() if row not in place]
    if unknown:
        raise DataError(f"out-of-fold predictions are about rows that the table lacks, as {unknown[0]}")
    said = np.zeros((len(draft.table), len(names)))
    said[[place[row] for row in outside.rows.tolist()]] = outside.probabilities
    kept = draft.kept()
    sure = (said[kept].sum(axis=1) > 0) & (draft.labels[kept] >= 0) & (draft.targets[kept].max(axis=1) == 1)
    judged = kept[sure]
    present = np.unique(draft.labels[judged])
    if len(present) < len(names):
        raise DataError("out-of-fold predictions must cover every label of the table")
    issues = require("cleanlab.filter", "clean").find_label_issues(
        draft.labels[judged], said[judged], filter_by="prune_by_noise_rate", n_jobs=1
    )
    for index in judged[issues].tolist():
        guess = int(said[index].argmax())
        draft.note(index, f"label {names[draft.labels[index]]}, out-of-fold {names[guess]} {said[index, guess]:.2f}")
        draft.labels[index], draft.targets[index] = -1, 0


def _votes(draft: _Draft, blend: float) -> None:
    names, votes = draft.table.info.labels, draft.table.votes
    if votes is None or not set(names) <= set(BASIC_EIGHT):
        raise DataError(
            f"the step votes needs FER+ votes on labels that are expressions; '{shown(draft.table.info.name)}' has none"
        )
    shares = ferplus.distribution(votes)[:, [BASIC_EIGHT.index(name) for name in names]]
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    for index in draft.kept().tolist():
        labelled = draft.targets[index].sum() > 0
        if labelled and totals[index, 0] > 0:
            mixed = (1 - blend) * draft.targets[index] + blend * shares[index]
            if not np.allclose(mixed, draft.targets[index]):
                draft.targets[index] = mixed
                draft.note(index, f"blended with votes, {blend:g}")


def _finish(draft: _Draft, changed: dict[str, int]) -> Cleaned:
    table, names = draft.table, draft.table.info.labels
    one_hot = np.zeros_like(draft.targets)
    known = np.flatnonzero(draft.labels >= 0)
    one_hot[known, draft.labels[known]] = 1
    soft = [
        None if same else target.tolist()
        for same, target in zip((draft.targets == one_hot).all(axis=1), draft.targets, strict=True)
    ]
    reasons = ["; ".join(draft.reasons[i]) if i in draft.reasons else None for i in range(len(table))]
    done = ", ".join(f"{step} {count:,}" for step, count in changed.items())
    note = f"cleaned train rows (rows changed or left out: {done}); {len(draft.left_out):,} rows left out"
    info = replace(table.info, notes=(*table.info.notes, note))
    labels = [None if label < 0 else int(label) for label in draft.labels]
    whole = table.with_columns(info, label=labels, soft=soft, reason=reasons)
    keep = np.ones(len(table), dtype=bool)
    keep[list(draft.left_out)] = False
    lost = tuple(
        LeftOut(int(table.rows[i]), names[int(table.labels[i])] if table.labels[i] >= 0 else "", reason)
        for i, reason in sorted(draft.left_out.items())
    )
    return Cleaned(whole.take(keep), lost, changed)
