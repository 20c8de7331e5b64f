"""Several data tables into one: labels mapped by name, splits and persons kept, copies between sources kept apart.

The rules:

*   Labels are matched by name. The pooled labels are the basic seven; contempt is the eighth where every source has it.
    A label that a source lacks is simply unused by its rows. Other labels have to be named. Rows whose label is not
    among the pooled ones are left out and counted; rows without a label stay.
*   Splits stay what they are. A train row with an identical copy in the validation or test split of another source is
    left out and counted. Copies within one source stay as they are there (``deduplicated`` and ``kfold`` know them).
*   Further columns stay; a source that lacks one has nothing there.
*   Rows are numbered anew, each source's in a range of its own, which the table's ``source`` names together with its
    fingerprint: so per-source figures need no further column. Groups of different sources are apart, unless they
    share an identical picture: then they are one.

Owns these rules. Refuses to look for near copies between sources (``mien data audit`` counts them in the pooled table).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.partition import Progress, together
from mien.data.table import Table
from mien.data.writer import TableInfo, TableWriter
from mien.errors import DataError, LabelError, require, shown
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN, canonical


@dataclass(frozen=True)
class _Part:
    """A source as it goes into the pool: its name there, the rows that stay, where each label goes (-1: nowhere)."""

    name: str
    table: Table
    keep: NDArray[np.bool_]
    label_of: NDArray[np.int64]

    @property
    def whole(self) -> bool:
        """Whether all rows stay that figures are measured on."""
        return bool(self.keep[self.table.splits != "train"].all())


def pool(
    tables: Sequence[Table],
    out: Path,
    *,
    labels: Sequence[str] | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the pool of several tables; pictures are copied one by one.

    Args:
        tables: one or more, in the order of the rows; one alone gets other labels.
        out: the table to write.
        labels: the pooled labels in order; None takes the basic seven or eight.
        name: the pool's name; None joins those of the sources.
        progress: called with the rows written and their number.

    Raises:
        DataError: there is no table, one is there twice, none of its labels is among the pooled ones, or the table
            cannot be written.
    """
    _check(tables)
    pooled = _pooled_labels(tables, labels)
    names = _names(tables)
    maps = [_map(table, pooled) for table in tables]
    known = [_known(table, label_of) for table, label_of in zip(tables, maps, strict=True)]
    copied = _copied(tables, known)
    parts = [
        _Part(own, table, keep & ~copy, label_of)
        for own, table, keep, copy, label_of in zip(names, tables, known, copied, maps, strict=True)
    ]
    name = name or "+".join(names)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    info = TableInfo(
        name=name,
        label_set="fer2013" if pooled == BASIC_SEVEN else f"pool-{slug}",
        labels=pooled,
        source={"file": " + ".join(table.info.source.get("file", table.info.name) for table in tables)}
        | {"layout": "pool", "sources": _sources(parts)},
        official=all(part.table.info.official and part.whole for part in parts),
        notes=tuple(_notes(parts, known, copied)),
    )
    _write(parts, out, info, progress)


def _check(tables: Sequence[Table]) -> None:
    if not tables:
        raise DataError("there is no table to pool")
    fingerprints = [table.fingerprint for table in tables]
    for place, table in enumerate(tables):
        if fingerprints[place] in fingerprints[:place]:
            raise DataError(f"the table '{shown(table.info.name)}' is there twice: every row would be its own copy")


def _spelling(label: str) -> str:
    """What two tables' words for one label share."""
    try:
        return canonical(label)
    except LabelError:
        return label.strip().casefold()


def _pooled_labels(tables: Sequence[Table], labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels:
        words = [_spelling(label) for label in labels]
        chosen = [word if word in BASIC_EIGHT else label for word, label in zip(words, labels, strict=True)]
        if len(set(words)) < len(words) or len(words) < 2:
            raise LabelError(f"the pooled labels are {', '.join(chosen)}: expected two or more different ones")
        return tuple(chosen)
    spelled = [{_spelling(label) for label in table.info.labels} for table in tables]
    for table, words in zip(tables, spelled, strict=True):
        strange = sorted(words - set(BASIC_EIGHT))
        if strange:
            raise LabelError(
                f"the table '{shown(table.info.name)}' has labels that are no expressions ({', '.join(strange)}):"
                " name those"
                " that the pool should have, in order, with --labels a,b,c"
            )
    return BASIC_EIGHT if all("contempt" in words for words in spelled) else BASIC_SEVEN


def _names(tables: Sequence[Table]) -> list[str]:
    """The sources' names, numbered where two are the same."""
    names: list[str] = []
    for table in tables:
        same, name = 1, table.info.name
        while name in names:
            same += 1
            name = f"{table.info.name} ({same})"
        names.append(name)
    return names


def _map(table: Table, pooled: tuple[str, ...]) -> NDArray[np.int64]:
    """Where each label of a table is among the pooled ones; -1 where it is not."""
    place = {_spelling(label): index for index, label in enumerate(pooled)}
    found = np.array([place.get(_spelling(label), -1) for label in table.info.labels])
    if (found < 0).all():
        raise LabelError(
            f"the table '{shown(table.info.name)}' has the labels {', '.join(table.info.labels)}, none of them among"
            " the"
            f" pooled ones: {', '.join(pooled)}"
        )
    return found


def _known(table: Table, label_of: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rows whose label is among the pooled ones, or that have none."""
    return (table.labels < 0) | (label_of[table.labels] >= 0)


def _copied(tables: Sequence[Table], known: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Per table its train rows with an identical copy in the validation or test split of another."""
    held_out = [
        np.unique(table.digests[labelled & (table.splits != "train")])
        for table, labelled in zip(tables, known, strict=True)
    ]
    copied: list[NDArray[np.bool_]] = []
    for place, table in enumerate(tables):
        others = [digests for other, digests in enumerate(held_out) if other != place]
        found = np.isin(table.digests, np.concatenate(others)) if others else np.zeros(len(table), bool)
        copied.append((table.splits == "train") & found)
    return copied


def _sources(parts: Sequence[_Part]) -> list[dict[str, Any]]:
    """What the pool's ``source`` says of each part; ``rows`` is a range, the end excluded."""
    ends = np.cumsum([int(part.keep.sum()) for part in parts]).tolist()
    return [
        {
            "name": part.name,
            "fingerprint": part.table.fingerprint,
            "official": part.table.info.official,
            "rows": [start, end],
            "notes": list(part.table.info.notes),
        }
        for part, start, end in zip(parts, [0, *ends], ends, strict=False)
    ]


def _notes(
    parts: Sequence[_Part], known: Sequence[NDArray[np.bool_]], copied: Sequence[NDArray[np.bool_]]
) -> list[str]:
    """What of each source is not in the pool, and which of its splits overlap with another's."""
    notes = ["pooled from " + ", ".join(f"{part.name} ({int(part.keep.sum()):,} rows)" for part in parts)]
    for part, labelled, copy in zip(parts, known, copied, strict=True):
        lost = part.table.labels[~labelled]
        for label in np.unique(lost).tolist():
            count = int((lost == label).sum())
            notes.append(f"{part.name}: {count:,} rows left out, labelled {part.table.info.labels[label]}")
        if (copy & labelled).any():
            count = int((copy & labelled).sum())
            notes.append(f"{part.name}: {count:,} train rows left out, identical to held-out pictures of other sources")
    tested = [part.table.digests[part.keep & (part.table.splits == "test")] for part in parts]
    for place, part in enumerate(parts):
        own = part.table.digests[part.keep & (part.table.splits == "validation")]
        others = [digests for other, digests in enumerate(tested) if other != place]
        count = int(np.isin(own, np.concatenate(others)).sum()) if others else 0
        if count:
            notes.append(f"{part.name}: {count:,} validation rows are identical to test pictures of other sources")
    return notes


def _write(parts: Sequence[_Part], out: Path, info: TableInfo, progress: Progress | None) -> None:
    kept = [part.table.take(part.keep) for part in parts]
    owners = [f"{place}:{group}" for place, table in enumerate(kept) for group in table.groups.tolist()]
    groups = together([digest for table in kept for digest in table.digests.tolist()], owners).tolist()
    row = 0
    further = _further(kept)
    with TableWriter(out, info, further) as writer:
        for part, table in zip(parts, kept, strict=True):
            columns = {name: _as(table.column(name), further[name]) for name in table.further}
            labels, splits, digests = table.labels.tolist(), table.splits.tolist(), table.digests.tolist()
            votes, reasons = table.votes, table.reasons
            soft = _soft(table, part.label_of, len(info.labels))
            for index, (_, image, path) in enumerate(table.encoded()):
                writer.add(
                    image=image,
                    path=path,
                    label=int(part.label_of[labels[index]]) if labels[index] >= 0 else None,
                    split=splits[index],
                    row=row,
                    group=groups[row],
                    digest=digests[index],
                    votes=votes[index].tolist() if votes is not None and votes[index].any() else None,
                    soft=soft[index],
                    reason=reasons[index],
                    **{name: column[index] for name, column in columns.items()},
                )
                row += 1
                if progress and row % 256 == 0:
                    progress(row, len(groups))


def _further(tables: Sequence[Table]) -> dict[str, Any]:
    """The further columns of all sources; words where two sources have other types under one name."""
    text = require("pyarrow", "tables").string()
    found: dict[str, Any] = {}
    for table in tables:
        for name, kind in table.further.items():
            found[name] = kind if found.get(name, kind) == kind else text
    return found


def _as(values: list[Any], kind: Any) -> list[Any]:
    words = kind == require("pyarrow", "tables").string()
    return [str(value) if words and value is not None else value for value in values]


def _soft(table: Table, label_of: NDArray[np.int64], count: int) -> list[list[float] | None]:
    """The training targets over the pooled labels, summing to 1 again without the labels that are not there."""
    if table.soft is None:
        return [None] * len(table)
    mapped = np.zeros((len(table), count), np.float64)
    for own, place in enumerate(label_of.tolist()):
        if place >= 0:
            mapped[:, place] += table.soft[:, own]
    totals = mapped.sum(axis=1, keepdims=True)
    shares = np.divide(mapped, totals, out=np.zeros_like(mapped), where=totals > 0)
    return [share.tolist() if share.any() else None for share in shares]
