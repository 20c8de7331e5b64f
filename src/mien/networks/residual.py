"""Our own backbone: a plain residual network for small pictures (after He et al. 2015).

Owns its architecture, its first weights, and how a deeper one takes over a shallower one's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from timm.layers.create_attn import create_attn
from timm.layers.drop import DropPath
from torch import Tensor, nn

from mien.recipes.network_schema import Residual


def conv_norm(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """A convolution without bias and batch norm, float (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015, figure 2).

    Args:
        inputs, outputs: channels.
        stride: of the first convolution.
        attention: to the channels, before the shortcut is added: ``none``, ``se`` or ``eca``.
        drop: probability that a face takes the shortcut alone, in training.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, attention: str = "none", drop: float = 0.0) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride)
        self.second = conv_norm(outputs, outputs)
        self.attention = channel_attention(attention, outputs)
        self.drop = DropPath(drop) if drop else nn.Identity()
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, stride, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.attention(self.second(torch.relu(self.first(x))))
        return torch.relu(self.drop(y) + self.shortcut(x))


def channel_attention(kind: str, channels: int) -> nn.Module:
    """A factor for each channel, float (N, channels, H, W) to the same: ``se``, ``eca``, or ``none`` for no change."""
    if kind == "none":
        return nn.Identity()
    made = create_attn(kind, channels)
    assert made is not None
    return made


class ResidualBackbone(nn.Sequential):
    """A 3x3 stem that halves the size once, then the stages; float (N, C, H, W) to (N, widths[-1], h, w).

    Args:
        spec: widths and depths.
        channels: of the pictures.
    """

    def __init__(self, spec: Residual, channels: int) -> None:
        layers: list[nn.Module] = []
        for width in spec.stem:
            layers += [conv_norm(channels, width), nn.ReLU()]
            channels = width
        layers += [conv_norm(channels, spec.widths[0], stride=2), nn.ReLU()]
        channels = spec.widths[0]
        drops = np.linspace(0, spec.drop_path, sum(spec.depths)).tolist()
        for number, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
            for block in range(depth):
                stride = 2 if number and not block else 1
                layers.append(ResidualBlock(channels, width, stride, spec.attention, drops.pop(0)))
                channels = width
        super().__init__(*layers)

    def initialise(self) -> None:
        """Draw the first weights; a block starts as its shortcut (Goyal et al. 2017, section 5.1)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.second[1].get_parameter("weight"))


def deepened(state: Mapping[str, Tensor], shallow: Residual, deep: Residual) -> dict[str, Tensor]:
    """Weights of a backbone under the names that a deeper one has for them (Net2DeeperNet, Chen et al. 2016).

    The deeper one's further blocks are the last ones of each stage; as long as they are their shortcut, which
    :meth:`ResidualBackbone.initialise` makes them, both backbones answer alike.

    Args:
        state: tensors by name within the shallow backbone.
        shallow, deep: of as many stages, and at least as many blocks in each.
    """
    theirs, ours = _block_places(shallow), _block_places(deep)
    moved = {str(theirs[block]): str(ours[block]) for block in theirs}
    named = {}
    for name, value in state.items():
        place, _, rest = name.partition(".")
        named[f"{moved.get(place, place)}.{rest}"] = value
    return named


def added_blocks(shallow: Residual, deep: Residual) -> set[str]:
    """Names, within the deeper backbone, of the blocks that a shallow one has no weights for."""
    ours = _block_places(deep)
    return {str(ours[block]) for block in ours.keys() - _block_places(shallow).keys()}


def _first_block(spec: Residual) -> int:
    return 2 * (len(spec.stem) + 1)


def _block_places(spec: Residual) -> dict[tuple[int, int], int]:
    """Stage and block to its number in the sequence."""
    blocks = [(stage, block) for stage, depth in enumerate(spec.depths) for block in range(depth)]
    return {block: place for place, block in enumerate(blocks, start=_first_block(spec))}
