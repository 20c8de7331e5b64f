"""Which run is better, and is the difference more than luck: runs ranked by top-1 with paired tests.

Only answers to the same faces are compared: the same data, protocol and split, or the comparison is refused. Owns the
ranking; ``evidence`` owns where the answers come from. Refuses to choose: on the test split a ranking is a result,
never a selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluate.metrics import Figures, measure
from mien.evaluate.predictions import Predictions, Scores
from mien.evaluate.significance import McNemar, holm, mcnemar


@dataclass(frozen=True)
class Entry:
    """Something to be compared.

    Attributes:
        name: how the table calls it.
        predictions: its answers to one split.
        protocol: by which its training data were split; None where that is not known.
        parameters, seconds: of its network and training; None where they are not known.
    """

    name: str
    predictions: Predictions
    protocol: str | None = None
    parameters: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Ranked:
    """One line of the ranking.

    Attributes:
        test: against the best, the best being the first model of the test; None for the best itself.
        paired: faces that this test rests on; 0 for the best.
        p_holm: its p, corrected for the number of tests; None for the best.
    """

    entry: Entry
    figures: Figures
    test: McNemar | None = None
    paired: int = 0
    p_holm: float | None = None


def rank(entries: Sequence[Entry]) -> dict[str, list[Ranked]]:
    """Rank by top-1, one ranking for each label set that at least two entries are scored on.

    Args:
        entries: two or more.

    Raises:
        DataError: there are fewer than two, or they are not about the same data, protocol and split, or share no
            label set.
    """
    _check(entries)
    sets = dict.fromkeys(s.label_set for entry in entries for s in entry.predictions.scores)
    rankings = {name: _rank(entries, name) for name in sets}
    shared = {name: ranked for name, ranked in rankings.items() if len(ranked) > 1}
    if not shared:
        raise DataError(f"they share no label set ({', '.join(sets)}), so there is nothing to compare")
    return shared


def _check(entries: Sequence[Entry]) -> None:
    if len(entries) < 2:
        raise DataError("a comparison needs at least two runs, predictions tables or models")
    first = entries[0]
    for other in entries[1:]:
        pairs = {
            "protocol": (first.protocol, other.protocol),
            "split": (first.predictions.split, other.predictions.split),
            "data": (_data(first), _data(other)),
        }
        for what, (a, b) in pairs.items():
            if a != b and None not in (a, b):
                raise DataError(
                    f"{first.name} and {other.name} are not about the same faces: {what} {a} and {b};"
                    " score both on one table and split, mien evaluate MODEL --data FILE --split SPLIT"
                )


def _data(entry: Entry) -> str:
    provenance = entry.predictions.provenance
    return f"{provenance.get('data')} {str(provenance.get('data_fingerprint'))[:12]}"


def _rank(entries: Sequence[Entry], label_set: str) -> list[Ranked]:
    scored = [(entry, s) for entry in entries for s in entry.predictions.scores if s.label_set == label_set]
    measured = sorted(((entry, s, measure(s)) for entry, s in scored), key=lambda line: -line[2].top1)
    best_entry, best, best_figures = measured[0]
    tests = [_paired(best, s) for _, s, _ in measured[1:]]
    corrected = holm([test.p for test, _ in tests])
    lines = [Ranked(best_entry, best_figures)]
    for (entry, _, figures), (test, paired), p in zip(measured[1:], tests, corrected, strict=True):
        lines.append(Ranked(entry, figures, test, paired, p))
    return lines


def _paired(best: Scores, other: Scores) -> tuple[McNemar, int]:
    """The test on the labelled faces that both have, matched by position or else by row number."""
    best, other = best.labelled(), other.labelled()
    if np.array_equal(best.rows, other.rows):
        a, b = _hits(best), _hits(other)
    else:
        _, of_best, of_other = np.intersect1d(best.rows, other.rows, return_indices=True)
        a, b = _hits(best)[of_best], _hits(other)[of_other]
    return mcnemar(a, b), len(a)


def _hits(scores: Scores) -> NDArray[np.bool_]:
    return scores.probabilities.argmax(axis=1) == scores.truth
