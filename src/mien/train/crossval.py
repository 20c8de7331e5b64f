"""Cross-validation: a recipe trained once for each fold, and what the folds score together.

Owns which runs these are and the table of their figures. Each fold is a run of its own, which ``mien report``,
``mien compare`` and ``mien data clean --fold`` take like any other. Refuses protocols without folds, and to choose
among folds.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mien import files
from mien.data.protocol import FOLDED
from mien.data.table import Table
from mien.errors import RecipeError
from mien.evaluate import metrics
from mien.evaluate.predictions import Predictions
from mien.recipes import loader as recipes
from mien.recipes.schema import Recipe
from mien.runs import RunFolder
from mien.train import run, tune


@dataclass(frozen=True)
class FoldFigures:
    """One output on one fold's validation faces; shares are 0-1.

    Attributes:
        fold: from 0.
        label_set: what is scored.
        n: faces with a label.
        top1, macro_f1, balanced_accuracy, ece: of the model file, whose epoch and calibration this fold chose.
        last_top1: of the last epoch, uncalibrated: the figure that nothing was chosen for.
        best_epoch, epochs: whose weights are in the file, counted from 1, and how many there were.
        seconds: of training.
        run: the folder.
    """

    fold: int
    label_set: str
    n: int
    top1: float
    macro_f1: float
    balanced_accuracy: float
    ece: float
    last_top1: float
    best_epoch: int
    epochs: int
    seconds: float
    run: str


def plan(name: str, changes: Sequence[str] = (), folds: int | None = None) -> list[Recipe]:
    """The recipe of each fold.

    Args:
        name: a shipped recipe or a ``.yaml`` file.
        changes: ``path=value`` each.
        folds: how many; None takes the recipe's.

    Raises:
        RecipeError: the recipe has faults, or its protocol has no folds.
    """
    counted = [*changes, *([f"data.folds={folds}", "data.fold=0"] if folds else [])]
    first = recipes.load_network(name, counted)
    if first.data.protocol not in FOLDED:
        raise RecipeError(
            f"protocol {first.data.protocol} has no folds: add --set data.protocol=kfold, which keeps copies and"
            " persons on one side, or kfold-random"
        )
    return [recipes.load_network(name, [*counted, f"data.fold={fold}"]) for fold in range(first.data.folds)]


def train(recipe: Recipe, table: Table, out: Path, begin: Callable[[], Callable[[run.Progress], None]]) -> RunFolder:
    """Train one fold in a folder of its own; a finished run is taken as it is, a half one goes on.

    Args:
        recipe: from :func:`plan`.
        table: the data, as imported.
        out: holds the folds' runs.
        begin: called if there is anything to train; returns what to tell steps.

    Raises:
        TrainingError: the folder holds a run of another recipe or of other data; and as training raises it.
    """
    width = len(str(recipe.data.folds - 1))
    folder = RunFolder(out / f"fold-{recipe.data.fold:0{width}}")
    return tune.trained(recipe.for_labels(table.info.label_set), table, folder, begin)


def figures(recipe: Recipe, folder: RunFolder, answers: Predictions) -> list[FoldFigures]:
    """What a fold scores, one item for each output.

    Args:
        recipe: of the fold.
        folder: its finished run.
        answers: of its model file on its validation faces.

    Raises:
        DataError: no face of the fold has a label.
    """
    history = folder.read_history()
    found = []
    for scores in answers.scores:
        measured = metrics.measure(scores)
        found.append(
            FoldFigures(
                fold=recipe.data.fold,
                label_set=scores.label_set,
                n=measured.n,
                top1=measured.top1,
                macro_f1=measured.macro_f1,
                balanced_accuracy=measured.balanced_accuracy,
                ece=measured.ece,
                last_top1=float(history[-1][f"validation_top1_{scores.label_set}"]),
                best_epoch=folder.load(folder.best)["epoch"],
                epochs=len(history),
                seconds=folder.read_state()["seconds"],
                run=str(folder.path),
            )
        )
    return found


def summary(rows: Sequence[FoldFigures], label_set: str, figure: str) -> tuple[float, float]:
    """Mean and sample standard deviation over the folds of one figure, by its name in :class:`FoldFigures`."""
    values = [float(getattr(row, figure)) for row in rows if row.label_set == label_set]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def write(rows: Sequence[FoldFigures], out: Path) -> Path:
    """Write ``folds.csv`` into a folder, whole or not at all; its path is returned.

    Raises:
        WriteError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(FoldFigures))
    writer.writerows([round(v, 5) if isinstance(v, float) else v for v in astuple(row)] for row in rows)
    target = out / "folds.csv"
    files.write(target, text.getvalue())
    return target
