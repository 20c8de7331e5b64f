"""Our own VGG-type backbone (Simonyan & Zisserman 2014) with batch norm, for small pictures.

Owns its architecture and its first weights. The dense layers of the original, which hold 120 of VGG16's 134 million
parameters, give way to global average pooling; for the original, take ``kind: timm, name: vgg16_bn``.
"""

from __future__ import annotations

from torch import Tensor, nn

from mien.networks.residual import channel_attention, conv_norm
from mien.recipes.network_schema import Vgg


class VggGroup(nn.Module):
    """3x3 convolutions of one width, channel attention, and pooling to half the size.

    Args:
        inputs, outputs: channels.
        depth: how many convolutions.
        attention: ``none``, ``se`` or ``eca``.
    """

    def __init__(self, inputs: int, outputs: int, depth: int, attention: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(depth):
            layers += [conv_norm(outputs if number else inputs, outputs), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.attention = channel_attention(attention, outputs)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return self.pool(self.attention(self.convolutions(x)))


class VggBackbone(nn.Sequential):
    """Groups of convolutions in turn; float (N, C, H, W) to (N, widths[-1], h, w).

    Args:
        spec: widths and depths.
        channels: of the pictures.
    """

    def __init__(self, spec: Vgg, channels: int) -> None:
        inputs = (channels, *spec.widths[:-1])
        super().__init__(
            *(
                VggGroup(before, width, depth, spec.attention)
                for before, width, depth in zip(inputs, spec.widths, spec.depths, strict=True)
            )
        )

    def initialise(self) -> None:
        """Draw the first weights (He et al. 2015, "Delving deep into rectifiers")."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
