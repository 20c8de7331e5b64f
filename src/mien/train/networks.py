"""Networks: a backbone that turns faces into features, and one linear head per label set on top.

Owns architectures. Every network takes luma in 0-1, float (N, 1, H, W), normalises it itself and returns logits
per label set, so that nothing outside has to know a mean or a deviation.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.train import recipe

# Mean and standard deviation of FER2013's training pixels in 0-1, rounded.
_MEAN, _DEVIATION = 0.51, 0.25


def _conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, stride)
        self.second = _conv(outputs, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else _conv(inputs, outputs, stride, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + self.shortcut(x))


class ResidualBackbone(nn.Sequential):
    """A plain residual network for small pictures: a 3x3 stem that halves the size once, then the stages."""

    def __init__(self, spec: recipe.Network) -> None:
        channels, layers = 1, []
        for width in spec.stem:
            layers += [_conv(channels, width), nn.ReLU()]
            channels = width
        layers += [_conv(channels, spec.widths[0], stride=2), nn.ReLU()]
        channels = spec.widths[0]
        for number, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
            for block in range(depth):
                layers.append(ResidualBlock(channels, width, stride=2 if number and not block else 1))
                channels = width
        super().__init__(*layers)
        self.features = channels


class Classifier(nn.Module):
    """Backbone, global average pooling, dropout and one linear head per label set.

    Args:
        spec: the network of a recipe.
        classes: label set to number of labels; the order is the order of the outputs.
    """

    def __init__(self, spec: recipe.Network, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.backbone = ResidualBackbone(spec)
        self.dropout = nn.Dropout(spec.dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(self.backbone.features, k) for name, k in classes.items()})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            # A block starts as its shortcut (Goyal et al. 2017, section 5.1).
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.second[1].weight)  # pyright: ignore[reportArgumentType]

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """Luma in 0-1, float (N, 1, H, W), to logits (N, K) per label set."""
        features = self.backbone((faces - _MEAN) / _DEVIATION).mean(dim=(2, 3))
        features = self.dropout(features)
        return {name: head(features) for name, head in self.heads.items()}


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters())
