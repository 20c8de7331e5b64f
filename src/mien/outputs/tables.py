"""Frames as tables: CSV, JSON, JSON Lines and Parquet, written as they come, in constant memory.

The columns are ``mien.results.COLUMNS`` and the labels of the model's first output; one row per face, one for a picture
without any. JSON forms hold a frame each (``Frame.to_dict``). Owns the forms. Refuses to know where frames come from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from mien.errors import MienError, require
from mien.files import AtomicFile, explained
from mien.outputs import resuming
from mien.outputs.resuming import Made, Rows
from mien.results import COLUMNS, Frame

#: File names that :func:`create` takes.
SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
_ROWS = 4096  # of a Parquet row group


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
        self._file = AtomicFile(path, alone=True)
        text, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
        kinds = {"source": text, "expression": text, "smoothed": text, "error": text, "note": text}
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

    The file has its name once it is whole, and an older one stays until then. Where the statement is left by an
    exception, or the process is killed, lines that were written stay in ``NAME.partial``, to be resumed; of JSON
    and Parquet nothing stays. While one process writes a file, others are refused it.

    Args:
        path: ends in .csv, .json, .jsonl or .parquet.
        labels: of the model's first output.
        resume: continue a .csv or .jsonl that an earlier run left; ``done`` then holds the sources that are finished.
            What was written of the last one is dropped, to be read again, as are sources that could not be read.
        made: the model, detector and options that make a .csv or .jsonl, kept beside it; a table of others is not
            resumed. None: nothing is kept or compared.
        kept: is told the rows of each picture that stays from the earlier run.

    Attributes:
        written: whether a frame was taken.

    Raises:
        WriteError: the file cannot be written, or another process writes it.
        MienError: it is of another form, or cannot be resumed.
    """

    def __init__(
        self,
        path: Path,
        labels: Sequence[str],
        *,
        resume: bool = False,
        made: Made | None = None,
        kept: Callable[[Rows], object] = lambda rows: None,
    ) -> None:
        self.path = path
        self.done: frozenset[str] = frozenset()
        self.written = False
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise MienError(f"{path}: a table is written as {', '.join(SUFFIXES)}")
        if resume and suffix not in (".csv", ".jsonl"):
            raise MienError(f"{path}: only .csv and .jsonl can be resumed; mien batch writes Parquet in shards")
        self._stream: TextIO | None = None
        self._file: AtomicFile | None = None
        if suffix == ".parquet":
            self._writer: Writer = Parquet(path, labels)
            return
        self._file = AtomicFile(path, alone=True, kept=suffix != ".json")
        self._resumed = False
        try:
            resumes = resume and not self._file.is_stream and self._resume(self._file.temporary, labels, made, kept)
            self._resumed = resumes
            with explained(path):
                if made is not None and not resumes and suffix != ".json" and not self._file.is_stream:
                    resuming.note(path, made)
                self._stream = self._file.temporary.open(
                    "a" if resumes else "w", encoding="utf-8", errors="backslashreplace", newline=""
                )
                if suffix == ".csv":
                    self._writer = Csv(self._stream, labels, header=not resumes)
                else:
                    self._writer = Json(self._stream) if suffix == ".json" else JsonLines(self._stream)
        except BaseException:
            self._file.discard()
            raise

    def _resume(self, partial: Path, labels: Sequence[str], made: Made | None, kept: Callable[[Rows], object]) -> bool:
        """Put what stays of an earlier run into the partial file; False: there is nothing."""
        with explained(self.path):
            source = next((one for one in (partial, self.path) if one.exists() and one.stat().st_size), None)
            if source is None:
                return False
            if made is not None:
                resuming.check(self.path, made)
            self.done = resuming.keep(source, partial, self.path.suffix.lower(), labels, kept)
            return partial.stat().st_size > 0  # of one that was cut off in its header nothing is left

    def write(self, frame: Frame) -> None:
        """Take the next frame.

        Raises:
            WriteError: the disk is full, or the file was taken away.
        """
        with explained(self.path):
            self._writer.write(frame)
        self.written = True

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
        assert self._file
        try:
            with explained(self.path), self._stream:
                self._writer.close()
            if kind is None:
                self._file.commit()
            elif not (self.written or self._resumed or self._file.is_stream):
                with suppress(OSError):
                    self._file.temporary.unlink()  # a header alone is nothing to resume
        finally:
            self._file.discard()
