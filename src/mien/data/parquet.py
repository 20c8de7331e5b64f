"""Any Parquet file with a column of pictures into the canonical table: Hugging Face copies, exports of one's own.

The pictures are encoded bytes, or Hugging Face's struct of bytes and path, and stay in their own encoding. Labels
are whole numbers with names from elsewhere, or names. Streams: memory holds one batch of pictures and some 200 bytes
a row. Refuses FER2013's own layouts (``fer2013``), and to guess what numbered labels mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.class_folders import SPLIT_OF
from mien.data.partition import Progress, check_shares, settle, together
from mien.data.writer import OWN, TableInfo, TableWriter, further_type, pixel_digest, sha256_of
from mien.errors import DataError, LabelError, PictureError, require, shown
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN, canonical
from mien.sources.images import decode

_BATCH = 256


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read; a ``split`` of None means ``split`` where there is one, else none."""

    image: str = "image"
    label: str = "label"
    split: str | None = None
    group: str | None = None
    """Of persons, films or sessions: rows of one value stay on one side of a split."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that was checked: its columns (``split`` None if it has none) and the names of its numbered labels."""

    path: Path
    columns: Columns
    rows: int
    names: tuple[str, ...] | None
    numbered: bool
    keep: frozenset[int]
    further: dict[str, Any]
    left_out: tuple[str, ...]


def import_parquet(
    source: Path,
    out: Path,
    *,
    columns: Columns | None = None,
    only: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    name: str | None = None,
    label_set: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of a Parquet file of pictures.

    Labels that are expressions take mien's spelling and order, as class folders do. Numbered ones are named by
    ``labels``, by the schema's metadata key ``classes`` (comma separated) or by Hugging Face's ClassLabel. Splits
    are dealt where the file has none, and validation is carved out of train where it has none of that. A null or
    a negative number is no label. Further columns of words, numbers or truth values come along.

    Args:
        source: the Parquet file.
        out: the table to write; nothing is written before the whole source was checked.
        columns: the names of the source's columns.
        only: conditions ``COLUMN=VALUE`` or ``COLUMN!=VALUE``, all of which a row that is read meets.
        labels: names of numbered labels in order, or the order of named ones.
        name: the data set's name; None takes the file's.
        label_set: its label set's name; None takes the data set's, ``fer2013`` for those seven labels.
        validation, test: shares to deal, 0-1; a share of 0 makes no such split.
        seed: of the deal.
        progress: called with the rows handled, twice each, and twice their number.

    Raises:
        DataError: the file, a column, a picture, a label or a split is not what it should be.
    """
    check_shares(validation, test)
    checked = _check(source, columns or Columns(), labels, only)
    total = 2 * len(checked.keep)

    def scanned(done: int) -> None:
        if progress:
            progress(done, total)

    digests, values, splits = _scan(checked, scanned)
    names, index_of = _label_names(checked, values, labels)
    classes = np.array([-1 if value is None else index_of[value] for value in values], dtype=np.int64)
    groups = together(digests, _owners(checked, len(digests)))
    dealt, notes = settle(splits, classes, groups, validation, test, seed)
    name = name or source.resolve().stem
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    info = TableInfo(
        name=name,
        label_set=label_set or ("fer2013" if names == BASIC_SEVEN else slug),
        labels=names,
        source={"file": source.name, "sha256": sha256_of(source), "layout": "parquet", "pictures": len(digests)},
        notes=(*_notes(checked, only), *notes),
    )
    kept = {name: _column(checked, name) for name in checked.further}
    with TableWriter(out, info, checked.further) as writer:
        for row, (image, path) in enumerate(_pictures(checked)):
            writer.add(
                image=image,
                path=path,
                label=int(classes[row]) if classes[row] >= 0 else None,
                split=str(dealt[row]),
                row=row,
                group=int(groups[row]),
                digest=digests[row],
                **{name: column[row] for name, column in kept.items()},
            )
            if progress and row % _BATCH == 0:
                progress(len(checked.keep) + row, total)


@contextmanager
def _opened(path: Path) -> Generator[Any, None, None]:
    """The Parquet file at ``path``, its faults as DataErrors."""
    parquet, pa = require("pyarrow.parquet", "tables"), require("pyarrow", "tables")
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: expected a Parquet file with a column of pictures") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}") from error


def _check(path: Path, columns: Columns, labels: Sequence[str] | None, only: Sequence[str]) -> _Source:
    with _opened(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    types = require("pyarrow.types", "tables")
    meta: dict[bytes, bytes] = schema.metadata or {}
    if b"mien" in meta:
        raise DataError(f"{path} is a mien table already: there is nothing to import")
    split = columns.split or ("split" if "split" in schema.names else None)
    for option, name in (
        ("image", columns.image),
        ("label", columns.label),
        ("split", split),
        ("group", columns.group),
    ):
        if name is not None and name not in schema.names:
            raise DataError(
                f"{path} has no column '{shown(name)}', only {', '.join(schema.names)}: name it with --{option}"
            )
    image, label = schema.field(columns.image).type, schema.field(columns.label).type
    if not (_is_binary(image) or (types.is_struct(image) and image.get_field_index("bytes") >= 0)):
        raise DataError(f"{path}: column '{shown(columns.image)}' is {image}, expected encoded pictures as bytes")
    value = label.value_type if types.is_dictionary(label) else label
    numbered = types.is_integer(value)
    if not (numbered or types.is_string(value) or types.is_large_string(value)):
        raise DataError(f"{path}: column '{shown(columns.label)}' is {label}, expected whole numbers or names")
    if not rows:
        raise DataError(f"{path} has no rows")
    names = tuple(labels) if labels else _stored_names(meta, columns.label)
    if numbered and not names:
        raise LabelError(
            f"{path}: the labels are numbers, which data sets use differently: name them in order with --labels a,b,c"
        )
    read = {columns.image, columns.label, split}
    others = {field.name: further_type(field.type) for field in schema if field.name not in read}
    further = {other: kind for other, kind in others.items() if kind and other not in OWN}
    used = Columns(columns.image, columns.label, split, columns.group)
    keep = _selected(path, only, schema.names, rows)
    return _Source(path, used, rows, names, numbered, keep, further, tuple(sorted(set(others) - set(further))))


def _selected(path: Path, only: Sequence[str], names: Sequence[str], rows: int) -> frozenset[int]:
    """The rows that meet all conditions."""
    keep = np.ones(rows, bool)
    for condition in only:
        column, sign, wanted = condition.partition("=")
        name, unequal = (column[:-1], True) if column.endswith("!") else (column, False)
        if not sign or name not in names:
            raise DataError(f"--only {condition}: expected COLUMN=VALUE or COLUMN!=VALUE of {', '.join(names)}")
        with _opened(path) as file:
            values = file.read(columns=[name])[name].to_pylist()
        keep &= np.array([(str(value) == wanted) != unequal for value in values])
    if not keep.any():
        raise DataError(f"no row of {path} meets {' and '.join(only)}")
    return frozenset(np.flatnonzero(keep).tolist())


def _column(source: _Source, name: str) -> list[Any]:
    """A column of the rows that are read."""
    with _opened(source.path) as file:
        return file.read(columns=[name])[name].take(sorted(source.keep)).to_pylist()


def _owners(source: _Source, count: int) -> list[str]:
    """The person, film or session of each row; empty words where there is no such column or it says nothing."""
    if source.columns.group is None:
        return [""] * count
    return ["" if value is None else str(value) for value in _column(source, source.columns.group)]


def _notes(source: _Source, only: Sequence[str]) -> list[str]:
    said = [f"{len(source.keep):,} of {source.rows:,} rows read: {' and '.join(only)}"] if only else []
    if source.left_out:
        said.append(
            f"columns left out, neither words nor numbers, or named as mien's own: {', '.join(source.left_out)}"
        )
    return said


def _is_binary(kind: Any) -> bool:
    types = require("pyarrow.types", "tables")
    return types.is_binary(kind) or types.is_large_binary(kind)


def _stored_names(meta: dict[bytes, bytes], column: str) -> tuple[str, ...] | None:
    """Names of numbered labels that the schema's metadata carries: ``classes``, or Hugging Face's ClassLabel."""
    if b"classes" in meta:
        return tuple(name.strip() for name in meta[b"classes"].decode().split(","))
    try:
        return tuple(json.loads(meta[b"huggingface"])["info"]["features"][column]["names"])
    except (KeyError, ValueError, TypeError):
        return None


def _pictures(source: _Source) -> Iterator[tuple[bytes, str]]:
    """The encoded picture and source path of each row that is read, in order."""
    for batch in _batches(source, [source.columns.image]):
        yield from map(_picture, batch.column(0).to_pylist())


def _batches(source: _Source, columns: list[str]) -> Iterator[Any]:
    """Record batches of the rows that are read."""
    start = 0
    with _opened(source.path) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
            yield batch.take([k - start for k in range(start, start + len(batch)) if k in source.keep])
            start += len(batch)


def _picture(value: bytes | dict[str, Any] | None) -> tuple[bytes, str]:
    if isinstance(value, dict):
        return value["bytes"] or b"", value.get("path") or ""
    return value or b"", ""


def _scan(
    source: _Source, progress: Callable[[int], None]
) -> tuple[list[str], list[int | str | None], list[str] | None]:
    """Digest, label as stored and split of each row; every picture is decoded here, and only here."""
    wanted = [name for name in (source.columns.image, source.columns.label, source.columns.split) if name]
    digests: list[str] = []
    labels: list[int | str | None] = []
    splits: list[str] = []
    for batch in _batches(source, wanted):
        for value in batch.column(source.columns.image).to_pylist():
            try:
                digests.append(pixel_digest(decode(_picture(value)[0])))
            except PictureError as error:
                raise DataError(f"{source.path}, row {len(digests)}: the picture cannot be read: {error}") from error
        labels += batch.column(source.columns.label).to_pylist()
        if source.columns.split:
            splits += batch.column(source.columns.split).to_pylist()
        progress(len(digests))
    labels = [None if isinstance(label, int) and label < 0 else label for label in labels]
    return digests, labels, [_split(value, row, source) for row, value in enumerate(splits)] or None


def _split(value: str | None, row: int, source: _Source) -> str:
    split = SPLIT_OF.get(str(value).strip().lower())
    if split is None:
        raise DataError(f"{source.path}, row {row}: split {shown(repr(value))} is none of {', '.join(SPLIT_OF)}")
    return split


def _label_names(
    source: _Source, values: list[int | str | None], labels: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[int | str, int]]:
    """The label names in order, and the index of each value that occurs."""
    found = {value for value in values if value is not None}
    written = {_spelling(str(value)): str(value) for value in sorted(found, key=str)}
    names = source.names if source.numbered and source.names else tuple(labels or sorted(written.values()))
    order, places = _order(names)
    if source.numbered:
        index_of: dict[int | str, int] = dict(enumerate(places))
    else:
        spelled = {_spelling(name): place for name, place in zip(names, places, strict=True)}
        index_of = {word: spelled[_spelling(str(word))] for word in found if _spelling(str(word)) in spelled}
    strangers = [row for row, value in enumerate(values) if value is not None and value not in index_of]
    if strangers:
        raise LabelError(
            f"{source.path}, row {strangers[0]}: label {shown(repr(values[strangers[0]]))} is none of the"
            f" {len(names)} labels"
            f" {', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
        )
    return order, index_of


def _order(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """The labels in the order they are stored in, and where each name is there; only expressions are reordered."""
    try:
        words = [canonical(name) for name in names]
    except LabelError:
        words = list(names)
    order = tuple(name for name in BASIC_EIGHT if name in words) if set(words) <= set(BASIC_EIGHT) else tuple(words)
    if len(set(words)) < len(words) or len(words) < 2:
        raise LabelError(f"the labels are {', '.join(words)}: expected two or more different names")
    return order, [order.index(word) for word in words]


def _spelling(name: str) -> str:
    """What two spellings of one label share."""
    try:
        return canonical(name)
    except LabelError:
        return name.strip().casefold()
