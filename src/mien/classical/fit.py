"""Fitting a classical recipe: a recipe and a table in, a run folder out, of the form that networks have.

Features of a table are computed once for each ``features`` that is tried, in memory; every combination of the search
is fitted to the training faces and judged by validation top-1 alone. The best pipeline so far is on disk before its row
of the history is, so that a run that was killed goes on with the first row that is missing.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import files, runs
from mien.classical import features as computing
from mien.classical import pipeline as pipelines
from mien.classical import to_torch
from mien.classical.pipeline import Pipeline, answerable
from mien.data import scarce
from mien.data.table import Table
from mien.errors import TrainingError, require
from mien.evaluate import calibration
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe
from mien.runs import RunFolder
from mien.train import faces

_LIBRARIES = ("mien", "scikit-learn", "scikit-image", "numpy")


def train(
    recipe: ClassicalRecipe,
    table: Table,
    out: str | Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> RunFolder:
    """Fit every combination of a recipe's search to a table, and keep the one that is best by validation.

    Args:
        recipe: the experiment.
        table: with rows in train and validation and the recipe's label set.
        out: the run folder, made if absent.
        resume: continue the run that the folder holds.
        say: called with what a user should read: what is computed, and what each combination brought.

    Returns:
        The finished run's folder.

    Raises:
        TrainingError: the folder holds another run, a label is absent from training or has no face with features, or
            the disk is full; what was written before is kept.
        RecipeError: the features do not fit the pictures.
        DataError: the table lacks a split or the label set.
        MissingExtraError: a library that the features or the run folder need is not installed.
    """
    with files.alone(out):
        return _Run(recipe, table, RunFolder(out), say).go(resume)


def chosen(run: RunFolder) -> ClassicalRecipe:
    """The recipe of a classical run with the values that its search chose.

    Raises:
        TrainingError: the run is of another kind, or has not fitted anything yet.
    """
    recipe, state = recipes.load(run.recipe), run.read_state()
    if not isinstance(recipe, ClassicalRecipe) or "chosen" not in state:
        raise TrainingError(f"{run.path} holds no fitted pipeline: mien train RECIPE --data FILE -o {run.path}")
    candidates = [candidate for _, candidate in recipe.candidates()]
    return candidates[int(state["chosen"]["candidate"]) - 1]


def restore(run: RunFolder) -> Pipeline:
    """The fitted pipeline of a run.

    Raises:
        TrainingError: there is none yet.
        ModelError: its file is damaged.
    """
    try:
        content = run.pipeline.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read {run.pipeline}: {error.strerror}; mien train --resume mends it") from error
    return pipelines.loads(content, str(run.pipeline))


@dataclass(frozen=True)
class _Split:
    """Faces of one split: grey pictures uint8 (N, S, S) and label indices (N,), -1 for none."""

    pictures: NDArray[np.uint8]
    truth: NDArray[np.int64]


class _Run:
    def __init__(self, recipe: ClassicalRecipe, table: Table, folder: RunFolder, say: Callable[[str], None]) -> None:
        self.recipe = recipe.for_labels(table.info.label_set)
        self.folder, self.say, self.source = folder, say, table
        self.table = faces.as_trained(table, self.recipe)
        self.labels = runs.labels(table, self.recipe)
        self.features: dict[str, NDArray[np.float32]] = {}
        self.computed: Any = None

    def go(self, resume: bool) -> RunFolder:
        require("skops.io", "classical")  # rather than after minutes of fitting
        rows = self._open(resume)
        candidates = list(self.recipe.candidates())
        for line in scarce.warnings(self.table, [self.recipe.label_set]):
            self.say(f"warning: {line}")
        if len(rows) < len(candidates):
            self.splits = {name: self._load(name) for name in ("train", "validation")}
            self._compute(candidates[len(rows)][1])  # what cannot be had leaves no run behind
            if not self.folder.run.exists():
                self._describe()
            for number, (values, spec) in enumerate(candidates, start=1):
                if number > len(rows):
                    rows.append(self._try(number, values, spec, rows))
                    self.folder.write_history(rows)
                    self._tell(rows[-1], values, len(candidates))
        seconds = round(sum(float(row["seconds"]) for row in rows))
        self.folder.write_state(state="finished", finished=runs.now(), seconds=seconds, search=rows)
        return self.folder

    def _open(self, resume: bool) -> list[dict[str, Any]]:
        """Look at the folder; return the rows of the history that are there, none for a new run."""
        if not runs.goes_on(self.folder, self.recipe, self.source, resume=resume):
            return []
        if not self.folder.history.exists() or not self.folder.pipeline.exists():
            return []
        return self.folder.read_history()

    def _load(self, split: str) -> _Split:
        found = faces.load(self.table, split, self.recipe, torch.device("cpu"))
        targets = found.targets[self.recipe.label_set].numpy()
        truth = np.where(targets.sum(axis=1) > 0, targets.argmax(axis=1), -1)
        if split != "train":  # selection sees what figures are of: the label set's own rule
            truth = found.truth[self.recipe.label_set].numpy()
        return _Split(found.pixels.numpy()[:, 0], truth.astype(np.int64))

    def _describe(self) -> None:
        runs.begin(
            self.folder,
            self.recipe,
            self.source,
            self.table,
            self.labels,
            {name: len(split.truth) for name, split in self.splits.items()},
            kind="classical",
            environment=_environment(),
        )

    def _compute(self, spec: ClassicalRecipe) -> None:
        """Features of both splits, unless they are those of the combination before."""
        if spec.features == self.computed:
            return
        compute = computing.build(spec.features)
        for name, split in self.splits.items():
            self.say(f"{spec.features.kind} features of {len(split.truth):,} {name} faces")
            self.features[name] = computing.compute(compute, split.pictures)
            absent = self._absent()[name]
            if absent:
                self.say(
                    f"{absent:,} of {len(split.truth):,} {name} faces have no features:"
                    + (" they are left out of fitting" if name == "train" else " the class prior answers for them")
                )
        self.computed = spec.features

    def _absent(self) -> dict[str, int]:
        return {name: int((~answerable(found)).sum()) for name, found in self.features.items()}

    def _try(
        self, number: int, values: dict[str, Any], spec: ClassicalRecipe, rows: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Fit one combination; keep it if validation likes it better than those before."""
        started = time.perf_counter()
        self._compute(spec)
        label_set, train, validation = spec.label_set, self.splits["train"], self.splits["validation"]
        count = len(self.labels[label_set])
        fitted = pipelines.fit(spec, self.features["train"], train.truth, count, torch.get_num_threads())
        logits, known = fitted.logits(self.features["validation"]), validation.truth >= 0
        top1 = round(float((logits.argmax(axis=1) == validation.truth)[known].mean()), 5)
        column = f"validation_top1_{label_set}"
        if all(top1 > float(row[column]) for row in rows):
            self._keep(number, values, spec, fitted, logits)
        return {
            "candidate": number,
            **values,
            column: top1,
            "converged": int(fitted.converged),
            "seconds": round(time.perf_counter() - started, 1),
        }

    def _keep(
        self,
        number: int,
        values: dict[str, Any],
        spec: ClassicalRecipe,
        fitted: Pipeline,
        logits: NDArray[np.float64],
    ) -> None:
        """Pipeline first, then what is said of it: the calibration is of faces that have features."""
        found = answerable(self.features["validation"])
        judged = calibration.fit(logits[found], self.splits["validation"].truth[found])
        self.folder.write(self.folder.pipeline, pipelines.dumps(fitted))
        self.folder.write_state(
            chosen={"candidate": number, "values": values},
            calibration=judged.to_dict(),
            without_features=self._absent(),
            features=self.features["train"].shape[1],
            parameters=to_torch.parameters(spec, fitted),
        )

    def _tell(self, row: dict[str, Any], values: dict[str, Any], count: int) -> None:
        said = ", ".join(f"{path} = {value}" for path, value in values.items()) or self.recipe.classifier.kind
        top1 = 100 * row[f"validation_top1_{self.recipe.label_set}"]
        late = "" if row["converged"] else ", not converged"
        self.say(f"{row['candidate']}/{count}: {said}: validation top-1 {top1:.2f} %, {row['seconds']:.1f} s{late}")


def _environment() -> dict[str, Any]:
    """What a reader of ``run.json`` needs to judge times and figures."""
    found: dict[str, Any] = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except ModuleNotFoundError:  # scikit-image, where no feature needs it
            continue
    return found | {
        "python": platform.python_version(),
        "device": f"{platform.machine()} CPU",
        "processor": runs.processor(),
        "threads": torch.get_num_threads(),
    }
