"""The run folder: what a training leaves on disk.

::

    recipe.yaml   the recipe with all defaults written out
    run.json      code version, data fingerprint, seed, environment, times, state
    history.csv   one row per epoch; of a classical recipe per combination that was tried
    tensorboard/  the same for TensorBoard, if it is installed
    last.pt       everything needed to go on after a kill
    best.pt       the best checkpoint by validation
    pipeline.skops  in place of those two, what a classical recipe has fitted
    model.onnx    the model file
    card.json     in its place, what it would say of itself, where a run is evaluate-only
    predictions/  one table per scored split

Files appear whole or not at all: each is written under another name and renamed.
"""

from __future__ import annotations

import csv
import io
import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import files
from mien.data import protocol
from mien.data.table import Table
from mien.errors import DataError, TrainingError, WriteError, shown
from mien.narrowing import is_object
from mien.recipes import loader as recipes
from mien.recipes.loader import Experiment
from mien.recipes.schema import Recipe

if TYPE_CHECKING:
    import torch


class RunFolder:
    """Paths and atomic writes of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.run = self.path / "run.json"
        self.history = self.path / "history.csv"
        self.last = self.path / "last.pt"
        self.best = self.path / "best.pt"
        self.pipeline = self.path / "pipeline.skops"
        self.model = self.path / "model.onnx"
        self.card = self.path / "card.json"
        self.predictions = self.path / "predictions"

    def check_new(self) -> None:
        """Refuse a folder that holds a run.

        Raises:
            TrainingError: it does.
        """
        if self.run.exists():
            raise TrainingError(
                f"{self.path} already holds a run: add --resume to continue it, or choose another --output"
            )

    def create(self) -> None:
        """Make the folder.

        Raises:
            TrainingError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"cannot make the run folder {self.path}: {error.strerror}") from error

    def write(self, target: Path, content: bytes) -> None:
        """Write a file of the training itself, whole or not at all; others are written by :mod:`mien.files`.

        Raises:
            TrainingError: the disk is full or the folder cannot be written; earlier files are untouched.
        """
        try:
            files.write(target, content)
        except WriteError as error:
            # Which mends a full disk, and nothing that lies in the way.
            resumes = (
                "; what was written before is whole; mien train --resume continues there" if error.__cause__ else ""
            )
            raise TrainingError(f"{error}{resumes}") from error

    def write_state(self, **facts: Any) -> None:
        """Merge facts into ``run.json``."""
        self.write(self.run, json.dumps(self.read_state() | facts, indent=2).encode() + b"\n")

    def read_state(self) -> dict[str, Any]:
        """The content of ``run.json``; empty before the first write.

        Raises:
            TrainingError: it cannot be read.
        """
        try:
            state = json.loads(self.run.read_text(encoding="utf-8"))
            if is_object(state):
                return state
            raise ValueError("no mapping")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TrainingError(f"cannot read {self.run}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise TrainingError(f"{self.run} is not what mien wrote: the run is damaged, train again") from error

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Write ``history.csv`` anew from all rows so far."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        self.write(self.history, text.getvalue().encode())

    def read_history(self) -> list[dict[str, str]]:
        """The rows of ``history.csv``.

        Raises:
            TrainingError: it cannot be read, or is not what mien wrote.
        """
        try:
            text = self.history.read_text(encoding="utf-8")
            rows = list(csv.DictReader(text.splitlines(), strict=True))
        except OSError as error:
            raise TrainingError(f"cannot read {self.history}: {error.strerror}") from error
        except (ValueError, csv.Error) as error:
            raise TrainingError(f"{self.history} is no table: the run is damaged, train again") from error
        whole = all(None not in row and None not in row.values() and row.get("seconds") for row in rows)
        if not rows or not whole or not all(is_number(row["seconds"]) for row in rows):
            raise TrainingError(f"{self.history} is not what mien wrote: the run is damaged, train again")
        return rows

    def whole_epochs(self) -> int:
        """How many epochs the checkpoint holds that a training goes on from; 0 where there is none.

        Raises:
            TrainingError: it is damaged.
        """
        return len(self.load(self.last)["history"]) if self.last.exists() else 0

    def save(self, target: Path, content: dict[str, Any]) -> None:
        """``torch.save`` into a file that appears whole or not at all."""
        import torch

        buffer = io.BytesIO()
        torch.save(content, buffer)
        self.write(target, buffer.getvalue())

    def load(self, source: Path, device: torch.device | str = "cpu", missing: str = "") -> dict[str, Any]:
        """Load a checkpoint of this run; ``missing`` is what to say where there is none.

        Raises:
            TrainingError: it is missing or damaged.
        """
        import torch

        try:
            return torch.load(source, map_location=device, weights_only=True)
        except FileNotFoundError as error:
            said = missing or f"{source} does not exist"
            raise TrainingError(f"{said}: train first, mien train RECIPE --data FILE") from error
        except Exception as error:
            # Not torch's own text, which advises to load what may run code.
            raise TrainingError(
                f"{source} is not a whole checkpoint of mien: remove it to begin anew, or put back its copy"
            ) from error


def is_number(text: str) -> bool:
    """Whether a cell of a table holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def processor() -> str:
    """The processor's name; Linux keeps it where ``platform`` does not look."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def labels(table: Table, recipe: Experiment) -> dict[str, tuple[str, ...]]:
    """Label set to labels of each head.

    Args:
        table: as imported.
        recipe: with or without its label sets named.

    Raises:
        DataError: the table lacks a label set; the message says which change of the recipe or data mends it.
    """
    heads = [head.label_set for head in recipe.for_labels(table.info.label_set).heads]
    lacking = [name for name in heads if name not in table.label_sets]
    if lacking:
        raise DataError(
            f"the recipe {recipe.name} learns {' and '.join(map(repr, lacking))}, and the table"
            f" '{shown(table.info.name)}' has"
            f" only {', '.join(map(repr, table.label_sets))}: {_without(lacking, table, recipe)}"
        )
    return {name: table.label_sets[name] for name in heads}


def _without(lacking: list[str], table: Table, recipe: Experiment) -> str:
    """What to do about label sets that a table lacks."""
    own, network = table.info.label_set, isinstance(recipe, Recipe)
    ways: list[str] = []
    if lacking == ["ferplus"] and own == "fer2013":
        ways.append("import it with FER+'s votes (--ferplus fer2013new.csv)")
        ways += ["train fast-fer2013, which needs none"] if network else []
    elif network and own != "fer2013":
        ways.append("train fine-tune, which takes any labels")
    change = "heads=[{label_set: own}]" if network else "label_set=own"
    return "; or ".join([*ways, f"add --set '{change}'"])


def goes_on(folder: RunFolder, recipe: Experiment, table: Table, *, resume: bool) -> bool:
    """Whether a run of this recipe on this table is in the folder and is to go on.

    Args:
        folder: where the run is to be.
        recipe: with its label sets named.
        table: as imported.
        resume: whether the caller wants to go on; without, the folder must hold no run.

    Raises:
        TrainingError: the folder holds another run, or one that was not to go on.
    """
    if not resume or not folder.run.exists():
        folder.check_new()
        return False
    if not recipe.is_experiment_of(recipes.load(folder.recipe)):
        raise TrainingError(f"{folder.path} holds a run of another recipe: choose another --output")
    if folder.read_state().get("data") != table.fingerprint:
        raise TrainingError(f"{folder.path} was trained on other data: choose another --output")
    return True


def begin(
    folder: RunFolder,
    recipe: Experiment,
    table: Table,
    trained: Table,
    labels: Mapping[str, tuple[str, ...]],
    faces: Mapping[str, int],
    **more: Any,
) -> None:
    """Make the folder and write what the run is.

    Args:
        folder: of the run.
        recipe: with its label sets named.
        table: as imported.
        trained: the same with the splits that the recipe's protocol makes.
        labels: label set to labels.
        faces: split to its number of faces.
        more: facts that only one kind of run has.

    Raises:
        TrainingError: the folder cannot be made or written.
    """
    folder.create()
    folder.write(folder.recipe, recipes.dump(recipe).encode())
    folder.write_state(
        state="running",
        recipe=recipe.name,
        seed=recipe.seed,
        protocol=recipe.data.protocol,
        mark=protocol.mark(recipe.data.protocol, recipe.data.limit),
        data=table.fingerprint,
        data_name=table.info.name,
        data_official=trained.info.official,
        labels=labels,
        faces=faces,
        validation_trained_on=round(protocol.share_trained_on(trained), 4),
        started=now(),
        **more,
    )


def now() -> str:
    """This moment as ``run.json`` writes it, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
