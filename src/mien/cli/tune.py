"""``mien tune``: try values of a recipe, each in a run of its own, judged on validation."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid

from mien.cli import notices
from mien.cli.interruption import kept_runs, stoppable
from mien.cli.notices import counted
from mien.errors import require

if TYPE_CHECKING:
    from mien.train.tune import Trial


def tune(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    over: Annotated[list[str], typer.Option("--over", help="Values to try: path=a,b,c; repeated, all combinations.")],
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the runs. [default: runs/tune-RECIPE]")
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a value in all runs: path=value.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Train a recipe with each combination of values and rank them by validation; the test split is not read.

    Finished runs are kept and unfinished ones resumed, so the command can be stopped and repeated, also with more
    values.
    """
    require("pydantic", "train")
    from mien.recipes import loader as recipes

    spec = recipes.load_network(recipe, changes or ())  # its faults are said before torch is loaded
    require("torch", "train")
    require("lightning_fabric", "train")
    from mien.cli.progress import Display
    from mien.data import table
    from mien.train import tune as search

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    console = notices.console()
    folder = out or Path("runs") / f"tune-{spec.name}"

    def begin(values: dict[str, str], number: int, count: int) -> Callable[[Any], None]:
        shown = ", ".join(f"{path} = {value}" for path, value in values.items())
        bar.close()
        console.print(f"{number}/{count}: {shown}", highlight=False, soft_wrap=True)
        return bar.enter_context(Display(console, spec.epochs)).step

    with stoppable(lambda: kept_runs(folder)), ExitStack() as bar:
        trials = search.tune(recipe, table.read(data), folder, over, changes or (), begin=begin)
    _print(trials, markdown)
    notices.done(counted(len(trials), "run"))


def _print(trials: list[Trial], markdown: bool) -> None:
    paths = list(trials[0].values)
    header = [*paths, "validation top-1 %", "best epoch", "seconds", "run"]
    rows = [
        [*t.values.values(), f"{100 * t.score:.2f}", str(t.epoch), f"{t.seconds:.0f}", str(t.folder.path)]
        for t in trials
    ]
    if markdown:
        lines = [header, ["---"] * len(header), *rows]
        print("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
    else:
        grid = Grid(*(Column(name, overflow="fold") for name in header))
        for row in rows:
            grid.add_row(*row)
        Console(markup=False).print(grid)
    scores = [100 * t.score for t in trials]
    if len(scores) > 1:
        mean, spread = statistics.fmean(scores), statistics.stdev(scores)
        print(f"mean {mean:.2f}, standard deviation {spread:.2f}, n = {len(scores)} runs")
