"""Ctrl-C and SIGTERM while a command works: how the work ends, and the line that says what is kept."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.notices import tell
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.runs import RunFolder


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
            tell(f"interrupted: what was read so far is written{'' if prints else f' to {table}'}")
    except SystemExit:  # by SIGTERM; see mien.cli
        if table:
            _say_what_is_left(table, resumes=resumes)
        raise


@contextmanager
def stoppable(kept: Callable[[], str], *, speaks: bool = True) -> Generator[None, None, None]:
    """Ctrl-C and SIGTERM end the work, with one line that says what is kept; exit code 130 or 143.

    Args:
        kept: asked once the work is stopped.
        speaks: whether this process prints; of several that work together only one does.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as ended:  # the latter by SIGTERM; see mien.cli
        if speaks:
            try:
                tell(f"stopped: {kept()}")
            except MienError as error:  # a run that was damaged before
                tell(f"stopped: {error}")
        if isinstance(ended, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise


def kept_run(folder: RunFolder) -> str:
    """What a stopped training has kept, and how it goes on."""
    if not folder.run.exists():
        return "nothing is kept yet"
    how = f"in {folder.path}; add --resume to continue there"
    if folder.pipeline.exists():
        return f"the combinations that were fitted are kept {how}"
    epochs = folder.whole_epochs()
    return f"epoch {epochs} is kept {how}" if epochs else f"no epoch was whole yet {how}"


def kept_runs(folder: Path) -> str:
    """What a stopped command of several trainings has kept, and how it goes on."""
    from mien.runs import RunFolder

    runs = [RunFolder(path.parent) for path in sorted(folder.glob("*/run.json"))]
    half = [run for run in runs if run.read_state().get("state") != "finished"]
    begun = "".join(f", {run.path.name} up to epoch {run.whole_epochs()}" for run in half)
    whole = len(runs) - len(half)
    count = "1 run is finished" if whole == 1 else f"{whole} runs are finished"
    return f"{count} in {folder}{begun}; the same command continues"


def _say_what_is_left(table: Path, *, resumes: bool) -> None:
    partial = Path(f"{table}.partial")
    if partial.is_file():
        tell(f"stopped: what was read so far is kept in {partial}{'; --resume continues it' if resumes else ''}")
    elif table.suffix.lower() in (".json", ".parquet"):  # which are written whole or not at all
        tell(f"stopped: {table} is not written")
