"""What a network descends from besides its training table: starting weights and teachers, and what those started from.

Each entry is one line for people, as a card carries them under ``training.lineage``; none for a network from scratch
without teachers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien import models
from mien.networks.weights import Loaded
from mien.recipes.schema import Recipe
from mien.runs import RunFolder


def of(recipe: Recipe, loaded: Loaded | None) -> list[str]:
    """The lineage of a run that begins.

    Args:
        recipe: names starting weights and teachers.
        loaded: what the network started from; None for nothing.
    """
    found: list[str] = []
    spec = recipe.network.weights
    if spec is not None and loaded is not None:
        file = spec.file or (f"{spec.hub} of the Hugging Face hub" if spec.hub else None)
        name = spec.run or spec.model
        told = [loaded.lineage or f"{Path(file).name}, of which no more is known"] if file else _of(str(name))
        found += [f"started from {line}" for line in told]
    for teacher in recipe.distillation.teachers if recipe.distillation else ():
        found += [f"learned the answers of {line}" for line in _of(teacher)]
    return list(dict.fromkeys(found))


def _of(name: str) -> Sequence[str]:
    """A run or model and what it descends from itself."""
    run = RunFolder(name)
    if Path(name).is_file() or (name in models.installed() and not run.run.exists()):
        card = models.read_card(name)
        own, further = f"{card.name} {card.version}, trained on {card.data.get('name')}", card.training.get("lineage")
    else:
        state = run.read_state()
        own, further = f"{state.get('recipe')}, trained on {state.get('data_name')}", state.get("lineage")
    return [own, *(further or ())]
