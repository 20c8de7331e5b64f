"""What training minimises: per head, a loss to a distribution over labels; faces without a label are left out.

Owns every loss a recipe can ask for. All of them are linear in the targets: the loss to a distribution is the mean
of the losses to its labels. So votes, smoothing, class weights, mixed faces and missing labels are all settled in
the targets, and what a loss has to know is its formula. Refuses to count the faces of a batch: a process sees only
its part of a step, so who runs the step says by how many labelled faces to divide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.recipes.schema import Head


def chosen(heads: Sequence[Head], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The targets that the heads learn: as they are, or for ``targets: majority`` one-hot of the most likely label.

    To be called once on the training faces, before any mixing: the majority of a blend would be the larger half.

    Args:
        heads: of the recipe.
        targets: label set to probabilities, float (N, K); a row of zeros for a face without a label.

    Returns:
        The heads' label sets, same shapes. Rows of zeros stay zero; of equally likely labels the first is taken.
    """
    return {
        head.label_set: _majority(targets[head.label_set]) if head.targets == "majority" else targets[head.label_set]
        for head in heads
    }


class Loss:
    """The weighted sum of all heads' losses.

    Args:
        heads: of the recipe.
        targets: of all training faces, as :func:`chosen` gives them, for ``class_weights: balanced``: a label that
            has the share f of all labels among K weighs 1 / (K f), which is 1 on average over labelled faces.

    Raises:
        ValueError: a head wants the majority, and the targets of its label set are not one-hot.
    """

    def __init__(self, heads: Sequence[Head], targets: Mapping[str, Tensor]) -> None:
        for head in heads:
            rows = targets[head.label_set]
            if head.targets == "majority" and not torch.equal(rows, _majority(rows)):
                raise ValueError(f"targets of {head.label_set!r} are not one-hot: pass them through losses.chosen")
        self._heads = tuple(heads)
        self._weights = {h.label_set: _balanced(targets[h.label_set]) for h in heads if h.class_weights == "balanced"}

    def __call__(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], labelled: Mapping[str, Tensor]
    ) -> Tensor:
        """Sum over the heads of their weight times their faces' losses, divided by the labelled faces.

        Args:
            logits: label set to float (N, K) of any precision; the loss is taken in float32.
            targets: label set to float (N, K), of :func:`chosen` targets, mixed or not.
            labelled: label set to the number of labelled faces of the whole step, over all processes: with it the
                gradients of the processes add up (not average) to those of one process with the whole batch.

        Returns:
            A scalar; zero where no face has a label.
        """
        return torch.stack([self._head(head, logits, targets, labelled) for head in self._heads]).sum()

    def _head(
        self, head: Head, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], labelled: Mapping[str, Tensor]
    ) -> Tensor:
        name = head.label_set
        rows = targets[name] * self._weights[name] if name in self._weights else targets[name]
        losses = _LOSSES[head.loss](logits[name].float(), _smoothed(rows, head.label_smoothing), head)
        return head.weight * (losses.sum() / labelled[name].clamp(min=1))


def _majority(targets: Tensor) -> Tensor:
    one_hot = F.one_hot(targets.argmax(dim=1), targets.shape[1])
    return one_hot.to(targets.dtype) * (targets.sum(dim=1, keepdim=True) > 0)


def _balanced(targets: Tensor) -> Tensor:
    """Weight per label, float (K,); a label that does not occur has 0."""
    frequency = targets.sum(dim=0)
    return torch.where(frequency > 0, frequency.sum() / (len(frequency) * frequency), 0)


def _smoothed(targets: Tensor, smoothing: float) -> Tensor:
    """A share of each row spread evenly over all labels (Szegedy et al. 2016, section 7)."""
    return targets * (1 - smoothing) + targets.sum(dim=1).unsqueeze(1) * smoothing / targets.shape[1]


def _cross_entropy(logits: Tensor, targets: Tensor, head: Head) -> Tensor:
    return -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1)


def _focal(logits: Tensor, targets: Tensor, head: Head) -> Tensor:
    """-(1 - p)^gamma log p (Lin et al. 2017, equation 4) of the softmax of each label, summed by the targets."""
    log_p = torch.log_softmax(logits, dim=1)
    # Where p rounds to 1, a power below 1 would have an infinite slope.
    rest = (-torch.expm1(log_p)).clamp(min=1e-8)
    return -(targets * rest**head.focal_gamma * log_p).sum(dim=1)


def _sigmoid(logits: Tensor, targets: Tensor, head: Head) -> Tensor:
    """Binary cross-entropy, the mean over labels as in Keras and timm (Wightman et al. 2021)."""
    against = targets.sum(dim=1, keepdim=True) - targets
    return -(targets * F.logsigmoid(logits) + against * F.logsigmoid(-logits)).mean(dim=1)


# The loss of each face, (N,), from float32 logits and targets (N, K) whose rows sum to the faces' weights.
_LOSSES: dict[str, Callable[[Tensor, Tensor, Head], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "sigmoid": _sigmoid,
}
