"""Trying values of a recipe: one run per combination, judged on validation alone.

The search is a grid, deliberately: few values, each run whole and kept in a run folder of its own, so that the table
can be read, checked and resumed. For searches over many values, Optuna or Ray Tune drive ``mien train`` as well.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from mien.data.table import Table
from mien.errors import RecipeError, TrainingError, WriteError, shown
from mien.recipes import loader as recipes
from mien.recipes.schema import Recipe
from mien.runs import RunFolder
from mien.train import run


@dataclass(frozen=True)
class Trial:
    """One combination.

    Attributes:
        values: path to value, as given.
        folder: its run.
        epoch: the best one, counted from 1.
        score: selection score of that epoch: mean validation top-1 over the heads, 0-1.
        seconds: that training took.
    """

    values: dict[str, str]
    folder: RunFolder
    epoch: int
    score: float
    seconds: float


def combinations(over: Iterable[str]) -> list[dict[str, str]]:
    """Every combination of values.

    Args:
        over: ``path=a,b,c`` each; commas inside brackets, braces and quotes belong to a value.

    Returns:
        Path to value, the last path varying fastest.

    Raises:
        RecipeError: one is not of that form, or names a path twice.

    >>> combinations(["seed=1,2", "stages.0.epochs=5"])
    [{'seed': '1', 'stages.0.epochs': '5'}, {'seed': '2', 'stages.0.epochs': '5'}]
    """
    choices: dict[str, list[str]] = {}
    for item in over:
        path, equals, text = item.partition("=")
        if not equals or not path or not text:
            raise RecipeError(f"cannot try '{shown(item)}': write path=a,b,c, as in stages.0.learning_rate=0.1,0.01")
        if path in choices:
            raise RecipeError(f"{path} is given twice: put all its values into one --over")
        choices[path] = _split(text)
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def _split(text: str) -> list[str]:
    """Values at the commas of the outermost level; YAML knows which those are."""
    try:
        nodes = yaml.compose(f"[{text}]", Loader=yaml.SafeLoader).value
    except yaml.YAMLError as error:
        raise RecipeError(f"'{shown(text)}' is no list of values in YAML") from error
    return [f"[{text}]"[node.start_mark.index : node.end_mark.index].strip() for node in nodes]


def tune(
    name: str,
    table: Table,
    out: Path,
    over: Sequence[str],
    changes: Sequence[str] = (),
    *,
    begin: Callable[[dict[str, str], int, int], Callable[[run.Progress], None]],
) -> list[Trial]:
    """Train every combination; runs that are finished in ``out`` are taken as they are, half ones go on.

    Args:
        name: a shipped recipe or a ``.yaml`` file.
        table: the data.
        out: holds one run folder per combination.
        over: ``path=a,b,c`` each.
        changes: ``path=value`` each, the same for all.
        begin: told the values, the number of the combination and how many there are; returns what to tell steps.

    Returns:
        The trials, best first.

    Raises:
        RecipeError: the recipe or a combination has faults; nothing is trained then.
        TrainingError, DataError: as training raises them.
    """
    values = combinations(over)
    texts = [[*changes, *(f"{path}={value}" for path, value in one.items())] for one in values]
    specs = [recipes.load_network(name, changed).for_labels(table.info.label_set) for changed in texts]
    trials = []
    for number, (spec, one) in enumerate(zip(specs, values, strict=True), start=1):
        folder = RunFolder(out / _folder_name(one))
        trained(spec, table, folder, lambda one=one, number=number: begin(one, number, len(values)))
        best = folder.load(folder.best)
        seconds = folder.read_state()["seconds"]
        trials.append(Trial(one, folder, best["epoch"], float(best["selection"]), seconds))
    return sorted(trials, key=lambda trial: -trial.score)


def trained(
    spec: Recipe, table: Table, folder: RunFolder, begin: Callable[[], Callable[[run.Progress], None]]
) -> RunFolder:
    """A finished run of a recipe: the one that the folder holds, whole or to be resumed, or a new one.

    Args:
        spec: with label sets named.
        table: the data.
        folder: of the run.
        begin: called if there is anything to train; returns what to tell steps.

    Raises:
        TrainingError: the folder holds a run of another recipe or of other data; and as training raises it.
    """
    state = folder.read_state()
    done = state.get("state") == "finished" and state.get("data") == table.fingerprint
    if not done or not recipes.load_network(folder.recipe).is_experiment_of(spec):
        try:
            run.train(spec, table, folder.path, resume=True, report=begin())
        except TrainingError as error:
            unwritten = error.__cause__
            if not isinstance(unwritten, WriteError):
                raise
            resumes = (
                "; what was written before is whole; the same command continues there" if unwritten.__cause__ else ""
            )
            raise TrainingError(f"{unwritten}{resumes}") from unwritten
    return folder


def _folder_name(values: dict[str, str]) -> str:
    """A readable name that differs where the values do."""
    text = "_".join(f"{path}={value}" for path, value in values.items())
    plain = re.sub(r"[^A-Za-z0-9_.=-]+", "-", text)[:100]
    return plain if plain == text else f"{plain}-{zlib.crc32(text.encode()):08x}"
