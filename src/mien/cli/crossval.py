"""``mien crossval``: train a recipe once for each fold, and say what the folds score together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import notices
from mien.cli.interruption import kept_runs, stoppable
from mien.cli.notices import counted
from mien.errors import require

if TYPE_CHECKING:
    from mien.train.crossval import FoldFigures


def crossval(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    folds: Annotated[int | None, typer.Option(help="Number of folds. [default: the recipe's]", min=2)] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the runs. [default: runs/crossval-RECIPE]")
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a value in all runs: path=value.")] = None,
) -> None:
    """Train a recipe on all folds but one, for each fold in turn; the test split is not read.

    Finished folds are kept and unfinished ones resumed, so the command can be stopped and repeated. Each fold is a run
    with its model file and what it says of the faces it did not train on; figures of all are in folds.csv.
    """
    require("pydantic", "train")
    from mien.recipes import loader as recipes

    recipes.load_network(recipe, changes or ())  # its faults are said before torch is loaded
    require("torch", "train")
    require("lightning_fabric", "train")
    from mien.cli.progress import Display
    from mien.data import protocol, table
    from mien.export import package
    from mien.report import evidence
    from mien.train import crossval as validation

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    console = notices.console()
    specs = validation.plan(recipe, changes or (), folds)
    faces = table.read(data)
    folder = out or Path("runs") / f"crossval-{specs[0].name}"
    mark = protocol.mark(specs[0].data.protocol, specs[0].data.limit)
    if mark:
        console.print(f"protocol {specs[0].data.protocol} is {mark}", highlight=False, soft_wrap=True)
    rows: list[FoldFigures] = []
    with stoppable(lambda: kept_runs(folder)), ExitStack() as bar:
        for spec in specs:

            def begin(fold: int = spec.data.fold, epochs: int = spec.epochs) -> Callable[[Any], None]:
                console.print(f"fold {fold}, {fold + 1} of {len(specs)}", highlight=False)
                return bar.enter_context(Display(console, epochs)).step

            run = validation.train(spec, faces, folder, begin)
            bar.close()
            with notices.doing(f"fold {spec.data.fold}: writing the model file, scoring"):
                if not run.model.exists():
                    package.package(run, faces, run.model)
                answers = evidence.gather(run.path, faces, ("validation",)).predictions["validation"]
            own = validation.figures(spec, run, answers)
            rows += own
            validation.write(rows, folder)
            for row in own:
                print(
                    f"fold {row.fold}, {row.label_set}: top-1 {100 * row.top1:.2f} %, macro-F1 {row.macro_f1:.3f},"
                    f" n = {row.n:,}, epoch {row.best_epoch} of {row.epochs}"
                )
    _print_summary(rows, mark.partition(":")[0])
    if specs[0].data.protocol == "kfold":
        own_folds = " ".join(f"--fold {path}" for path in dict.fromkeys(row.run for row in rows))
        command = f"mien data clean {data} {own_folds} -o clean.parquet"
        console.print(f"labels that the folds contradict: {command}", highlight=False, soft_wrap=True)
    print(folder / "folds.csv")
    notices.done(counted(len(specs), "fold"))


def _print_summary(rows: list[FoldFigures], mark: str) -> None:
    from mien.train.crossval import summary

    for label_set in dict.fromkeys(row.label_set for row in rows):
        count = sum(row.label_set == label_set for row in rows)
        told = [
            f"top-1 {_percent(summary(rows, label_set, 'top1'))}",
            "macro-F1 {:.3f} ± {:.3f}".format(*summary(rows, label_set, "macro_f1")),
            f"top-1 of the last epoch, which no fold chose, {_percent(summary(rows, label_set, 'last_top1'))}",
        ]
        shown = f"{label_set}, mean ± standard deviation over {count} folds: {'; '.join(told)}"
        print(shown + (f" ({mark})" if mark else ""))


def _percent(found: tuple[float, float]) -> str:
    return f"{100 * found[0]:.2f} ± {100 * found[1]:.2f} %"
