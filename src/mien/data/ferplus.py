"""FER+ votes into labels, by its authors' rule.

Ten people labelled each picture of FER2013 anew (Barsoum et al. 2016, "Training Deep Networks for Facial
Expression Recognition with Crowd-Sourced Label Distribution"; the rule is the one of their published code):
an option that got a single vote counts as noise and is dropped; the majority needs more than half of the
votes that are left; pictures whose majority is *unknown* or *not a face*, or that have none, carry no FER+
label. Owns reading their file and that rule; refuses to know pictures.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN, FERPLUS_VOTES, canonical

_EXPRESSIONS = len(BASIC_EIGHT)
#: Where each of mien's eight expressions stands among the vote columns.
_COLUMN_OF = np.array([[canonical(v) for v in FERPLUS_VOTES[:_EXPRESSIONS]].index(e) for e in BASIC_EIGHT])


def read_votes(path: Path) -> tuple[list[str], list[list[int]]]:
    """The usage and the ten votes (FERPLUS_VOTES order) of each row of FER+'s ``fer2013new.csv``.

    Raises:
        DataError: the file cannot be read, a column is missing, or a vote is no number; names the line.
    """
    usages: list[str] = []
    votes: list[list[int]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = csv.reader(text)
            head = next(lines, list[str]())
            columns = {name.strip(): place for place, name in enumerate(head)}
            missing = [name for name in ("Usage", *FERPLUS_VOTES) if name not in columns]
            if missing:
                raise DataError(f"{path} has no column {', '.join(missing)}: expected FER+'s fer2013new.csv")
            usage, places = columns["Usage"], [columns[name] for name in FERPLUS_VOTES]
            for record in lines:
                if len(record) != len(columns):
                    expected = f"{len(columns)} fields"
                    raise DataError(f"{path}, line {lines.line_num}: {len(record)} fields, expected {expected}")
                numbers = [record[place] for place in places]
                if not all(number.isdecimal() and int(number) <= 100 for number in numbers):
                    raise DataError(f"{path}, line {lines.line_num}: votes {numbers}, expected whole numbers")
                usages.append(record[usage].strip())
                votes.append([int(number) for number in numbers])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error
    return usages, votes


def without_single_votes(votes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Drop the options that got exactly one vote. Shape and dtype stay: (N, 10), in FERPLUS_VOTES order."""
    return np.where(votes > 1, votes, 0)


def expression_votes(votes: NDArray[np.integer]) -> NDArray[np.integer]:
    """The votes for the eight expressions alone: (N, 8) in BASIC_EIGHT order."""
    return votes[:, _COLUMN_OF]


def majority(votes: NDArray[np.integer]) -> NDArray[np.int64]:
    """FER+ labels: (N,) indices into BASIC_EIGHT, -1 where the rule gives none.

    >>> anger, unclear = [0, 0, 0, 1, 6, 3, 0, 0, 0, 0], [3, 3, 0, 0, 4, 0, 0, 0, 0, 0]
    >>> majority(np.array([anger, unclear])).tolist()
    [0, -1]
    """
    kept = without_single_votes(votes)
    winner = kept.argmax(axis=1)
    decided = kept.max(axis=1) > 0.5 * kept.sum(axis=1)
    position = np.full(len(FERPLUS_VOTES), -1)
    position[_COLUMN_OF] = np.arange(_EXPRESSIONS)
    return np.where(decided, position[winner], -1).astype(np.int64)


def distribution(votes: NDArray[np.integer]) -> NDArray[np.float32]:
    """Vote shares as soft targets: (N, 8) float32 in BASIC_EIGHT order, rows sum to 1 or are all zero.

    Single votes are dropped; *unknown* votes are left out. A row is zero (no target) where no expression kept
    a vote or where *not a face* got at least half of the votes.

    >>> print(distribution(np.array([[0, 0, 0, 1, 6, 3, 0, 0, 0, 0]])).round(2))
    [[0.67 0.33 0.   0.   0.   0.   0.   0.  ]]
    """
    kept = without_single_votes(votes)
    shares = expression_votes(kept).astype(np.float32)
    shares[2 * kept[:, -1] >= np.maximum(kept.sum(axis=1), 1)] = 0
    totals = shares.sum(axis=1, keepdims=True)
    return np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)


def plurality(votes: NDArray[np.integer]) -> NDArray[np.int64]:
    """The expression with most votes, unfiltered: (N,) indices into BASIC_EIGHT; -1 where no expression got one.

    Of tied expressions the first in BASIC_EIGHT wins.

    >>> plurality(np.array([[3, 3, 0, 0, 4, 0, 0, 0, 0, 0], [0] * 9 + [10]])).tolist()
    [0, -1]
    """
    shares = votes[:, _COLUMN_OF]
    return np.where(shares.max(axis=1) > 0, shares.argmax(axis=1), -1).astype(np.int64)


def seven_shares(votes: NDArray[np.integer]) -> NDArray[np.float64]:
    """The share of a face's votes that each of the basic seven got, single votes too: (N, 7), rows sum to 1.

    A vote for contempt, *unknown* or *not a face* is none; rows without any are zero.

    >>> print(seven_shares(np.array([[3, 0, 0, 1, 0, 0, 0, 4, 2, 0]])))
    [[0.   0.   0.   0.   0.25 0.   0.75]]
    """
    counts = expression_votes(votes)[:, : len(BASIC_SEVEN)].astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def seven_plurality(votes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Which of the basic seven got most votes, unfiltered: (N,) indices, -1 where none got one; of ties the first."""
    shares = seven_shares(votes)
    return np.where(shares.max(axis=1) > 0, shares.argmax(axis=1), -1).astype(np.int64)
