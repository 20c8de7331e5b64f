"""Our own tiny backbone: depthwise separable convolutions around shortcuts.

After mini-XCEPTION (Arriaga et al. 2017) with leaky ReLU and spatial dropout; 0.17 M parameters as it stands. Owns
its architecture and its first weights.
"""

from __future__ import annotations

from torch import Tensor, nn

from mien.networks.residual import conv_norm
from mien.recipes.network_schema import Separable

_SLOPE = 0.1


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return nn.Sequential(depthwise, conv_norm(inputs, outputs, size=1))


class SeparableBlock(nn.Module):
    """Two separable convolutions and max pooling around a strided shortcut, then dropout of whole channels.

    Args:
        inputs, outputs: channels.
        dropout: probability that a channel of a face is dropped, in training.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _separable(inputs, outputs), nn.LeakyReLU(_SLOPE), _separable(outputs, outputs), nn.MaxPool2d(3, 2, 1)
        )
        self.shortcut = conv_norm(inputs, outputs, stride=2, size=1)
        self.activation = nn.LeakyReLU(_SLOPE)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return self.dropout(self.activation(self.body(x) + self.shortcut(x)))


class SeparableBackbone(nn.Sequential):
    """A plain stem at full size, then the blocks; float (N, C, H, W) to (N, widths[-1], h, w).

    Args:
        spec: widths and dropout.
        channels: of the pictures.
    """

    def __init__(self, spec: Separable, channels: int) -> None:
        layers: list[nn.Module] = []
        for width in spec.stem:
            layers += [conv_norm(channels, width), nn.LeakyReLU(_SLOPE)]
            channels = width
        for width in spec.widths:
            layers.append(SeparableBlock(channels, width, spec.spatial_dropout))
            channels = width
        super().__init__(*layers)

    def initialise(self) -> None:
        """Draw the first weights (He et al. 2015, "Delving deep into rectifiers")."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE, mode="fan_out", nonlinearity="leaky_relu")
