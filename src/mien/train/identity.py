"""Which run a folder holds: of which recipe, on which data.

Owns the first words of ``run.json``, alike for networks and classical pipelines, and whether a run may go on there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mien.data import protocol
from mien.data.table import Table
from mien.errors import TrainingError
from mien.train import recipe as recipes
from mien.train.folder import RunFolder
from mien.train.recipe import Experiment


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
        raise TrainingError(f"{folder.path} holds a run of another recipe: choose another --out")
    if folder.read_state().get("data") != table.fingerprint:
        raise TrainingError(f"{folder.path} was trained on other data: choose another --out")
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
