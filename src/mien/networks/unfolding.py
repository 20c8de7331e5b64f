"""A model file's network as one that can go on learning: its weights in 32 bit, its batch norm restored.

Export rounds weights to fewer bits and folds each batch norm into the convolution before it. Owns undoing both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien import models
from mien.errors import TrainingError, require
from mien.models.card import Card, detach
from mien.models.model import read_file

_BATCH, _FACES = 256, 2_048


def read(name: str, network: nn.Module, seed: int) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """The weights of a model file by the names of the network that it was exported from.

    Batch norms change nothing but to add the bias that was folded, until :func:`restore_batch_norm`.

    Args:
        name: of an installed model, or the path of a model file.
        network: of the architecture that was exported.
        seed: for where weights of 8 bit start within their steps.

    Returns:
        Tensors by name, and label set to labels of the file's heads.

    Raises:
        ModelError: there is no such model, or its file is damaged.
        TrainingError: it is an ensemble.
    """
    onnx = require("onnx", "train")
    path = models.find(name)
    graph_bytes, card = detach(read_file(path), where=str(path))
    check_single(name, card)
    graph = onnx.load_from_string(graph_bytes).graph
    values = _constants(graph, np.random.default_rng(seed))
    state: dict[str, Tensor] = {}
    norms = norms_after_convolutions(network)
    for node in graph.node:
        if node.op_type not in {"Conv", "Gemm"} or not node.input[1].startswith("network."):
            continue
        place = node.input[1].removeprefix("network.").partition(".weight")[0]
        numbers = [torch.from_numpy(values[key]) for key in node.input[1:]]
        state[f"{place}.weight"] = numbers[0]
        if place in norms:
            bias = numbers[1] if len(numbers) > 1 else torch.zeros(len(numbers[0]))
            state |= _identity_norm(*norms[place], bias=bias)
        elif len(numbers) > 1:
            state[f"{place}.bias"] = numbers[1]
    return state, {output.label_set: output.labels for output in card.heads.values()}


def check_single(name: str, card: Card) -> None:
    """Refuse a model file that holds several networks.

    Raises:
        TrainingError: it does.
    """
    members = card.training.get("members")
    if members:
        raise TrainingError(f"{name} is an ensemble of {', '.join(members)}: name a model of one network")


@torch.no_grad()
def restore_batch_norm(network: nn.Module, pixels: Tensor, device: torch.device) -> None:
    """Give every batch norm the mean and variance of what reaches it, and answers as before.

    A network that :func:`read` filled then trains as one that was never folded: batch norm that normalises by its
    batches changes its answers little, where it would have changed them beyond use.

    Args:
        network: on ``device``; its batch norms are changed in place.
        pixels: faces of the training split, uint8 (N, C, size, size); at most 2,048, from all over it, are looked at.
        device: where to compute.
    """
    seen: dict[_BatchNorm, list[Tensor]] = {}

    def look(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, _BatchNorm)
        variance, mean = torch.var_mean(inputs[0].transpose(0, 1).flatten(1), dim=1, correction=0)
        seen.setdefault(norm, []).append(torch.stack([mean, variance]))

    hooks = [m.register_forward_pre_hook(look) for m in network.modules() if isinstance(m, _BatchNorm)]
    training = network.training
    chosen = torch.linspace(0, len(pixels) - 1, min(len(pixels), _FACES)).long()
    for indices in chosen.split(_BATCH):
        network.eval()(pixels.index_select(0, indices.to(pixels.device)).to(device).float() / 255)
    network.train(training)
    for hook in hooks:
        hook.remove()
    for norm, batches in seen.items():
        means, variances = torch.stack(batches, dim=1)
        _keep_answers(norm, means.mean(0), variances.mean(0) + means.var(0, correction=0))


def _keep_answers(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Other running statistics, and the scale and bias that make up for them."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    norm.bias.add_(scale * (mean - norm.running_mean))
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def _constants(graph: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every float number that an ONNX graph holds, by name and as 32 bit, those of 16 and 8 bit opened.

    An 8-bit number stands for all within half a step of it, and one of these is drawn. In the middle of its step it
    would stay there: what a short training adds to one weight is less than half a step, so a later export in 8 bit
    would round away nearly all that was learned. Of weights spread over their steps some cross an edge at every
    change, as many more as the change is larger, and together they keep it.
    """
    numpy_helper = require("onnx.numpy_helper", "train")
    held = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    opened = {}
    for node in graph.node:
        if node.op_type not in {"Cast", "DequantizeLinear"} or node.input[0] not in held:
            continue
        value, *scaling = (held[name] for name in node.input)
        if scaling:  # per channel along the first axis, or one for all
            scale, zero = (item.reshape(-1, *[1] * (value.ndim - 1)) for item in scaling)
            value = (value.astype(np.int64) - zero + rng.uniform(-0.5, 0.5, value.shape)) * scale
        opened[node.output[0]] = value
    return {name: value.astype(np.float32) for name, value in (held | opened).items()}


def norms_after_convolutions(network: nn.Module) -> dict[str, tuple[str, _BatchNorm]]:
    """Name of each convolution without bias to the batch norm that follows it, by name and itself."""
    found: dict[str, tuple[str, _BatchNorm]] = {}
    last = None
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            last = name if module.bias is None else None
        elif isinstance(module, _BatchNorm) and last:
            found[last], last = (name, module), None
    return found


def _identity_norm(name: str, norm: _BatchNorm, bias: Tensor) -> dict[str, Tensor]:
    """A batch norm whose running statistics change nothing, so that it only adds the bias."""
    return {
        f"{name}.weight": torch.full_like(bias, (1 + norm.eps) ** 0.5),
        f"{name}.bias": bias,
        f"{name}.running_mean": torch.zeros_like(bias),
        f"{name}.running_var": torch.ones_like(bias),
    }
