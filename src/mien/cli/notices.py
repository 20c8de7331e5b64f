"""What a command says beside its result, all of it on stderr: notes, progress, and a closing line.

``--quiet`` silences them, ``--verbose`` adds where an error came from. No option silences errors. The bar and what is
being done show on a terminal only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from mien.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


@dataclass
class _Asked:
    """What the command was told, and when."""

    quiet: bool = False
    verbose: bool = False
    began: float = field(default_factory=time.monotonic)


_asked = _Asked()


def begin() -> None:
    """Forget what the last command was told: this one begins."""
    _asked.quiet, _asked.verbose, _asked.began = False, False, time.monotonic()


def _set_quiet(value: bool) -> None:
    _asked.quiet |= value  # it may have been said before the name of a subcommand


def _set_verbose(value: bool) -> None:
    _asked.verbose |= value


def options(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="No notes, progress or closing line; errors are still said.",
            callback=_set_quiet,
            expose_value=False,
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Where an error came from, too.",
            callback=_set_verbose,
            expose_value=False,
        ),
    ] = False,
) -> None:
    """The options of every command; :mod:`mien.cli.verbs` adds them."""


def is_verbose() -> bool:
    """Whether an error is to be shown with where it came from."""
    return _asked.verbose


def note(message: str) -> None:
    """Say what a user should know, in one line."""
    say(f"note: {message}")


def say(message: str) -> None:
    """Say what was done, in one line."""
    if not _asked.quiet:
        tell(message)


def tell(message: object, kept: str = "") -> None:
    """Say something on stderr whether or not that is to be quiet: an error, or what is kept of a stopped command.

    Args:
        message: with names of files, which may hold anything; what does not print is escaped.
        kept: letters that are not escaped all the same, as the line breaks of a list of faults.
    """
    with suppress(OSError):  # nobody reads it, or the disk is full: no reason to break off the work
        print(f"mien: {printable(str(message), kept)}", file=sys.stderr)


def done(what: str, *written: object) -> None:
    """The closing line: what was done, the seconds since the command began, and the files that stdout does not name."""
    seconds = time.monotonic() - _asked.began
    files = ", ".join(str(path) for path in written if path)
    say(f"done: {what} in {seconds:.1f} s{f'; written: {files}' if files else ''}")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "face"), counted(1200, "face")
    ('1 face', '1,200 faces')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def console() -> Console:
    """Where notes, bars and what is being done are shown."""
    from rich.console import Console

    return Console(stderr=True, quiet=_asked.quiet, markup=False)  # names may have brackets


def on_terminal() -> bool:
    """Whether bars show."""
    shown = console()
    return shown.is_terminal and not shown.quiet


@contextmanager
def doing(what: str) -> Generator[Callable[[str], None], None, None]:
    """Show what is being done, where it cannot be said how much of it there is; yields what changes the words."""
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with _bar(SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()) as bar:
        number = bar.add_task(what, total=None)
        yield lambda what: bar.update(number, description=what)


@contextmanager
def progress(task: str) -> Generator[Callable[..., None], None, None]:
    """A bar, gone when the work is done; yields what is told the work done, all there is, and other words."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with _bar(*columns) as bar:
        number = bar.add_task(task, total=None)

        def tell(done: float, total: float | None, words: str = task) -> None:
            bar.update(number, completed=done, total=total, description=words)

        yield tell


def _bar(*columns: ProgressColumn) -> Progress:
    from rich.progress import Progress

    # What is printed meanwhile goes above the bar; never what goes into a file or another program.
    return Progress(
        *columns,
        console=console(),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=not on_terminal(),
    )
