"""How far runs of one recipe lie apart: mean and standard deviation over seeds, or over folds.

Owns which runs are repetitions of each other. Refuses to pick the best of them: that would be selecting by luck.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mien.data.protocol import FOLDED
from mien.evaluate.metrics import measure
from mien.recipes.loader import Experiment
from mien.report.evidence import Evidence

#: The figures whose spread is told, as attributes of ``Figures``.
MEASURED = ("top1", "macro_f1", "balanced_accuracy", "ece")


@dataclass(frozen=True)
class Spread:
    """One output on one split over several runs.

    Attributes:
        split, label_set: what was scored.
        runs: their names, with seed or fold.
        values: name of the figure to its value in each run.
    """

    split: str
    label_set: str
    runs: tuple[str, ...]
    values: dict[str, tuple[float, ...]]

    def mean(self, figure: str) -> float:
        """The mean over the runs."""
        return statistics.mean(self.values[figure])

    def deviation(self, figure: str) -> float:
        """The sample standard deviation over the runs."""
        return statistics.stdev(self.values[figure])


def repeats(a: Experiment, b: Experiment) -> bool:
    """Whether two recipes differ in nothing but seed and fold."""
    return _bare(a) == _bare(b)


def spread(runs: Sequence[Evidence], split: str) -> list[Spread]:
    """The figures of runs that repeat each other, for every label set.

    Args:
        runs: two or more, of one recipe but for seed and fold, with the split scored.
        split: which.
    """
    folded = runs[0].recipe.data.protocol in FOLDED
    names = tuple(
        f"{e.run.path.name}, seed {e.recipe.seed}" + (f", fold {e.recipe.data.fold}" if folded else "") for e in runs
    )
    found = []
    for position, first in enumerate(runs[0].predictions[split].scores):
        figures = [measure(e.predictions[split].scores[position]) for e in runs]
        values = {name: tuple(float(getattr(f, name)) for f in figures) for name in MEASURED}
        found.append(Spread(split, first.label_set, names, values))
    return found


def _bare(recipe: Experiment) -> Experiment:
    data = recipe.data.model_copy(update={"fold": 0})
    return recipe.model_copy(update={"name": "", "description": "", "measured": "", "seed": 0, "data": data})
