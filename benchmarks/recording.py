"""What benchmarks have in common: their arguments, Markdown tables, and figures written where they are asked to be."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def parser(
    words: str | None,
    *,
    data: bool | None = None,
    faces: int | None = None,
    seed: int | None = None,
    record: bool = True,
    table: str | None = None,
) -> argparse.ArgumentParser:
    """A parser with the arguments that many benchmarks take.

    Args:
        words: what it says of itself, as it is laid out: ``__doc__``.
        data: whether the table of FER2013 must be named; None: the benchmark takes none.
        faces, seed: how many faces are drawn, and by which seed, where nothing else is said; None: no such option.
        record: ``--record``, a file for the figures.
        table: the page that shows the figures, for ``--table``, which prints those of such a file.
    """
    made = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    if data is not None:
        said = "FER2013 as `mien data import fer2013` writes it"
        made.add_argument("data", type=Path, nargs=None if data else "?", help=said)
    if faces is not None:
        made.add_argument("--faces", type=int, default=faces, help=f"how many, at random; else {faces}")
    if seed is not None:
        made.add_argument("--seed", type=int, default=seed)
    if record:
        made.add_argument("--record", type=Path, help="write the figures into this JSON file as well")
    if table is not None:
        made.add_argument("--table", type=Path, help=f"print what {table} shows of such a file")
    return made


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown.

    >>> print(markdown(("", "n"), [("a", 1), ("", 2)]))
    | | n |
    |---|---|
    | a | 1 |
    | | 2 |
    """
    lines = [_line(head), "|---" * len(head) + "|", *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Iterable[object]) -> str:
    return "|" + "".join(f" {cell} |" if cell != "" else " |" for cell in cells)


def read(path: Path) -> Any:
    """Figures that were written."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path | None, figures: Any, indent: int = 1) -> None:
    """Write figures as JSON where a file is given."""
    if path:
        path.write_text(json.dumps(figures, indent=indent) + "\n", encoding="utf-8")


def show(figures: Any, path: Path | None) -> None:
    """Print figures as JSON, and write them where a file is given."""
    print(json.dumps(figures, indent=1))
    write(path, figures)


def record(figures: Any, path: Path | None, **more: Any) -> None:
    """As :func:`show`, with the command's arguments and whatever else before the figures."""
    show({"command": sys.argv[1:], **more, "figures": figures}, path)
