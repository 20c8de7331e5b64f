"""Protocols: which faces are for training, which for selection and which for the figure that is reported.

=======================  ============================================================================ ==========
protocol                 what it makes of a table                                                     figures
=======================  ============================================================================ ==========
official                 nothing: the source's splits                                                 honest
deduplicated             test rows with an identical or near copy in train or validation left out     honest
paper                    validation and test together are validation; there is no test                optimistic
kfold                    the train rows alone: one of k parts is validation, groups and copies whole  honest
kfold-random             the same, but dealt face by face: a person's faces, and copies, on both sides optimistic
oversample-before-split  all rows, small classes filled up with copies, then a random 80/20 split     invalid
=======================  ============================================================================ ==========

The last one is there to show how 86 % on FER2013's labels comes about, and ``kfold-random`` how 99 % on posed faces
does; nobody should use them. Owns the splits and the mark that stands beside every figure. Refuses to train and to
score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mien.data.audit import BLANK, NEAR
from mien.data.near import near_pairs, thumbnails
from mien.data.partition import deal, together
from mien.data.table import Table
from mien.errors import DataError, shown

OVERSAMPLE = "oversample-before-split"
RANDOM = "kfold-random"
NAMES = ("official", "deduplicated", "paper", "kfold", RANDOM, OVERSAMPLE)
#: The protocols that make folds.
FOLDED = ("kfold", RANDOM)
_MARKS = {
    "paper": "optimistic: the faces that the epoch is chosen by are among those of the figure",
    RANDOM: "optimistic: the same person (or picture) is in training and validation",
    OVERSAMPLE: "invalid: faces were copied before the split, so most validation faces were trained on",
}
_HELD_OUT = 0.2


def mark(name: str, limit: int | None = None) -> str:
    """What must stand beside every figure measured under a protocol; empty for honest ones.

    Args:
        name: of the protocol.
        limit: faces of each split at most, where a recipe was tried on a part of the table.

    Raises:
        DataError: there is no such protocol.

    >>> mark("official")
    ''
    >>> mark("paper").partition(":")[0]
    'optimistic'
    """
    _check(name)
    tried = f"trial: at most {limit:,} faces of each split were used, to see that everything fits" if limit else ""
    return "; ".join(filter(None, [_MARKS.get(name, ""), tried]))


def apply(table: Table, name: str, *, folds: int = 10, fold: int = 0, seed: int = 0) -> Table:
    """The table with splits as a protocol wants them; the same table and seed give the same splits.

    Args:
        table: any data table.
        name: one of ``NAMES``.
        folds: parts of ``kfold`` and ``kfold-random``, 2 or more.
        fold: which of them is validation, from 0.
        seed: of the deal into folds, and of the copies and the split of ``oversample-before-split``.

    Returns:
        A table that says in its notes what was done to it; only ``official`` keeps its claim to official splits.

    Raises:
        DataError: there is no such protocol, or the table lacks the rows that it is about.
    """
    _check(name)
    if name == "official":
        return table
    made: dict[str, Callable[[], Table]] = {
        "deduplicated": lambda: _deduplicated(table),
        "paper": lambda: _paper(table),
        "kfold": lambda: _kfold(table, folds, fold, seed),
        RANDOM: lambda: _kfold_random(table, folds, fold, seed),
        OVERSAMPLE: lambda: _oversampled(table, seed),
    }
    return made[name]()


def limited(table: Table, limit: int | None) -> Table:
    """At most so many rows of each split, spread over the labels as the split is, and every label at least once.

    Args:
        table: with the splits of a protocol.
        limit: rows of each split; more than that only where there are more labels. None: all.
    """
    if limit is None or all((table.splits == split).sum() <= limit for split in np.unique(table.splits)):
        return table
    kept = np.zeros(len(table), bool)
    truths = [table.truth(label_set) for label_set in table.label_sets]
    for split in np.unique(table.splits):
        rows = np.flatnonzero(table.splits == split)
        rows = rows[np.argsort(table.labels[rows], kind="stable")]
        if len(rows) > limit:
            firsts = {int(own[0]) for truth in truths for own in _by_label(rows, truth[rows])}
            others = np.array([row for row in rows if row not in firsts], np.int64)
            spread = np.linspace(0, len(others) - 1, max(limit - len(firsts), 0)).round().astype(np.int64)
            rows = np.concatenate([np.array(sorted(firsts), np.int64), others[spread]])
        kept[rows] = True
    note = f"limit: at most {limit:,} rows of each split, {int(kept.sum()):,} of {len(table):,}"
    return _changed(table.take(kept), table.splits[kept], note)


def _by_label(rows: NDArray[np.int64], truth: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each label that occurs."""
    return [rows[truth == label] for label in np.unique(truth[truth >= 0])]


def copied_test_rows(table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows are test rows with a copy in train or validation.

    Returns:
        (N,) with an identical copy, and (N,) with an identical or near one.

    Raises:
        DataError: a picture cannot be decoded.
    """
    test = table.splits == "test"
    identical = test & np.isin(table.digests, table.digests[~test])
    left, right = _near(table)
    near = identical.copy()
    near[left[test[left] & ~test[right]]] = True
    near[right[test[right] & ~test[left]]] = True
    return identical, near


def share_trained_on(table: Table) -> float:
    """The part of the validation rows, 0-1, that have an identical picture among the train rows.

    Raises:
        DataError: the table has no validation rows.
    """
    return float(np.isin(table.split("validation").digests, table.digests[table.splits == "train"]).mean())


def _check(name: str) -> None:
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(f"'{shown(name)}' is no protocol; there are {', '.join(NAMES)}{hint}")


# Near copies by table, searched once; gone with the table.
_FOUND: WeakKeyDictionary[Table, tuple[NDArray[np.int64], NDArray[np.int64]]] = WeakKeyDictionary()


def _near(table: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that are near copies of each other, pair by pair; searched once per table."""
    if table not in _FOUND:
        pairs = [(left, right) for left, right, _ in near_pairs(thumbnails(table, BLANK).vectors, NEAR)]
        empty = np.empty(0, np.int64)
        left, right = (np.concatenate([empty, *(pair[side] for pair in pairs)]) for side in (0, 1))
        _FOUND[table] = left, right
    return _FOUND[table]


def _changed(table: Table, splits: NDArray[np.str_], note: str) -> Table:
    return table.with_splits(splits, replace(table.info, official=False, notes=(*table.info.notes, note)))


def _deduplicated(table: Table) -> Table:
    test = table.split("test")
    identical, copied = copied_test_rows(table)
    count = int(identical.sum())
    note = (
        f"deduplicated: {int(copied.sum()):,} of {len(test):,} test rows left out: {count:,} with an identical copy"
        f" in train or validation, {int(copied.sum()) - count:,} more with a near one"
    )
    return _changed(table.take(~copied), table.splits[~copied], note)


def _paper(table: Table) -> Table:
    count = len(table.split("test"))
    splits = np.where(table.splits == "test", "validation", table.splits)
    note = f"paper: the {count:,} test rows are validation too, {int((splits == 'validation').sum()):,} rows in all"
    return _changed(table, splits, f"{note}; {mark('paper')}")


def _kfold(table: Table, folds: int, fold: int, seed: int) -> Table:
    part = _to_fold(table, folds, fold)
    place = np.full(len(table), -1)
    place[table.splits == "train"] = np.arange(len(part))
    left, right = (place[rows] for rows in _near(table))
    both = (left >= 0) & (right >= 0)
    pairs = zip(left[both].tolist(), right[both].tolist(), strict=True)
    groups = together(part.digests.tolist(), part.groups.astype(str).tolist(), pairs=pairs)
    splits = _folded(part, groups, folds, fold, seed)
    note = (
        f"kfold: part {fold} of {folds} of the {len(part):,} train rows is validation, dealt by class from seed {seed},"
        " identical and near copies on one side"
    )
    return _changed(part, splits, note)


def _kfold_random(table: Table, folds: int, fold: int, seed: int) -> Table:
    """Every face for itself; the note says how many validation faces have a companion in training."""
    part = _to_fold(table, folds, fold)
    splits = _folded(part, np.arange(len(part)), folds, fold, seed)
    held_out = splits == "validation"
    known = np.isin(part.groups[held_out], part.groups[~held_out]).mean()
    note = (
        f"{RANDOM}: part {fold} of {folds} of the {len(part):,} train rows is validation, dealt by class from seed"
        f" {seed}; {known:.1%} of it show a person or picture that is in train; {mark(RANDOM)}"
    )
    return _changed(part, splits, note)


def _to_fold(table: Table, folds: int, fold: int) -> Table:
    """The train rows, which folds are made of."""
    if folds < 2 or not 0 <= fold < folds:
        raise DataError(f"fold {fold} of {folds}: expected two folds or more, and a fold from 0 to {folds - 1}")
    return table.split("train")


def _folded(part: Table, groups: NDArray[np.integer], folds: int, fold: int, seed: int) -> NDArray[np.str_]:
    dealt = deal(part.labels, groups, {str(k): 1 / folds for k in range(folds)}, seed)
    return np.where(dealt == str(fold), "validation", "train")


def _oversampled(table: Table, seed: int) -> Table:
    """What notebooks do: imbalanced-learn's RandomOverSampler on all rows, then scikit-learn's train_test_split.

    The sampler keeps every row and draws from the rows of each class, with replacement, as many as it has fewer than
    the largest; the split is random and rounds validation up.
    """
    labels = table.labels
    largest = int(np.bincount(labels[labels >= 0], minlength=1).max())
    if not largest:
        raise DataError(f"the table '{shown(table.info.name)}' has no labelled rows: there are no classes to fill up")
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(labels >= 0)]
    for label in range(len(table.info.labels)):
        own = np.flatnonzero(labels == label)
        rows.append(rng.choice(own, largest - len(own)) if len(own) else own)
    sampled = np.sort(np.concatenate(rows))  # copies side by side, as the file has their pictures
    splits = np.full(len(sampled), "train", dtype="<U10")
    splits[rng.permutation(len(sampled))[: int(np.ceil(_HELD_OUT * len(sampled)))]] = "validation"
    note = (
        f"{OVERSAMPLE}: {len(sampled):,} rows made of {len(rows[0]):,} by copying, split 80/20 at random from seed"
        f" {seed}; {mark(OVERSAMPLE)}"
    )
    return _changed(table.take(sampled), splits, note)
