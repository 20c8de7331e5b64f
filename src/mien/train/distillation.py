"""Distillation: a network learns from what finished runs or model files answer to the very faces it is shown.

Hinton et al. 2015, "Distilling the knowledge in a neural network"; the teachers see each face as it was augmented
(Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent"). Owns the teachers and their
loss. Refuses to train them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from mien import models
from mien.errors import TrainingError
from mien.networks import build, weights
from mien.networks.build import Classifier
from mien.recipes import loader as recipes
from mien.recipes.schema import Recipe
from mien.runs import RunFolder
from mien.train import devices


class Teachers:
    """The mean answer of several finished runs and models.

    Args:
        recipe: of the student; its ``distillation`` names the teachers.
        labels: label set to labels of the student's heads.
        fabric: drives device and precision.

    Raises:
        TrainingError: a teacher is neither a finished run nor a model with a network in it, sees color where the
            student sees grey or the other way round, or has none of its heads.
        RecipeError: a teacher is a classical run.
        ModelError: a teacher's model file is damaged.
    """

    def __init__(self, recipe: Recipe, labels: Mapping[str, Sequence[str]], fabric: Fabric) -> None:
        spec = recipe.distillation
        assert spec is not None
        self.spec, self._fabric = spec, fabric
        self._weights = {head.label_set: head.weight for head in recipe.heads}
        self._networks: list[tuple[torch.nn.Module, float, tuple[str, ...]]] = []
        for name in spec.teachers:
            network, own, theirs = _teacher(name)
            if own.data.color != recipe.data.color:
                raise TrainingError(
                    f"distillation: the teacher {name} sees {own.data.color} faces, the student {recipe.data.color}"
                    " ones: make data.color equal"
                )
            shared = tuple(label_set for label_set in labels if theirs.get(label_set) == tuple(labels[label_set]))
            if not shared:
                raise TrainingError(f"distillation: the teacher {name} has none of the labels {', '.join(labels)}")
            network = devices.placed(network.requires_grad_(False), fabric.device, torch.channels_last)
            self._networks.append((network, own.data.size / recipe.data.size, shared))

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        """What the teachers say of faces: label set to float32 (N, K), softened, rows summing to 1.

        Args:
            pixels: as the student sees them, float (N, C, H, W) in 0-1; a teacher of another size sees them scaled.
        """
        answers: dict[str, list[Tensor]] = {}
        for network, scale, shared in self._networks:
            with self._fabric.autocast():
                logits = network(_scaled(pixels, scale))
            for name in shared:
                answers.setdefault(name, []).append(torch.softmax(logits[name].float() / self.spec.temperature, dim=1))
        return {name: torch.stack(found).mean(dim=0) for name, found in answers.items()}

    def blend(self, loss: Tensor, logits: Mapping[str, Tensor], answers: Mapping[str, Tensor], n: int) -> Tensor:
        """The heads' loss and the divergence from the teachers in one scalar.

        Args:
            loss: of the heads to their own targets.
            logits: label set to float (N, K), of the student.
            answers: from the call, of the same faces.
            n: faces of the whole step, over all processes.
        """
        temperature, weight = self.spec.temperature, self.spec.weight
        total = (1 - weight) * loss
        for name, wanted in answers.items():
            said = torch.log_softmax(logits[name].float() / temperature, dim=1)
            divergence = (wanted * (wanted.clamp(min=1e-12).log() - said)).sum() / n
            total = total + weight * self._weights[name] * temperature**2 * divergence
        return total


def _scaled(pixels: Tensor, scale: float) -> Tensor:
    """Pictures (N, C, H, W) enlarged or reduced to the scale of another network."""
    if scale == 1:
        return pixels
    height, width = (round(side * scale) for side in pixels.shape[2:])
    return functional.interpolate(pixels, (height, width), mode="bilinear", antialias=scale < 1)


def _teacher(name: str) -> tuple[Classifier, Recipe, dict[str, tuple[str, ...]]]:
    """A teacher's network in evaluation mode, its recipe and the labels of its heads."""
    run = RunFolder(name)
    if Path(name).is_file() or (name in models.installed() and not run.run.exists()):
        return weights.of_model(name)
    state = run.read_state()
    if state.get("state") != "finished":
        raise TrainingError(
            f"distillation: {name} is neither a finished run nor a model, installed"
            f" ({', '.join(models.installed())}) or a file: train the teacher first"
        )
    recipe = recipes.load_network(run.recipe)  # first: a classical run has no weights to restore
    labels = {label_set: tuple(own) for label_set, own in state["labels"].items()}
    return build.restore(run), recipe, labels
