"""Listed pictures into the canonical table: the end of every importer of picture files.

An importer lists what its data set holds, with labels, splits and persons; here every picture is decoded, faces are
cut out where that is asked for, splits are dealt where the source has none, and the table is written. Pictures stay in
their own encoding unless a face is cut out of them. Memory holds a few hundred bytes a picture. Refuses to know
layouts, and what names of files mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.class_folders import read_picture
from mien.data.cutting import Cut, Cutter
from mien.data.partition import Progress, check_shares, settle, together
from mien.data.writer import TableInfo, TableWriter, pixel_digest
from mien.errors import DataError, PictureError, require
from mien.results import Box

#: So many names stand in a note; the table's ``source`` has all.
_NAMED = 12
#: Of a source with damaged pictures, this part may be, or that many where it is small; more is a copy cut off.
_DAMAGED, _DAMAGED_AT_LEAST = 0.01, 10


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture that a data set says something about.

    Attributes:
        path: relative to the data set's folder, with forward slashes.
        label: index into the table's labels.
        split: train, validation or test where the source has splits, else None; all pictures have one or none has.
        subject: the person in it; empty where the source does not say.
        box: where the face is, in pixels, where the source says so; that square is cut out.
        further: name to number or word of further columns; every picture has the same names.
    """

    path: str
    label: int
    split: str | None = None
    subject: str = ""
    box: Box | None = None
    further: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Deal:
    """How rows are dealt where the source has no such split: shares of the rows, 0-1 (0: no such split), and a seed."""

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0


@dataclass
class _Kept:
    """The pictures that become rows: places in the list, digests, where cut-out faces wait; and those that do not."""

    places: list[int] = field(default_factory=list[int])
    digests: list[str] = field(default_factory=list[str])
    waiting: list[tuple[int, int] | None] = field(default_factory=list[tuple[int, int] | None])
    faceless: list[str] = field(default_factory=list[str])
    damaged: list[str] = field(default_factory=list[str])


def write_listed(
    root: Path,
    out: Path,
    listed: Sequence[Listed],
    info: TableInfo,
    *,
    deal: Deal | None = None,
    cut: Cut | None = None,
    published: Sequence[Mapping[str, int]] = (),
    tolerant: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of listed pictures.

    Identical pictures, and pictures of one person, are one group; dealing keeps groups whole. Pictures in which a
    detector finds no face are left out, and the notes say which.

    Args:
        root: the data set's folder.
        out: the table to write; nothing is written before all pictures were read.
        listed: the pictures, in the order of the rows.
        info: what the table says of itself so far.
        deal: shares and seed.
        cut: whether and how faces are cut out.
        published: rows in each split as the data set's authors published them, one mapping per release; only a source
            that has exactly these is official.
        tolerant: leave a few damaged pictures out instead of refusing the source, for originals that have some.
        progress: called with the pictures read and their number.

    Raises:
        DataError: a picture or the shares are not what they should be, no face is found, or nothing can be written.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """
    deal, cut = deal or Deal(), cut or Cut()
    check_shares(deal.validation, deal.test)
    with Cutter(out, cut) as cutter:
        kept = _read(root, listed, cutter, tolerant, progress)
        rows = [listed[place] for place in kept.places]
        groups = together(kept.digests, [row.subject for row in rows])
        own = [row.split for row in rows if row.split]
        classes = np.array([row.label for row in rows])
        splits, dealt = settle(own or None, classes, groups, deal.validation, deal.test, deal.seed)
        about = replace(
            info,
            source=info.source | {"pictures": len(rows)} | _absent(kept, cut),
            official={name: own.count(name) for name in set(own)} in [dict(counts) for counts in published],
            notes=(*info.notes, *_notes(kept, cut, len(listed)), *dealt),
        )
        with TableWriter(out, about, _types(rows)) as writer:
            for index, (row, place) in enumerate(zip(rows, kept.waiting, strict=True)):
                writer.add(
                    image=cutter.fetch(place) if place else (root / row.path).read_bytes(),
                    path=row.path,
                    label=row.label,
                    split=str(splits[index]),
                    row=kept.places[index],
                    group=kept.places[int(groups[index])],
                    digest=kept.digests[index],
                    **row.further,
                )


def _types(rows: Sequence[Listed]) -> dict[str, Any]:
    """The Arrow types of the further columns."""
    pa = require("pyarrow", "tables")
    words = {name for row in rows for name, value in row.further.items() if isinstance(value, str)}
    return {name: pa.string() if name in words else pa.float64() for name in rows[0].further}


def _read(root: Path, listed: Sequence[Listed], cutter: Cutter, tolerant: bool, progress: Progress | None) -> _Kept:
    """Decode every picture once, and cut faces out."""
    kept = _Kept()
    for place, one in enumerate(listed):
        if progress and place % 64 == 0:
            progress(place, len(listed))
        try:
            pixels = _pixels(root / one.path, one.box, cutter)
        except DataError as error:
            if not tolerant:
                raise
            kept.damaged.append(one.path)
            _check_damage(root, len(kept.damaged), len(listed), error)
            continue
        if pixels is None:
            kept.faceless.append(one.path)
            continue
        kept.places.append(place)
        kept.digests.append(pixel_digest(pixels))
        kept.waiting.append(cutter.keep(pixels) if cutter.wanted(one.box) else None)
    if not kept.places:
        why = "in none of them a face is found" if kept.faceless else "none of them can be read"
        raise DataError(f"{root}: {len(listed):,} pictures are listed, and {why}")
    return kept


def _check_damage(root: Path, damaged: int, total: int, last: DataError) -> None:
    if damaged > max(_DAMAGED * total, _DAMAGED_AT_LEAST):
        raise DataError(
            f"{root}: more than {damaged - 1:,} of {total:,} pictures are missing or damaged, the last: {last}; is"
            " everything unpacked?"
        ) from last


def _pixels(path: Path, box: Box | None, cutter: Cutter) -> NDArray[np.uint8] | None:
    """What of a picture goes into the table; None where no face is found in it."""
    pixels = read_picture(path)
    try:
        return cutter.face(pixels, box) if cutter.wanted(box) else pixels
    except PictureError as error:
        raise DataError(f"{path}: {error}") from error


def _absent(kept: _Kept, cut: Cut) -> dict[str, Any]:
    """What the table's ``source`` says of faces that were looked for, and of pictures that are not in it."""
    left_out = {"without a face": kept.faceless, "damaged": kept.damaged}
    said = {"faces": cut.detector} if cut.detector else {}
    present = {why: paths for why, paths in left_out.items() if paths}
    return said | ({"left_out": present} if present else {})


def _notes(kept: _Kept, cut: Cut, total: int) -> list[str]:
    reasons = {
        f"in which {cut.detector} finds no face": kept.faceless,
        "which are missing, cannot be read, or lie outside of their face box": kept.damaged,
    }
    return [
        f"{len(paths):,} of {total:,} pictures left out, {why}: {some(paths)}"
        for why, paths in reasons.items()
        if paths
    ]


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many there are more.

    >>> some(["a", "b"])
    'a, b'
    >>> some([str(k) for k in range(14)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more'
    """
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
