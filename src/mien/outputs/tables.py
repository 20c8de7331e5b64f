"""Frames as tables: CSV, JSON, JSON Lines and Parquet, written as they come, in constant memory.

The columns are ``mien.results.COLUMNS`` and the labels of the model's first output; one row per face, one for a picture
without any. JSON forms hold a frame each (``Frame.to_dict``). Owns the forms, and where an interrupted file goes on.
Refuses to know where frames come from.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

from mien.errors import MienError, require
from mien.files import AtomicFile, explained
from mien.results import COLUMNS, Frame

#: File names that :func:`create` takes.
SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
_ROWS = 4096  # of a Parquet row group
_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")  # what "backslashreplace" makes of a byte that is no text


class Writer(Protocol):
    """What takes frames one by one."""

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        ...

    def close(self) -> None:
        """Finish the form; a text stream that was handed in stays open."""
        ...


class Csv:
    """A line per face. ``header`` False: lines are added to a file that has one."""

    def __init__(self, stream: TextIO, labels: Sequence[str], *, header: bool = True) -> None:
        self._stream = stream
        self._rows = csv.DictWriter(stream, [*COLUMNS, *labels], restval="", lineterminator="\n")
        if header:
            self._rows.writeheader()

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        self._rows.writerows(frame.to_rows())
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do."""


class JsonLines:
    """A JSON object per frame and line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        self._stream.write(json.dumps(frame.to_dict()) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do."""


class Json:
    """One JSON array with an object per frame."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._opened = False

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        self._stream.write((",\n" if self._opened else "[\n") + json.dumps(frame.to_dict(), indent=1))
        self._opened = True

    def close(self) -> None:
        """End the array."""
        self._stream.write("\n]\n" if self._opened else "[]\n")


class Parquet:
    """A row per face, in a Parquet file that appears when it is whole.

    Raises:
        MissingExtraError: pyarrow is not installed.
        WriteError: the file cannot be written, here and in every method.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        pyarrow, parquet = require("pyarrow", "tables"), require("pyarrow.parquet", "tables")
        self._pyarrow = pyarrow
        self._file = AtomicFile(path)
        text, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
        kinds = {"source": text, "expression": text, "smoothed": text, "error": text}
        kinds |= dict.fromkeys(("frame", "face", "track", "x", "y", "width", "height"), whole)
        names = [*COLUMNS, *labels]
        self._schema = pyarrow.schema([(name, kinds.get(name, real)) for name in names])
        self._rows: list[dict[str, object]] = []
        try:
            with explained(path):
                self._table: Any = parquet.ParquetWriter(self._file.temporary, self._schema)
        except BaseException:
            self._file.discard()
            raise

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        self._rows += [{name: _as_text(value) for name, value in row.items()} for row in frame.to_rows()]
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and give the file its name; where that fails, nothing is left of it."""
        try:
            self._flush()
            with explained(self._file.path):
                self._table.close()
            self._file.commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Leave no file; one of that name that was there before stays."""
        with suppress(OSError):  # a full disk, which is said already
            self._table.close()
        self._file.discard()

    def _flush(self) -> None:
        if self._rows:
            with explained(self._file.path):
                self._table.write_table(self._pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def _as_text(value: object) -> object:
    """File names need not be valid text, Parquet's strings must be."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


class File:
    """A writer to a file, by its suffix; use it in a ``with`` statement.

    Where the statement is left by an exception, lines that were written stay, to be gone on with, but a JSON or Parquet
    file does not appear, and an older one stays: nobody could see that it is half of one.

    Args:
        path: ends in .csv, .json, .jsonl or .parquet.
        labels: of the model's first output.
        resume: go on with a .csv or .jsonl that an interrupted run left; ``done`` then holds the sources that are
            finished, and what was written of the last one is dropped, to be read again.

    Raises:
        WriteError: the file cannot be written.
        MienError: it is of another form, or cannot be gone on with.
    """

    def __init__(self, path: Path, labels: Sequence[str], *, resume: bool = False) -> None:
        self.path = path
        self.done: frozenset[str] = frozenset()
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise MienError(f"{path}: a table is written as {', '.join(SUFFIXES)}")
        if resume and suffix not in (".csv", ".jsonl"):
            raise MienError(f"{path}: only .csv and .jsonl can be gone on with; mien batch writes Parquet in shards")
        self._stream: TextIO | None = None
        self._whole: AtomicFile | None = None  # of JSON, which has an end
        with explained(path):
            going_on = resume and path.exists() and path.stat().st_size > 0
            if going_on:
                self.done = _cut_back(path, suffix, labels)
                going_on = path.stat().st_size > 0  # of one that was cut off in its header nothing is left
            if suffix == ".parquet":
                self._writer: Writer = Parquet(path, labels)
                return
            if suffix == ".json":
                self._whole = AtomicFile(path)
            place, mode = (self._whole.temporary if self._whole else path), "a" if going_on else "w"
            self._stream = place.open(mode, encoding="utf-8", errors="backslashreplace", newline="")
        if suffix == ".csv":
            self._writer = Csv(self._stream, labels, header=not going_on)
        else:
            self._writer = Json(self._stream) if suffix == ".json" else JsonLines(self._stream)

    def write(self, frame: Frame) -> None:
        """Take the next frame.

        Raises:
            WriteError: the disk is full, or the file was taken away.
        """
        with explained(self.path):
            self._writer.write(frame)

    def __enter__(self) -> File:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if isinstance(self._writer, Parquet):
            if kind is None:
                self._writer.close()
            else:
                self._writer.discard()
            return
        assert self._stream
        try:
            with explained(self.path), self._stream:
                self._writer.close()
            if self._whole and kind is None:
                self._whole.commit()
        finally:
            if self._whole:
                self._whole.discard()


def _cut_back(path: Path, suffix: str, labels: Sequence[str]) -> frozenset[str]:
    """Drop the last source of an interrupted file and return those before it.

    The last one may be a video whose persons cannot be followed on from the middle.
    """
    seen: set[str] = set()
    last: str | None = None
    keep = 0
    with path.open("rb+") as file:
        if suffix == ".csv":
            keep = _header_of(file, path, labels)
        start = keep
        for line in _whole_lines(file, suffix):
            source = _source_of(line, suffix, path)
            if source not in seen:
                seen.add(source)
                last, keep = source, start
            start += len(line)
        file.seek(keep)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    done = seen - {last}
    if suffix == ".csv":  # which holds names that are no text in escaped form
        done |= {_ESCAPED.sub(lambda found: chr(int(found[1], 16)), source) for source in done}
    return frozenset(done)


def _header_of(file: BinaryIO, path: Path, labels: Sequence[str]) -> int:
    """Read a CSV file's header; returns where its rows begin, 0 where it was cut off."""
    header = io.StringIO(newline="")
    csv.writer(header, lineterminator="\n").writerow([*COLUMNS, *labels])
    expected, found = header.getvalue().encode(), file.readline()
    if found != expected and not (expected.startswith(found) and not found.endswith(b"\n")):
        raise MienError(f"{path}: its columns are not those of this run: choose another file")
    return len(found) if found == expected else 0


def _whole_lines(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    """The lines of a file, those of a table with the line breaks that are quoted in them, up to one that is cut off."""
    parts: list[bytes] = []
    quotes = 0
    for line in file:
        parts.append(line)
        quotes += line.count(b'"') if suffix == ".csv" else 0
        if quotes % 2 == 0 and line.endswith(b"\n"):
            yield b"".join(parts)
            parts.clear()


def _source_of(line: bytes, suffix: str, path: Path) -> str:
    """The source that a line belongs to."""
    try:
        text = line.decode("utf-8")
        if suffix == ".jsonl":
            return str(json.loads(text)["source"] or "")
        return next(csv.reader(io.StringIO(text, newline="")))[0]
    except (ValueError, KeyError, TypeError, StopIteration, IndexError, csv.Error) as error:
        raise MienError(f"{path}: cannot be gone on with: {error}") from error
