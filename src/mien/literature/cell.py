"""One cell of the board: the run that stands for it, what it measured, and what has to be said beside that.

Figures come from predictions tables and ``run.json``, never from a recipe's words. Owns which run counts as the cell,
and how it differs from what the list asks for. Refuses to score the test split: test figures are there where
``predictions/test.parquet`` is.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.classical import fitted
from mien.data.table import Table
from mien.errors import MienError
from mien.evaluate import predictions
from mien.evaluate.metrics import measure
from mien.evaluate.predictions import Predictions, Scores
from mien.literature.systems import BoardList, Cell, Row
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe
from mien.recipes.commands import differences, train_command
from mien.recipes.schema import Recipe
from mien.report import evidence
from mien.report.evidence import Evidence
from mien.runs import RunFolder


@dataclass(frozen=True)
class Score:
    """What a cell scores: faces, and shares of 0-1, the 95 % interval of top-1 among them."""

    n: int
    top1: float
    interval: tuple[float, float]
    macro_f1: float
    balanced_accuracy: float

    @classmethod
    def of(cls, scores: Scores | None) -> Score | None:
        """Those of the figures of an output that the board shows; None of none."""
        if scores is None:
            return None
        found = measure(scores)
        return cls(found.n, found.top1, found.interval, found.macro_f1, found.balanced_accuracy)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run says of a cell.

    Attributes:
        rerun: command that makes this very run again, where it was run with other values than the list has; else the
            cell's own.
        validation, test: figures on the list's label set; None where not scored.
        parameters, seconds, hardware: of network and training; None or empty where not recorded.
        epochs: that ran, and that the recipe as shipped has; None where there are none.
        milliseconds: a face, one thread; None where there is no model file or it was not timed.
        protocol, mark: by which data were split, and what must stand beside its figures.
        remarks: what a reader has to know, in order.
    """

    rerun: str = ""
    validation: Score | None = None
    test: Score | None = None
    parameters: int | None = None
    seconds: float | None = None
    hardware: str = ""
    epochs: tuple[int, int] | None = None
    milliseconds: float | None = None
    protocol: str = ""
    mark: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Filled(Measured):
    """One cell of the board.

    Attributes:
        row, cell: of the list.
        command: that makes the run, as the list has it.
        path: of its folder.
        state: ``finished``, ``unfinished``, ``absent`` or ``unreadable``.
        kind: ``classical``, ``network``, ``ensemble`` or ``own``.
        recorded: what it says was measured for an earlier board, since the run is not at hand.
    """

    row: Row
    cell: Cell
    command: str
    path: Path
    state: str = "absent"
    kind: str = "network"
    recorded: bool = False

    @property
    def model(self) -> Path | None:
        """Its model file, if it has one."""
        file = RunFolder(self.path).model
        return file if self.state == "finished" and not self.recorded and file.exists() else None


@dataclass(frozen=True)
class Source:
    """Where cells are looked for.

    Attributes:
        runs: the folder of run folders.
        table: the board's data; None to live on what was scored before.
        data: what commands call it.
        say: told what is being done.
    """

    runs: Path
    table: Table | None
    data: str
    say: Callable[[str], None] = field(default=lambda doing: None)


def look(source: Source, row: Row, cell: Cell) -> Filled:
    """The cell with no more than its state: nothing is scored.

    Raises:
        RecipeError: it names a recipe that there is not, or sets what that does not have.
    """
    path = source.runs / cell.run
    command = cell.command(source.runs, source.data)
    blank = Filled(row=row, cell=cell, command=command, path=path, kind=_kind(row, cell), rerun=command)
    if cell.ensemble:
        return replace(blank, state="finished") if (path / "validation.parquet").exists() else blank
    folders = [file.parent for file in sorted(path.glob("*/run.json"))] if cell.folds else [path]
    try:
        states = [RunFolder(folder).read_state().get("state") for folder in folders]
    except MienError as error:
        return replace(blank, state="unreadable", remarks=(f"cannot be read: {error}",))
    if "finished" in states:
        return replace(blank, state="finished")
    started = any(states)
    return replace(blank, state="unfinished", remarks=("begun, not finished",)) if started else blank


def measured(board: BoardList, source: Source, cell: Filled) -> Filled:
    """The finished cell with its figures; one that cannot be read is told as such."""
    measure_it = _ensemble if cell.cell.ensemble else _folds if cell.cell.folds else _run
    try:
        return measure_it(board, source, cell)
    except MienError as error:
        return replace(cell, state="unreadable", remarks=(f"cannot be read: {error}",))


def _kind(row: Row, cell: Cell) -> str:
    """Of a point in the plot; the recipe is read even where it does not matter, so that a wrong one shows."""
    if cell.recipe is None:
        return "ensemble"
    classical = isinstance(recipes.load(cell.recipe, cell.changes), ClassicalRecipe)
    return "own" if row.own else "classical" if classical else "network"


def _run(board: BoardList, source: Source, blank: Filled) -> Filled:
    state = RunFolder(blank.path).read_state()
    elsewhere = source.table is not None and state.get("data") != source.table.fingerprint
    found = evidence.gather(blank.path, None if elsewhere else source.table, () if elsewhere else ("validation",))
    if elsewhere and source.table:
        answers = predictions.predict(fitted.load(found.run), source.table, "validation")
    else:
        answers = found.predictions["validation"]
    scores = _of(answers, board.label_set)
    tested = None if elsewhere else _test(found.run.predictions / "test.parquet", answers, board.label_set)
    remarks = [f"trained on {state.get('data_name')}, not on the board's table"] if elsewhere else []
    if scores is None:
        remarks.append(f"no figures: it was not scored on {board.label_set} labels")
    return replace(
        _described(blank, source, found, tuple(remarks)),
        validation=Score.of(scores),
        test=Score.of(tested),
    )


def _described(blank: Filled, source: Source, found: Evidence, remarks: tuple[str, ...]) -> Filled:
    """What ``run.json``, the history and the recipe say, and how the run differs from its cell."""
    state, cell = found.state, blank.cell
    assert cell.recipe
    ran: Any = found.recipe
    folded = [f"data.folds={cell.folds}"] if cell.folds else []
    labels = ran.heads[0].label_set
    listed: Any
    shipped: Any
    shipped, listed = (
        recipes.load(cell.recipe, changes).for_labels(labels) for changes in (folded, [*folded, *cell.changes])
    )
    dumps = [one.model_dump(mode="json") for one in (shipped, listed, ran)]
    rerun = blank.command
    epochs = (len(found.history), shipped.epochs) if isinstance(shipped, Recipe) else None
    if differences(dumps[1], dumps[2]):
        changed = differences(dumps[0], dumps[2])
        rerun = train_command(cell.recipe, changed, cell.data or source.data, str(blank.path), cell.folds)
        remarks += (f"run with {', '.join(differences(dumps[1], dumps[2]))}",)
    if epochs and ran.epochs < shipped.epochs:
        remarks = (f"cut short: {ran.epochs} of {shipped.epochs} epochs", *remarks)
    return replace(
        blank,
        rerun=rerun,
        parameters=state.get("parameters"),
        seconds=state.get("seconds"),
        hardware=_hardware(state.get("environment", {})),
        epochs=epochs,
        protocol=ran.data.protocol,
        mark=found.mark,
        remarks=(*remarks, *_told(state)),
    )


def _told(state: Mapping[str, Any]) -> tuple[str, ...]:
    """What classical runs record besides: the values that validation chose, faces without features, why no file."""
    said: list[str] = []
    if values := state.get("chosen", {}).get("values"):
        said.append(f"validation chose {', '.join(f'{path} = {value}' for path, value in values.items())}")
    if absent := state.get("without_features", {}).get("validation"):
        count = state["faces"]["validation"]
        said.append(f"{absent:,} of {count:,} validation faces have no features: the class prior answers for them")
    if why := state.get("evaluate_only"):
        said.append(f"evaluate-only: {why}")
    return tuple(said)


def _test(file: Path, validation: Predictions, label_set: str) -> Scores | None:
    """Test answers that are there already and are the same model's on the same data; never new ones."""
    if not file.exists():
        return None
    stored = predictions.read(file)
    same = all(stored.provenance.get(k) == validation.provenance.get(k) for k in ("graph_sha256", "data_fingerprint"))
    return _of(stored, label_set) if same else None


def _ensemble(board: BoardList, source: Source, blank: Filled) -> Filled:
    answers = predictions.read(blank.path / "validation.parquet")
    if source.table and answers.provenance.get("data_fingerprint") != source.table.fingerprint:
        return replace(blank, state="unreadable", remarks=("its predictions are of other data",))
    scores = _of(answers, board.label_set)
    tested = _test(blank.path / "test.parquet", answers, board.label_set)
    return replace(
        blank,
        validation=Score.of(scores),
        test=Score.of(tested),
        protocol="official",
        remarks=("members, weights and calibration were chosen on these validation faces",),
    )


def _folds(board: BoardList, source: Source, blank: Filled) -> Filled:
    """A cross-validation: each face answered by the run that did not train on it."""
    parts = [file.parent for file in sorted(blank.path.glob("*/run.json"))]
    finished = [part for part in parts if RunFolder(part).read_state().get("state") == "finished"]
    found = [evidence.gather(part, source.table, ("validation",)) for part in finished]
    scored = [s for e in found if (s := _of(e.predictions["validation"], board.label_set))]
    said = f"{len(finished)} of {blank.cell.folds} folds"
    if len(scored) > 1:
        top1 = [100 * measure(s).top1 for s in scored]
        said += f", top-1 {statistics.fmean(top1):.2f} ± {statistics.stdev(top1):.2f} over the folds"
    whole = _described(blank, source, found[0], ())
    return replace(
        whole,
        validation=Score.of(_joined(scored)) if scored else None,
        seconds=sum(e.state.get("seconds", 0) for e in found),
        remarks=(*whole.remarks, said),
    )


def _joined(parts: Sequence[Scores]) -> Scores:
    columns = ("rows", "truth", "unfiltered", "probabilities")
    return replace(parts[0], **{name: np.concatenate([getattr(p, name) for p in parts]) for name in columns})


def _of(answers: Predictions, label_set: str) -> Scores | None:
    """The scores on a label set; those on others would stand beside what they cannot be compared with."""
    return next((s for s in answers.scores if s.label_set == label_set), None)


def _hardware(environment: dict[str, Any]) -> str:
    device = str(environment.get("device", ""))
    if not device.endswith("CPU"):
        return device
    threads = int(environment.get("threads", 0)) * int(environment.get("processes", 1))
    return f"{environment.get('processor') or device}, {threads} thread{'s' * (threads != 1)}"
