"""The forms FER2013 is passed around in, read as one stream of samples.

=================  ==================================================================================
layout             known copies
=================  ==================================================================================
CSV                ``fer2013.csv``, ``icml_face_data.csv`` (other order, spaces in the names), and the
                   challenge's ``train.csv``, which has no Usage and only Training rows
Parquet            columns row, usage, emotion, image and, where there are votes, ferplus_*
class folders      ``train/angry/*.jpg``, ``test/…``; with the usage in the file names
                   (``PublicTest_123.jpg``) or without
=================  ==================================================================================

Owns finding out which of them a path is and checking every value. Refuses to decide on splits and labels.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.class_folders import FoundPicture, find_pictures, read_picture
from mien.data.partition import Progress
from mien.errors import DataError, LabelError, MienError, require, shown
from mien.expressions import BASIC_SEVEN, FERPLUS_VOTES, canonical
from mien.sources.images import decode, luma

SIZE = 48
_VOTE_COLUMNS = tuple(f"ferplus_{name}" for name in FERPLUS_VOTES)
SPLIT_OF = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture as a source has it.

    Attributes:
        row: number of the row or file in the source, from 0.
        pixels: (48, 48) uint8 grey.
        label: 0-6, FER2013's numbers.
        split: train, validation or test, by the source's Usage or folder.
        votes: ten FER+ votes, where the source itself has them.
        path: relative path of the picture's file, where there is one.
    """

    row: int
    pixels: NDArray[np.uint8]
    label: int
    split: str
    votes: list[int] | None = None
    path: str = ""


def detect_layout(source: Path) -> str:
    """``csv``, ``parquet`` or ``folders``, by what lies at the path and not by its name.

    Raises:
        DataError: nothing is there, or it cannot be read.
    """
    if source.is_dir():
        return "folders"
    try:
        with source.open("rb") as file:
            return "parquet" if file.read(4) == b"PAR1" else "csv"
    except FileNotFoundError as error:
        raise DataError(f"{source} does not exist: expected fer2013.csv, a Parquet copy or a folder") from error
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from error


def read_samples(source: Path, progress: Progress | None = None) -> Iterator[Sample]:
    """All samples of a source of any layout, in its order.

    Raises:
        DataError: the source is not FER2013; names the line, row or file and what was expected there.
    """
    readers = {"csv": _read_csv, "parquet": _read_parquet, "folders": _read_folders}
    return readers[detect_layout(source)](source, progress)


def _label(value: object, where: str) -> int:
    with suppress(TypeError, ValueError):
        if 0 <= (label := int(str(value))) < len(BASIC_SEVEN):
            return label
    raise DataError(f"{where}: emotion {shown(repr(value))} is not one of 0-6 ({', '.join(BASIC_SEVEN)})")


def _split(usage: str, where: str) -> str:
    if usage.strip() not in SPLIT_OF:
        raise DataError(f"{where}: usage '{shown(usage)}' is none of {', '.join(SPLIT_OF)}")
    return SPLIT_OF[usage.strip()]


def _read_csv(path: Path, progress: Progress | None) -> Iterator[Sample]:
    total = path.stat().st_size
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text)
        try:
            for sample in _csv_rows(path, lines):
                if progress and sample.row % 256 == 0:
                    progress(raw.tell(), total)
                yield sample
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}, after line {lines.line_num}: this is not CSV text ({error})") from error


def _csv_rows(path: Path, lines: Iterator[list[str]]) -> Iterator[Sample]:
    header = next(lines, None)
    if header is None:
        raise DataError(f"{path} is empty: expected the columns emotion, pixels and Usage")
    columns = {name.strip().lower(): place for place, name in enumerate(header)}
    missing = [name for name in ("emotion", "pixels") if name not in columns]
    if missing:
        named = ", ".join(name.strip()[:20] for name in header[:6])
        raise DataError(f"{path} has no column {' and '.join(missing)} in its first line, which reads: {named}")
    emotion, pixels, usage = columns["emotion"], columns["pixels"], columns.get("usage")
    row = 0
    for line, record in enumerate(lines, start=2):
        if not record:
            continue
        where = f"{path}, line {line}"
        if len(record) != len(header):
            raise DataError(
                f"{where}: {len(record)} fields, expected {len(header)} ({', '.join(columns)}); is the file cut off?"
            )
        split = "train" if usage is None else _split(record[usage], where)
        yield Sample(row, parse_pixels(record[pixels], where), _label(record[emotion], where), split)
        row += 1


def parse_pixels(text: str, where: str) -> NDArray[np.uint8]:
    """The 2,304 numbers of a CSV row as (48, 48) uint8.

    Raises:
        DataError: another number of pixels, or a value that is no whole number 0-255; begins with ``where``.
    """
    # Checked first because numpy stops at the first word that is no number.
    if not (text.isascii() and text.replace(" ", "").isdigit()):
        odd = next((word for word in text.split(" ") if word and not (word.isascii() and word.isdigit())), "")
        raise DataError(f"{where}: pixel value '{shown(odd, 20)}', expected {SIZE * SIZE:,} whole numbers 0-255")
    values = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(values) != SIZE * SIZE:
        raise DataError(f"{where}: {len(values):,} pixels, expected {SIZE * SIZE:,} ({SIZE}x{SIZE})")
    if values.max() > 255:
        raise DataError(f"{where}: pixel value {values.max()}, expected 0-255")
    return values.astype(np.uint8).reshape(SIZE, SIZE)


def _read_parquet(path: Path, progress: Progress | None) -> Iterator[Sample]:
    parquet, pa = require("pyarrow.parquet", "tables"), require("pyarrow", "tables")
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow)
            done = 0
            for batch in file.iter_batches(batch_size=2048):
                for record in batch.to_pylist():
                    yield _parquet_sample(path, record)
                done += batch.num_rows
                if progress:
                    progress(done, file.metadata.num_rows)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}") from error


def _check_columns(path: Path, schema: Any) -> None:
    names = set(schema.names)
    if b"mien" in (schema.metadata or {}):
        raise DataError(f"{path} is a mien table already: there is nothing to import")
    missing = {"row", "usage", "emotion", "image"} - names
    if missing:
        raise DataError(f"{path} has no column {', '.join(sorted(missing))}; it has {', '.join(sorted(names))}")


def _parquet_sample(path: Path, record: dict[str, Any]) -> Sample:
    where = f"{path}, row {record['row']}"
    try:
        pixels = _grey(decode(record["image"]), where)
    except MienError as error:
        raise DataError(f"{where}: the picture cannot be read: {error}") from error
    votes = [int(record[name]) for name in _VOTE_COLUMNS if record.get(name) is not None]
    return Sample(
        row=int(record["row"]),
        pixels=pixels,
        label=_label(record["emotion"], where),
        split=_split(str(record["usage"]), where),
        votes=votes if len(votes) == len(_VOTE_COLUMNS) else None,
    )


def _grey(picture: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """A FER2013 picture as (48, 48): its one channel where it is grey, else (a coloured copy) luma."""
    if picture.shape[:2] != (SIZE, SIZE):
        raise DataError(
            f"{where} is {picture.shape[1]}x{picture.shape[0]} px, expected {SIZE}x{SIZE}; other faces are"
            " imported by: mien data import folder"
        )
    return picture[..., 0] if (picture == picture[..., :1]).all() else luma(picture)


def _read_folders(root: Path, progress: Progress | None) -> Iterator[Sample]:
    found = find_pictures(root)
    usages = [_usage_in_name(picture) for picture in found]
    named = all(usages)
    for row, (picture, usage) in enumerate(zip(found, usages, strict=True)):
        split = SPLIT_OF[usage] if named and usage else picture.split
        if split is None:
            raise DataError(
                f"{root / picture.path} lies in no train or test folder and its name has no usage"
                " (PublicTest_…): FER2013's splits cannot be told; try: mien data import folder"
            )
        if picture.split and (split == "train") != (picture.split == "train"):
            raise DataError(f"{root / picture.path} is named {usage} but lies in a {picture.split} folder")
        where = str(root / picture.path)
        yield Sample(
            row, _grey(read_picture(root / picture.path), where), _folder_label(picture), split, path=picture.path
        )
        if progress and row % 64 == 0:
            progress(row, len(found))


def _usage_in_name(picture: FoundPicture) -> str | None:
    match = re.match(r"(Training|PublicTest|PrivateTest)(?![a-z])", picture.path.rpartition("/")[2])
    return match[1] if match else None


def _folder_label(picture: FoundPicture) -> int:
    if picture.folder.isdigit():
        return _label(picture.folder, f"folder of {picture.path}")
    name = canonical(picture.folder)
    if name not in BASIC_SEVEN:
        raise LabelError(f"folder of {picture.path}: FER2013 has no {name}, only {', '.join(BASIC_SEVEN)}")
    return BASIC_SEVEN.index(name)
