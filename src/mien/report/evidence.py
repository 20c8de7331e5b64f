"""What is on record of a run: its folder read, its splits scored, everything checked to belong together.

Answers are read from ``predictions/<split>.parquet`` if they are this model file's on this data, else the model file is
run and they are written there. Owns that check, and refuses to mix what does not match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien import models
from mien.classical import fitted
from mien.data import protocol
from mien.data import table as tables
from mien.data.clean import Outside
from mien.data.table import Table
from mien.errors import DataError, ModelError, TrainingError, shown
from mien.evaluate import predictions
from mien.evaluate.ledger import Ledger
from mien.evaluate.predictions import Predictions
from mien.models import Card
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe
from mien.recipes.loader import Experiment
from mien.report.comparison import Entry
from mien.runs import RunFolder, is_number
from mien.train import faces


@dataclass(frozen=True)
class Evidence:
    """A finished run with the answers of its model file.

    Attributes:
        run: its folder.
        recipe: as it was run.
        state: the content of ``run.json``.
        history: one mapping a finished epoch; columns as ``history.csv`` has them.
        card: of its model file, or of the pipeline of an evaluate-only run.
        table: the data as the recipe's protocol makes it; None where none was given.
        mark: what has to stand beside figures of this protocol; "" for honest ones.
        predictions: split to answers.
    """

    run: RunFolder
    recipe: Experiment
    state: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    card: Card
    table: Table | None
    mark: str
    predictions: Mapping[str, Predictions]

    @property
    def stages(self) -> tuple[int, ...]:
        """Epochs that each stage ran; by the recipe where the history does not say; none of a classical one."""
        if self.history and "stage" in self.history[0]:
            ran = [int(row["stage"]) for row in self.history]
            return tuple(ran.count(stage) for stage in sorted(set(ran)))
        if isinstance(self.recipe, ClassicalRecipe):
            return ()
        return tuple(stage.epochs for stage in self.recipe.stages)

    @property
    def kept(self) -> int | None:
        """The epoch whose weights are in the model file, from 1."""
        return self.card.training.get("best_epoch")


def gather(folder: str | Path, table: Table | None, splits: Sequence[str], ledger: Ledger | None = None) -> Evidence:
    """Read a run and score what is not scored yet.

    Args:
        folder: of a finished run with its model file, or one that is evaluate-only.
        table: the data it was trained on, before any protocol; None to live on what was scored before.
        splits: to score.
        ledger: keeps the look where test is scored; answers that are stored need none.

    Raises:
        TrainingError: the folder holds no finished run, or one of other data.
        ModelError: its model file is missing or damaged.
        DataError: a split is missing, or has to be scored without a table.
    """
    run = RunFolder(folder)
    state = run.read_state()
    if state.get("state") != "finished":
        raise TrainingError(f"{run.path} holds no finished run: mien train RECIPE --data FILE -o {run.path}")
    recipe = recipes.load(run.recipe)
    if table and state["data"] != table.fingerprint:
        raise TrainingError(f"{run.path} was trained on other data than this table of {table.info.name}")
    if not run.model.exists() and not run.card.exists():
        raise ModelError(f"{run.model} is missing: mien export {run.path} --data FILE")
    applied = faces.as_trained(table, recipe) if table else None
    card = models.read_card(run.model) if run.model.exists() else fitted.read_card(run)
    answers = {split: _answers(run, card, applied, split, ledger) for split in splits}
    return Evidence(run, recipe, state, _history(run), card, applied, mark(recipe), answers)


def out_of_fold(folders: Sequence[str | Path], table: Table) -> Outside:
    """What runs of the protocol ``kfold`` say of the faces that they did not train on; of several runs, the mean.

    Args:
        folders: of finished runs, one of each fold or more.
        table: the data they were trained on, before any protocol.

    Raises:
        DataError: a run is of another protocol, or has no head for the table's own labels; and as :func:`gather`.
    """
    sums: dict[int, Any] = {}
    counts: Counter[int] = Counter()
    for folder in folders:
        found = gather(folder, table, ("validation",))
        if found.recipe.data.protocol != "kfold":
            raise DataError(f"{folder} is no run of protocol kfold: its validation faces are nobody's fold")
        scores = [s for s in found.predictions["validation"].scores if s.label_set == table.info.label_set]
        if not scores:
            raise DataError(f"{folder} has no head for the labels '{shown(table.info.label_set)}'")
        for row, probabilities in zip(scores[0].rows.tolist(), scores[0].probabilities.astype(float), strict=True):
            sums[row] = sums.get(row, 0) + probabilities
            counts[row] += 1
    rows = sorted(sums)
    return Outside(np.array(rows, np.int64), np.array([sums[row] / counts[row] for row in rows]))


def mark(recipe: Experiment) -> str:
    """What has to stand beside figures of a recipe's protocol."""
    return protocol.mark(recipe.data.protocol, recipe.data.limit)


def entry(name: str, table: Table | None, split: str, ledger: Ledger | None = None) -> Entry:
    """What ``mien compare`` compares, from a run folder, a predictions table, or a model by name or file.

    Args:
        name: of the folder or file.
        table: to score with; None to live on what was scored before.
        split: that has to be scored.
        ledger: as of :func:`gather`.

    Raises:
        TrainingError, ModelError, DataError: it is none of these, or has to be scored without a table.
    """
    path = Path(name)
    if path.is_dir():
        found = gather(path, table, (split,), ledger)
        seconds = found.state.get("seconds")
        return Entry(name, found.predictions[split], found.recipe.data.protocol, found.state.get("parameters"), seconds)
    if path.suffix == ".parquet":
        scored = predictions.read(path)
        if scored.split != split:
            raise DataError(f"{path} is about the {scored.split} split: add --split {scored.split}")
        return Entry(name, scored)
    model = models.load(name)
    if table is None:
        raise DataError(f"{name} has to be scored: add --data FILE")
    training, data = model.card.training, model.card.recipe.get("data", {})
    scored = predictions.predict(model, table, split, ledger=ledger)
    own = data.get("protocol", "official") if model.card.data.get("fingerprint") == table.fingerprint else None
    return Entry(name, scored, own, training.get("parameters"), training.get("seconds"))


def _answers(run: RunFolder, card: Card, table: Table | None, split: str, ledger: Ledger | None) -> Predictions:
    file = run.predictions / f"{split}.parquet"
    if file.exists():
        found = predictions.read(file)
        own = found.provenance.get("graph_sha256") == card.graph_sha256
        if own and (table is None or found.provenance.get("data_fingerprint") == table.fingerprint):
            return found
    if table is None:
        raise DataError(f"{file} does not hold the answers of {run.model.name}: add --data FILE to have it scored")
    found = predictions.predict(fitted.load(run), table, split, ledger=ledger)
    predictions.write(found, file)
    return found


def _history(run: RunFolder) -> list[dict[str, float]]:
    """The history with numbers for text; cells that are empty are nan, columns with words are left out."""
    rows = run.read_history()
    words = {name for row in rows for name, value in row.items() if value and not is_number(value)}
    return [{name: float(value or "nan") for name, value in row.items() if name not in words} for row in rows]


def read_table(path: Path | None) -> Table | None:
    """The data table of ``--data``, or None."""
    return tables.read(path) if path else None
