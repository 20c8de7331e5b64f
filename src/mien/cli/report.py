"""``mien report``: the page of a run that a reviewer can trust."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.options import Bins, By, LedgerFile, Overwrite, Persons, Why, check_free, ledger_for
from mien.errors import DataError, require

if TYPE_CHECKING:
    from mien.report.evidence import Evidence


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of finished trainings.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="The table they were trained on; without it there are no pictures.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Also score the test split; the page says so.")] = False,
    views: Annotated[
        bool, typer.Option("--views/--no-views", help="Also score flip and ten-crop: thirteen passes over each split.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for the page; with several runs, one folder each. [default: RUN/report]"
        ),
    ] = None,
    ledger: LedgerFile = None,
    why: Why = "",
    overwrite: Overwrite = False,
    by: By = None,
    bins: Bins = 3,
    persons: Persons = None,
) -> None:
    """Write one self-contained HTML page and its pictures for each run, with the spread over runs of one recipe.

    mien report runs/default --data fer2013.parquet
    """
    require("torch", "train")
    from mien.report import evidence, page
    from mien.report.spread import repeats

    splits = ("validation", "test") if test else ("validation",)
    targets = _targets(runs, out)
    look = ledger_for("test", ledger, why) if ledger or why else None  # stored answers need none
    look = look.about("report") if look else None
    check_free(*(target / page.FILE for target in targets), overwrite=overwrite, option="-o")
    table = evidence.read_table(data)
    found: list[Evidence] = []
    with notices.doing("reading") as tell:
        for run in runs:
            tell(f"{run}: reading predictions, scoring what is missing")
            found.append(evidence.gather(run, table, splits, look))
        for one, target in zip(found, targets, strict=True):
            siblings = [other for other in found if repeats(other.recipe, one.recipe)]
            say = partial(_say, tell, one.run.path)
            typer.echo(page.write(page.Request(one, target, siblings, data, views, say, look, by or (), bins, persons)))
    notices.done(counted(len(found), "page"))


def _say(tell: Callable[[str], None], run: Path, doing: str) -> None:
    tell(f"{run}: {doing}")


def _targets(runs: list[Path], out: Path | None) -> list[Path]:
    """A folder for each page."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise DataError("a run is given twice: name each once")
    if out is None:
        return [run / "report" for run in runs]
    if len(runs) == 1:
        return [out]
    if len({run.resolve().name for run in runs}) < len(runs):
        raise DataError("two of the run folders have the same name: leave out -o, so that each keeps its page")
    return [out / run.resolve().name for run in runs]
