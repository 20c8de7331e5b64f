"""A recipe with fewer or more epochs, and the trial of a recipe that shows in a minute or two that everything fits.

Owns how epochs are shared among stages and how few faces a trial takes. Refuses to import torch.
"""

from __future__ import annotations

from mien.errors import RecipeError
from mien.recipes.loader import Experiment
from mien.recipes.schema import Recipe

# Faces of each split in a trial, of pictures of 48 px; of larger ones fewer, so that all take about as long.
_FACES, _SIDE = 512, 48


def with_epochs(recipe: Experiment, epochs: int) -> Recipe:
    """The recipe with this many epochs in all: each stage has at least one, the rest in proportion.

    Warm-ups shrink and grow with their stages.

    Args:
        recipe: of a network.
        epochs: of all stages together.

    Raises:
        RecipeError: there are fewer epochs than stages, or the recipe is of ``kind: classical``.
    """
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{recipe.name} is a classical pipeline and has no epochs: leave --epochs out")
    stages = recipe.stages
    if epochs < len(stages):
        raise RecipeError(
            f"--epochs {epochs}: {recipe.name} has {len(stages)} stages, and each needs an epoch: give {len(stages)}"
            " or more, or try --quick"
        )
    return _staged(recipe, _shared(epochs, [stage.epochs for stage in stages]))


def trial(recipe: Experiment) -> Experiment:
    """The recipe on few faces, one epoch a stage, with its own network, batches and starting weights.

    It is called ``NAME-quick``; ``data.limit`` marks its figures wherever they stand.
    """
    named = recipe.model_copy(update={"name": f"{recipe.name}-quick"})
    faces = round(_FACES * min(1.0, (_SIDE / recipe.data.size) ** 2))
    if isinstance(named, Recipe):
        named = _staged(named, [1] * len(named.stages))
        faces = max(faces, 2 * max(stage.batch_size for stage in named.stages))
    return named.model_copy(update={"data": recipe.data.model_copy(update={"limit": faces})})


def _shared(epochs: int, shares: list[int]) -> list[int]:
    """One for each stage and the rest by largest remainder.

    >>> _shared(10, [58, 16])
    [7, 3]
    """
    weights = [share - 1 for share in shares]
    weights = weights if any(weights) else [1] * len(shares)
    exact = [(epochs - len(shares)) * weight / sum(weights) for weight in weights]
    counts = [1 + int(part) for part in exact]
    for place in sorted(range(len(exact)), key=lambda k: int(exact[k]) - exact[k])[: epochs - sum(counts)]:
        counts[place] += 1
    return counts


def _staged(recipe: Recipe, counts: list[int]) -> Recipe:
    stages = tuple(
        stage.model_copy(update={"epochs": count, "warmup_epochs": stage.warmup_epochs * count / stage.epochs})
        for stage, count in zip(recipe.stages, counts, strict=True)
    )
    return recipe.model_copy(update={"stages": stages})
