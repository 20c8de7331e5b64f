"""What training minimises: per head, cross-entropy to a distribution over labels, faces without one left out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mien.train.recipe import Head


def soft_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the faces that have a target.

    Args:
        logits: float (N, K).
        targets: float (N, K), rows that sum to 1, or to 0 for a face without a label.
        smoothing: share of the target spread evenly over all labels (Szegedy et al. 2016).

    Returns:
        A scalar; zero where no face of the batch has a target.
    """
    labelled = targets.sum(dim=1)
    targets = targets * (1 - smoothing) + labelled.unsqueeze(1) * smoothing / targets.shape[1]
    losses = -(targets * torch.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return losses.sum() / labelled.sum().clamp(min=1)


def summed(logits: dict[str, Tensor], targets: dict[str, Tensor], heads: Sequence[Head]) -> Tensor:
    """The weighted sum of all heads' losses."""
    parts = [
        head.weight * soft_cross_entropy(logits[head.label_set], targets[head.label_set], head.label_smoothing)
        for head in heads
    ]
    return torch.stack(parts).sum()
