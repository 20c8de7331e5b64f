"""Our own attentional backbone: a spatial transformer that looks for the part of a face that matters.

After "Deep-Emotion" (Minaee, Minaei & Abdolrashidi 2021, figure 2): a localisation network of two convolutions and two
dense layers gives an affine map (Jaderberg et al. 2015), the picture is sampled by it, and four convolutions of ten
channels see what is left. Kernel sizes and the widths of the localisation network, which the paper does not print, are
those of the public re-implementation omarsayed7/Deep-Emotion. The paper's dense layer of 50 is the recipe's
``hidden_units``. Owns the architecture and its first weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import RecipeError
from mien.recipes.network_schema import Attentional

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class SpatialTransformer(nn.Module):
    """Samples pictures by an affine map that it reads from them; the identity before training.

    Args:
        channels: of the pictures.
        size: pixels a side of the pictures.

    Raises:
        RecipeError: they are too small for the convolutions.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        left = ((size - 6) // 2 - 4) // 2
        if left < 1:
            raise RecipeError(f"the backbone does not take pictures of {size}x{size} px, but of 18 px or more")
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 8, 7), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU()
        )
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(10 * left**2, 32), nn.ReLU(), nn.Linear(32, len(_IDENTITY)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, size, size) to the same, sampled bilinearly and black outside."""
        # The map in 32 bit: in 16 bit its grid would be off by whole pixels.
        theta = self.dense(self.convolutions(x)).float().view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid.to(x.dtype), align_corners=False)

    def initialise(self) -> None:
        """Start from the identity."""
        last = self.dense[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor(_IDENTITY))


class AttentionalBackbone(nn.Sequential):
    """Spatial transformer and four convolutions, pooled after each second; float (N, C, size, size) to (N, F).

    Args:
        spec: its width.
        channels: of the pictures.
        size: pixels a side of the pictures; it takes no others.
    """

    def __init__(self, spec: Attentional, channels: int, size: int) -> None:
        layers: list[nn.Module] = []
        for inputs in (channels, spec.width):
            layers += [nn.Conv2d(inputs, spec.width, 3), nn.ReLU(), nn.Conv2d(spec.width, spec.width, 3)]
            layers += [nn.MaxPool2d(2), nn.ReLU()]
        super().__init__(SpatialTransformer(channels, size), nn.Sequential(*layers, nn.Flatten()))

    def initialise(self) -> None:
        """Draw the first weights (He et al. 2015, "Delving deep into rectifiers")."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, SpatialTransformer):
                module.initialise()
