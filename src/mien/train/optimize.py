"""How weights move: optimisers by name, learning rates by schedule, and when a stage has stalled.

Everything here is a function of the recipe and of what history says, so that a resumed run goes on as if it had
never been stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mien.recipes.schema import Stage

_Maker = Callable[[list[dict[str, Any]], Stage], Optimizer]

_OPTIMIZERS: dict[str, _Maker] = {
    "nesterov": lambda groups, s: torch.optim.SGD(
        groups, lr=s.learning_rate, momentum=s.momentum, nesterov=s.momentum > 0
    ),
    "sgd": lambda groups, s: torch.optim.SGD(groups, lr=s.learning_rate, momentum=s.momentum),
    "adam": lambda groups, s: torch.optim.Adam(groups, lr=s.learning_rate),
    "adamw": lambda groups, s: torch.optim.AdamW(groups, lr=s.learning_rate),
    "rmsprop": lambda groups, s: torch.optim.RMSprop(groups, lr=s.learning_rate, momentum=s.momentum),
    "adagrad": lambda groups, s: torch.optim.Adagrad(groups, lr=s.learning_rate),
    "adadelta": lambda groups, s: torch.optim.Adadelta(groups, lr=s.learning_rate),
}


def optimizer(network: nn.Module, stage: Stage) -> Optimizer:
    """The optimiser of a stage, over those weights that train; biases and norms are not decayed."""
    learned = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return _OPTIMIZERS[stage.optimizer](groups, stage)


def learning_rate(stage: Stage, epochs: float, scores: Sequence[float] = ()) -> float:
    """The learning rate at a moment of a stage.

    Args:
        stage: with its schedule.
        epochs: into the stage, fractional.
        scores: selection score of each epoch of this stage so far; what a plateau is judged by.
    """
    if epochs < stage.warmup_epochs:
        return stage.learning_rate * (0.1 + 0.9 * epochs / stage.warmup_epochs)
    if stage.schedule == "constant":
        return stage.learning_rate
    if stage.schedule == "plateau":
        lowered = stage.learning_rate * stage.plateau_factor ** _plateaus(scores, stage.plateau_patience)
        return max(lowered, stage.final_learning_rate)
    share = (epochs - stage.warmup_epochs) / (stage.epochs - stage.warmup_epochs)
    drop = stage.learning_rate - stage.final_learning_rate
    return stage.final_learning_rate + drop * 0.5 * (1 + math.cos(math.pi * share))


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a network's weights and running statistics, to be updated after each step.

    The decay rises to what the recipe says: after n updates it is at most (1 + n) / (10 + n), as TensorFlow's and
    timm's averages do it. Else a training of few steps would end with the average of weights that had learned nothing.

    Args:
        network: the average starts as.
        decay: a step, 0-1.
    """
    average = AveragedModel(network, use_buffers=True)

    def update(averaged: Any, current: Any, updates: Any) -> None:
        n = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, updates)

    average.multi_avg_fn = update
    return average


def is_over(stage: Stage, scores: Sequence[float]) -> bool:
    """Whether a stage has had all its epochs, or has not improved for as many as ``early_stop`` allows.

    Args:
        stage: with its limits.
        scores: selection score of each epoch of this stage so far.
    """
    if len(scores) >= stage.epochs:
        return True
    if stage.early_stop is None or not scores:
        return False
    best = max(range(len(scores)), key=scores.__getitem__)
    return len(scores) - 1 - best >= stage.early_stop


def _plateaus(scores: Sequence[float], patience: int) -> int:
    """How often the score has not risen for ``patience`` epochs in a row, counting anew after each time."""
    found, waited, best = 0, 0, -math.inf
    for score in scores:
        if score > best:
            best, waited = score, 0
        else:
            waited += 1
        if waited == patience:
            found, waited = found + 1, 0
    return found
