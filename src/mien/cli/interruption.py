"""Ctrl-C and SIGTERM while sources are read: how the reading ends, and the line that says what is kept."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Reached:
    """How the reading ended."""

    interrupted: bool = False


@contextmanager
def interruptible(table: Path | None, *, resumes: bool = False, prints: bool = False) -> Generator[Reached, None, None]:
    """Ctrl-C ends the reading, not the writing: what was read is kept, which is how one leaves a camera.

    SIGTERM ends both: of a .csv or .jsonl the rows stay under their temporary name, of other tables nothing does.

    Args:
        table: the file that is being written, or None.
        resumes: whether the command takes --resume.
        prints: whether there are other outputs than the table, as standard output.
    """
    reached = Reached()
    try:
        yield reached
    except KeyboardInterrupt:
        reached.interrupted = True
        if table or prints:
            _say(f"interrupted: what was read so far is written{'' if prints else f' to {table}'}")
    except SystemExit:  # by SIGTERM; see mien.cli
        if table:
            _say_what_is_left(table, resumes=resumes)
        raise


def _say_what_is_left(table: Path, *, resumes: bool) -> None:
    partial = Path(f"{table}.partial")
    if partial.is_file():
        _say(f"stopped: what was read so far is kept in {partial}{'; --resume continues it' if resumes else ''}")
    elif table.suffix.lower() in (".json", ".parquet"):  # which are written whole or not at all
        _say(f"stopped: {table} is not written")


def _say(message: str) -> None:
    print(f"mien: {message}", file=sys.stderr)
