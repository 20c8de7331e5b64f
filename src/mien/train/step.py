"""One step of training: a batch of faces in, weights moved.

Owns the order of forward pass, loss, backward pass and update, and the second pass of sharpness-aware minimisation.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.recipes.schema import Stage
from mien.train.distillation import Teachers
from mien.train.losses import Loss


@dataclass(frozen=True)
class Step:
    """Takes the steps of one stage.

    Attributes:
        fabric: drives processes and precision.
        wrapped: the network as ``fabric.setup`` returned it.
        optimizer: likewise.
        stage: of the recipe.
        loss: of the heads to their targets.
        teachers: whose answers are learned too; None for none.
        layout: memory layout that the network takes faces in.
    """

    fabric: Fabric
    wrapped: Any
    optimizer: Any
    stage: Stage
    loss: Loss
    teachers: Teachers | None
    layout: torch.memory_format

    def __call__(self, pixels: Tensor, targets: Mapping[str, Tensor], labelled: Mapping[str, Tensor], n: int) -> Tensor:
        """Move the weights once.

        Args:
            pixels: this process's faces in 0-1, float (N, C, H, W).
            targets: label set to float (N, K).
            labelled: label set to the number of labelled faces of the whole step, over all processes.
            n: faces of the whole step.

        Returns:
            This process's share of the loss, a scalar without gradient.
        """
        pixels = pixels.contiguous(memory_format=self.layout)
        answers = self.teachers(pixels) if self.teachers else {}
        loss = self._gradients(pixels, targets, labelled, answers, n)
        if self.stage.sam_rho:
            with _ascended(self.wrapped, self.stage.sam_rho):
                self._gradients(pixels, targets, labelled, answers, n)
        if self.stage.clip_norm:
            self.fabric.clip_gradients(self.wrapped, self.optimizer, max_norm=self.stage.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def _gradients(
        self,
        pixels: Tensor,
        targets: Mapping[str, Tensor],
        labelled: Mapping[str, Tensor],
        answers: Mapping[str, Tensor],
        n: int,
    ) -> Tensor:
        self.optimizer.zero_grad()
        logits = self.wrapped(pixels)
        loss = self.loss(logits, targets, labelled)
        if self.teachers:
            loss = self.teachers.blend(loss, logits, answers, n)
        # Processes average their gradients; theirs is a share of one batch.
        self.fabric.backward(loss * self.fabric.world_size)
        return loss


@contextmanager
def _ascended(network: nn.Module, distance: float) -> Generator[None, None, None]:
    """The weights moved up their gradient by a distance, and back (Foret et al. 2021, equation 2).

    Batch norm keeps the running statistics of the weights as they are.
    """
    moved = [p for p in network.parameters() if p.grad is not None]
    kept = [p.detach().clone() for p in moved]
    gradients = [p.grad for p in moved if p.grad is not None]
    scale = distance / (torch.nn.utils.get_total_norm(gradients) + 1e-12)
    norms = [(m, m.momentum) for m in network.modules() if isinstance(m, _BatchNorm)]
    with torch.no_grad():
        for p, gradient in zip(moved, gradients, strict=True):
            p.add_(gradient * scale)
    for module, _ in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in norms:
            module.momentum = momentum
        with torch.no_grad():
            for p, before in zip(moved, kept, strict=True):
                p.copy_(before)
