"""Where an interrupted table resumes, and what made it.

Beside a ``.csv`` or ``.jsonl`` lies ``.NAME.made.json``: model, detector and options. A table that something else made
is not resumed. Owns that record, and which lines of a table stay: those of sources that were read to their end
without an error.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mien import files
from mien.errors import MienError, shown
from mien.narrowing import is_object
from mien.results import COLUMNS

#: What made a table: names and values, plain enough for JSON.
Made = Mapping[str, object]
#: Rows of one picture as ``Frame.to_rows`` gives them, or as much of them as a table's form holds.
Rows = list[dict[str, object]]
_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")  # what "backslashreplace" makes of a byte that is no text


def record(path: Path) -> Path:
    """Where the record of a table lies."""
    return path.absolute().with_name(f".{path.name}.made.json")


def note(path: Path, made: Made) -> None:
    """Write what makes a table.

    Raises:
        WriteError: it cannot be written.
    """
    files.write(record(path), json.dumps(made, indent=1) + "\n")


def check(path: Path, made: Made) -> None:
    """Refuse to resume a table that something else made.

    Raises:
        MienError: it was, or nothing says what made it.
    """
    try:
        found = json.loads(record(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not is_object(found):
        raise MienError(
            f"{path}: nothing says which model and options made it, so it is not resumed; leave out --resume to"
            " begin anew, or name another file"
        )
    mine: dict[str, Any] = json.loads(json.dumps(made))
    other = [name for name in sorted({*mine, *found}) if mine.get(name) != found.get(name)]
    if other:
        told = ", ".join(f"{name} {_short(found.get(name))}, now {_short(mine.get(name))}" for name in other[:3])
        raise MienError(f"{path}: made by something else ({told}): use the same again, or name another file")


def _short(value: object) -> str:
    return shown(repr(value), 40)


def keep(
    source: Path, target: Path, suffix: str, labels: Sequence[str], kept: Callable[[Rows], object]
) -> frozenset[str]:
    """Copy the lines of an interrupted table that stay, and return the sources that are done.

    Lines of sources with an error are left out, to be tried again, and those of the last source: it may be a video
    whose tracks cannot be continued from the middle.

    Args:
        source: the table, or what is there of it.
        target: the file to write; may be the source.
        suffix: .csv or .jsonl, the form.
        labels: of the model's first output.
        kept: is told the rows of each picture that stays.

    Raises:
        MienError: the table is of another form.
        OSError: it cannot be read or written.
    """
    done = _finished(source, suffix, labels)
    with files.AtomicFile(target) as temporary, source.open("rb") as old, temporary.open("wb") as new:
        begins = _header_of(old, source, labels) if suffix == ".csv" else 0
        old.seek(0)
        new.write(old.read(begins))
        picture: Rows = []
        for line in _whole_lines(old, suffix):
            rows = _rows_of(line, suffix, source, labels)
            if rows[0]["source"] not in done:
                continue
            new.write(line)
            if suffix == ".jsonl":
                kept(rows)
                continue
            if picture and not _is_next_face(picture[-1], rows[0]):
                kept(picture)
                picture = []
            picture += rows
        if picture:
            kept(picture)
    if suffix == ".csv":  # which holds names that are no text in escaped form
        done |= {_ESCAPED.sub(lambda found: chr(int(found[1], 16)), source) for source in done}
    return frozenset(done)


def _finished(path: Path, suffix: str, labels: Sequence[str]) -> set[str]:
    """The sources that were read to their end without an error."""
    done: set[str] = set()
    failed: set[str] = set()
    last = ""
    with path.open("rb") as file:
        if suffix == ".csv":
            _header_of(file, path, labels)
        for line in _whole_lines(file, suffix):
            for row in _rows_of(line, suffix, path, labels):
                last = str(row["source"])
                done.add(last)
                if row["error"]:
                    failed.add(last)
    return done - failed - {last, ""}


def _is_next_face(before: Mapping[str, object], row: Mapping[str, object]) -> bool:
    """Whether two rows of a CSV file are of one picture."""
    same = all(before[name] == row[name] for name in ("source", "frame"))
    return same and str(before["face"]).isdigit() and str(row["face"]) == str(int(str(before["face"])) + 1)


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


def _rows_of(line: bytes, suffix: str, path: Path, labels: Sequence[str]) -> Rows:
    """What a line says: of CSV the row of one face, of JSON Lines those of a picture."""
    try:
        text = line.decode("utf-8")
        if suffix == ".csv":
            values = next(csv.reader(io.StringIO(text, newline="")))
            return [dict(zip((*COLUMNS, *labels), values, strict=True))]
        frame = json.loads(text)
        bare: dict[str, Any] = {
            "source": frame["source"] or "",
            **{name: frame[name] for name in ("frame", "time", "error")},
        }
        faces = [
            {"track": face["track"], "expression": face["expression"], "smoothed": face["smoothed_expression"]}
            for face in frame["faces"]
        ]
        return [bare | {"face": number} | face for number, face in enumerate(faces, start=1)] or [bare]
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError, csv.Error) as error:
        raise MienError(f"{path}: cannot be resumed: {error}") from error
