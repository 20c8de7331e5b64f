"""FER2013 in any of the forms it is passed around in, into the canonical table.

Goodfellow et al. 2013, "Challenges in Representation Learning": 35,887 grey faces of 48x48 px, seven labels,
Training / PublicTest / PrivateTest, which are mien's train / validation / test. Owns what makes a copy
official and how FER+ votes are joined; refuses to know the layouts (``fer2013_layouts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.data import ferplus
from mien.data.fer2013_layouts import SPLIT_OF, Sample, detect_layout, read_samples
from mien.data.partition import Progress, carve_validation, together
from mien.data.writer import SPLITS, TableInfo, TableWriter, pixel_digest, sha256_of
from mien.errors import DataError
from mien.expressions import BASIC_SEVEN

#: Pictures in each split, as published.
PUBLISHED = {"train": 28_709, "validation": 3_589, "test": 3_589}


@dataclass(frozen=True, slots=True)
class _Row:
    """A sample as it will be written; all of FER2013 fits into 100 MB of these."""

    image: bytes
    path: str
    label: int
    row: int
    digest: str
    votes: list[int] | None


def import_fer2013(
    source: Path,
    out: Path,
    *,
    ferplus_file: Path | None = None,
    validation: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of a FER2013 source; its layout is detected.

    A source that does not hold PublicTest apart (class folders without the usage, ``train.csv``) gets its
    validation rows from its train rows, equal pictures on one side, and is not official.

    Args:
        source: a CSV file, a Parquet file or a folder.
        out: the table to write; nothing is written before the whole source was checked.
        ferplus_file: FER+'s ``fer2013new.csv``, joined row by row.
        validation: share of the train rows, 0-1, for a source without PublicTest.
        seed: of that deal.
        progress: called with what was read and how much there is (bytes, rows or files).

    Raises:
        DataError: the source or the FER+ file is not what it should be.
    """
    layout = detect_layout(source)
    rows: list[_Row] = []
    read: list[str] = []
    for sample in read_samples(source, progress):
        rows.append(_pack(sample))
        read.append(sample.split)
    if not rows:
        raise DataError(f"{source} has a header and no rows: expected {sum(PUBLISHED.values()):,} of them")
    votes = [row.votes for row in rows]
    if ferplus_file is not None:
        votes = _join_votes(ferplus_file, source, layout, read)
    splits = np.array(read, dtype="<U10")
    groups = together([row.digest for row in rows])
    notes = _notes(layout, rows, splits)
    official = {name: int((splits == name).sum()) for name in SPLITS} == PUBLISHED
    if "validation" not in splits and validation:
        notes.append(carve_validation(splits, np.array([row.label for row in rows]), groups, validation, seed))
    info = TableInfo("fer2013", "fer2013", BASIC_SEVEN, _source(source, layout, rows), official, tuple(notes))
    if ferplus_file is not None:
        info.source["ferplus"] = {"file": ferplus_file.name, "sha256": sha256_of(ferplus_file)}
    with TableWriter(out, info) as writer:
        for index, row in enumerate(rows):
            writer.add(
                image=row.image,
                path=row.path,
                label=row.label,
                split=str(splits[index]),
                row=row.row,
                group=rows[int(groups[index])].row,
                digest=row.digest,
                votes=votes[index],
            )


def _pack(sample: Sample) -> _Row:
    _, png = cv2.imencode(".png", sample.pixels)
    digest = pixel_digest(sample.pixels)
    return _Row(png.tobytes(), sample.path, sample.label, sample.row, digest, sample.votes)


def _join_votes(path: Path, source: Path, layout: str, splits: list[str]) -> list[list[int] | None]:
    """The votes of each row; FER+ lists the original's rows in their order, taken are the source's usages."""
    if layout == "folders":
        raise DataError(
            f"{path.name} goes by the rows of fer2013.csv, which class folders do not keep: import {source}"
            " without --ferplus, or a CSV or Parquet copy with it"
        )
    usages, votes = ferplus.read_votes(path)
    present = set(splits)
    kept = [row for row, usage in enumerate(usages) if SPLIT_OF.get(usage) in present]
    if len(kept) != len(splits):
        raise DataError(
            f"{path} has votes for {len(kept):,} such rows, {source} has {len(splits):,}: not the same data"
        )
    for place, row in enumerate(kept):
        if SPLIT_OF[usages[row]] != splits[place]:
            raise DataError(
                f"{path}, line {row + 2} is {usages[row]}, but row {place} of {source} is {splits[place]}: not"
                " the same data in the same order"
            )
    return [votes[row] for row in kept]


def _notes(layout: str, rows: list[_Row], splits: Any) -> list[str]:
    """What a reader of figures measured on this source has to know."""
    notes: list[str] = []
    if "test" in splits and "validation" not in splits:
        notes.append("PublicTest and PrivateTest cannot be told apart in this source: both are test")
    if "test" not in splits:
        notes.append("this source has no test rows")
    if len(rows) != sum(PUBLISHED.values()):
        notes.append(f"{len(rows):,} of FER2013's {sum(PUBLISHED.values()):,} pictures: a part, or a file cut off")
    if layout == "folders" and any(row.path.lower().endswith((".jpg", ".jpeg")) for row in rows):
        notes.append("JPEG copies: pixels differ a little from the original's, and equal pictures may differ")
    return notes


def _source(source: Path, layout: str, rows: list[_Row]) -> dict[str, Any]:
    about: dict[str, Any] = {"file": source.resolve().name, "layout": layout, "pictures": len(rows)}
    return about if layout == "folders" else about | {"sha256": sha256_of(source)}
