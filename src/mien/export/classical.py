"""A fitted pipeline on its way to a model file: what is exported, and what the file has to agree with.

:mod:`mien.classical.to_torch` owns which pipelines ONNX expresses; the file itself is made as a network's is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mien.classical import features, to_torch
from mien.classical.fit import chosen, restore
from mien.errors import ExportError
from mien.recipes.classical_schema import ClassicalRecipe
from mien.runs import RunFolder

Answers = Callable[[torch.Tensor], dict[str, torch.Tensor]]


def open_pipeline(run: RunFolder) -> tuple[ClassicalRecipe, nn.Module, Answers]:
    """What a model file of a classical run is made of.

    Returns:
        The recipe with the values that its search chose, the pipeline as a torch module, and what scikit-learn
        itself answers, pixels uint8 (N, 1, S, S) to logits.

    Raises:
        ExportError: the pipeline is evaluate-only; the message says why.
        TrainingError, ModelError: there is no pipeline, or its file is damaged.
    """
    recipe, pipeline = chosen(run), restore(run)
    reason = to_torch.obstacle(recipe, pipeline)
    if reason:
        raise ExportError(f"{run.path} is evaluate-only: {reason}; mien evaluate, report and compare take the folder")
    compute = features.build(recipe.features)

    def answers(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        found = features.compute(compute, pixels.numpy()[:, 0])
        return {recipe.label_set: torch.from_numpy(pipeline.logits(found))}

    return recipe, to_torch.module(recipe, pipeline), answers
