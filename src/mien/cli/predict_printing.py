"""What ``mien predict`` prints: JSON, CSV, or a table of faces and of the persons of videos."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from mien.errors import printable

if TYPE_CHECKING:
    from mien.outputs.summary import Person, Summary
    from mien.results import Face, Frame

_LINES = 500  # of a table that is held back until its columns are as wide as they must be


class Printer(Protocol):
    """What takes frames one by one."""

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        ...

    def close(self) -> None:
        """Print what was held back."""
        ...


@contextmanager
def printer(form: str | None, labels: Sequence[str], top: int, total: Summary) -> Generator[Printer, None, None]:
    """The printer of a form: json, jsonl, csv, table, or None for nothing. Closed also after Ctrl-C."""
    from mien.outputs import tables

    forms = {"json": tables.Json, "jsonl": tables.JsonLines}
    made: Printer
    if form in forms:
        made = forms[form](sys.stdout)
    elif form == "csv":
        made = tables.Csv(sys.stdout, labels)
    else:
        made = _Table(top, total) if form == "table" else _Nothing()
    try:
        yield made
    finally:
        made.close()


class _Nothing:
    def write(self, frame: Frame) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Table:
    """A line per face of single pictures; of videos, a line per person at the end."""

    def __init__(self, top: int, total: Summary) -> None:
        self._top, self._total = top, total
        self._lines: list[tuple[str, str, str, str]] = []
        self._titled = False

    def write(self, frame: Frame) -> None:
        if frame.index is not None or frame.error is not None:
            return
        source = frame.source or ""
        for number, face in enumerate(frame.faces, start=1):
            self._lines.append((source, *_cells(number, face, self._top)))
        if not frame.faces:
            self._lines.append((source, "-", "", "no face found"))
        if len(self._lines) >= _LINES:
            self._flush()

    def close(self) -> None:
        self._flush()
        if self._total.persons:
            _print_persons(list(self._total.persons.values()), self._top)

    def _flush(self) -> None:
        if not self._lines:
            return
        _print(("picture", "face", "x y w h", "expression"), self._lines, right=(1,), titled=not self._titled)
        self._titled = True
        self._lines.clear()


def _print_persons(persons: list[Person], top: int) -> None:
    lines = [
        (
            person.source or "",
            str(person.track),
            f"{person.first:.1f}-{person.last:.1f} s",
            str(person.frames),
            ", ".join(f"{label} {share:.0%}" for label, share in list(person.shares.items())[:top]),
        )
        for person in persons
    ]
    _print(("video", "person", "seen", "frames", "share of the time"), lines, right=(1, 3))


def _print(
    columns: tuple[str, ...], lines: Sequence[tuple[str, ...]], *, right: tuple[int, ...], titled: bool = True
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=titled)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(printable(cell)) for cell in line))
    console = Console()
    with console.capture() as drawn:
        console.print(table)
    print(drawn.get(), end="")  # by sys.stdout, which a progress bar makes way for


def _cells(number: int, face: Face, top: int) -> tuple[str, str, str]:
    box = " ".join(str(value) for value in face.box.to_list())
    unsure = "unsure: " if face.expression not in face.probabilities else ""
    return str(number), box, unsure + ", ".join(f"{label} {value:.0%}" for label, value in face.top(top))
