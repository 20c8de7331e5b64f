"""Rows into train, validation and test: seeded, stratified, groups whole.

Owns which rows belong together and how they are dealt out. Refuses to know what a row is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

#: Called with how much is done and how much there is, in the caller's own unit.
Progress = Callable[[int, int], None]


def together(*keys: Sequence[str], pairs: Iterable[tuple[int, int]] = ()) -> NDArray[np.int64]:
    """Group numbers (N,): rows that share a value of any key are one group, also by way of a third row.

    A group has the number of its first row. An empty string shares nothing. Rows that ``pairs`` name are one
    group too.

    >>> together(["a", "b", "a", "c"], ["Ann", "Bob", "Bob", ""]).tolist()
    [0, 0, 0, 3]
    """
    parent = list(range(len(keys[0])))

    def first_of(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(left: int, right: int) -> None:
        pair = first_of(left), first_of(right)
        parent[max(pair)] = min(pair)

    for key in keys:
        seen: dict[str, int] = {}
        for row, value in enumerate(key):
            if value:
                join(seen.setdefault(value, row), row)
    for left, right in pairs:
        join(left, right)
    return np.array([first_of(row) for row in range(len(parent))], dtype=np.int64)


def deal(
    labels: NDArray[np.integer], groups: NDArray[np.integer], shares: Mapping[str, float], seed: int
) -> NDArray[np.str_]:
    """Deal rows to splits so that groups stay whole and every class is shared out alike.

    Each group goes where its classes are missed most (iterative stratification, Sechidis et al. 2011): the
    large groups first, the many small ones in an order drawn from the seed.

    Args:
        labels: (N,) class of each row.
        groups: (N,) rows of one group stay together.
        shares: wanted part of the rows for each split, summing to 1.
        seed: the same seed, labels and groups give the same splits.

    Returns:
        (N,) split names.

    Raises:
        DataError: there are fewer groups than splits that should get rows.

    >>> splits = deal(np.zeros(10, int), np.arange(10), {"train": 0.8, "test": 0.2}, seed=0)
    >>> sorted(splits.tolist())
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'train']
    """
    names = [name for name, share in shares.items() if share > 0]
    classes, codes = np.unique(labels, return_inverse=True)
    numbers, members = np.unique(groups, return_inverse=True)
    if len(numbers) < len(names):
        raise DataError(
            f"{len(labels)} pictures in {len(numbers)} groups cannot be dealt to {' and '.join(names)}: groups stay"
            " whole, so there must be at least as many as splits"
        )
    counts = np.zeros((len(numbers), len(classes)))
    np.add.at(counts, (members, codes), 1)
    sizes = counts.sum(axis=1)
    missing = np.outer([shares[name] for name in names], counts.sum(axis=0))
    large = np.where(sizes > len(labels) / 100, sizes, 0)
    order = np.lexsort((np.random.default_rng(seed).permutation(len(numbers)), -large))
    chosen = np.empty(len(numbers), dtype=np.int64)
    empty = set(range(len(names)))
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        # The second term matters only at the end: without it, small classes would all round to one split.
        overall = np.clip(missing.sum(axis=1) / len(classes), -0.5, 0.5)
        score = missing @ counts[group] / sizes[group] + overall
        # The last groups go to the splits that would otherwise stay empty.
        best = max(empty if left == len(empty) else range(len(names)), key=score.__getitem__)
        missing[best] -= counts[group]
        chosen[group] = best
        empty.discard(best)
    return np.array(names)[chosen[members]]


def carve_validation(
    splits: NDArray[np.str_],
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    share: float,
    seed: int,
) -> str:
    """Move a share of the train rows to validation, in place, and return the note that says so.

    Args:
        splits: (N,) split names, changed in place.
        labels, groups: (N,) as in :func:`deal`.
        share: part of the train rows, 0-1.
        seed: of the deal.

    Raises:
        DataError: the train rows are a single group.
    """
    train = np.flatnonzero(splits == "train")
    splits[train] = deal(labels[train], groups[train], {"train": 1 - share, "validation": share}, seed)
    return f"validation is {share:.0%} of the source's train rows, dealt by class from seed {seed}"


def check_shares(validation: float, test: float) -> None:
    """Refuse shares of the rows that leave none for train.

    Raises:
        DataError: a share is not 0-1, or they are 1 or more together.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(f"shares validation {validation} and test {test} must be 0-1 and leave rows for train")


def settle(
    splits: Sequence[str] | None,
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    validation: float,
    test: float,
    seed: int,
) -> tuple[NDArray[np.str_], list[str]]:
    """The split of each row, and notes on how it came about.

    Args:
        splits: (N,) as the source has them, or None; a missing validation split is carved out of train.
        labels, groups: (N,) as in :func:`deal`.
        validation, test: shares of the rows, 0-1; 0 makes no such split.
        seed: of the deal.

    Raises:
        DataError: the groups are too few to be dealt.
    """
    if splits is None:
        shares = {"train": 1 - validation - test, "validation": validation, "test": test}
        note = f"splits dealt by class from seed {seed}: {validation:.0%} validation, {test:.0%} test"
        return deal(labels, groups, shares, seed), [note]
    settled = np.array(splits, dtype="<U10")
    notes: list[str] = []
    if validation and "validation" not in settled and "train" in settled:
        notes.append(carve_validation(settled, labels, groups, validation, seed))
    pairs = np.unique(np.stack([groups, np.unique(settled, return_inverse=True)[1]]), axis=1)
    crossing = int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())
    if crossing:
        notes.append(f"{crossing} groups of equal pictures or persons lie in more than one of the source's splits")
    return settled, notes
