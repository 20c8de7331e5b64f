"""Random changes to a batch of faces, drawn anew for each face, in one resampling.

torchvision's transforms draw one set of parameters for a whole batch; this draws one per face and still works
on the batch as a whole, on whatever device it lies.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.train.recipe import Augmentation


def augment(faces: Tensor, spec: Augmentation, generator: torch.Generator) -> Tensor:
    """Augment a batch.

    Args:
        faces: luma in 0-1, float (N, 1, H, W), H = W.
        spec: what to draw; zeros and False change nothing.
        generator: of the faces' device; the only source of randomness.

    Returns:
        Float (N, 1, H, W), or (N, 1, crop, crop).
    """
    moves = spec.rotation or spec.shift or spec.zoom or spec.flip or spec.crop
    out = _resample(faces, spec, generator) if moves else faces
    if spec.contrast or spec.brightness:
        mean = out.mean(dim=(2, 3), keepdim=True)
        factor = 1 + spec.contrast * _uniform(out, generator)
        out = (out - mean) * factor + mean + spec.brightness * _uniform(out, generator)
        out = out.clamp(0, 1)
    return _erase(out, spec.erase, generator) if spec.erase else out


def _uniform(faces: Tensor, generator: torch.Generator) -> Tensor:
    """One number per face in -1 to 1, shape (N, 1, 1, 1)."""
    return 2 * torch.rand(len(faces), 1, 1, 1, device=faces.device, generator=generator) - 1


def _resample(faces: Tensor, spec: Augmentation, generator: torch.Generator) -> Tensor:
    n, _, size, _ = faces.shape
    side = spec.crop or size

    def draw() -> Tensor:
        return _uniform(faces, generator).view(n)

    angle = math.radians(spec.rotation) * draw()
    scale = 1 / (1 + spec.zoom * draw())
    # A pixel of the output must stay a pixel of the input: the window covers side / size of the face.
    window = side / size
    room = 1 - window
    shift_x, shift_y = (2 * spec.shift + room) * draw(), (2 * spec.shift + room) * draw()
    mirror = torch.where(draw() < 0, -1.0, 1.0) if spec.flip else torch.ones_like(angle)
    cos, sin = torch.cos(angle) * scale * window, torch.sin(angle) * scale * window
    rows = torch.stack([cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y], dim=1)
    grid = F.affine_grid(rows.view(n, 2, 3), [n, 1, side, side], align_corners=False)
    return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def _erase(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    n, _, height, width = faces.shape

    def draw() -> Tensor:
        return torch.rand(n, 1, 1, 1, device=faces.device, generator=generator)

    area, aspect = 0.02 + 0.18 * draw(), torch.exp((2 * draw() - 1) * math.log(3.0))
    tall, wide = (height * torch.sqrt(area * aspect)).round(), (width * torch.sqrt(area / aspect)).round()
    top, left = (draw() * (height - tall)).round(), (draw() * (width - wide)).round()
    y = torch.arange(height, device=faces.device).view(1, 1, height, 1)
    x = torch.arange(width, device=faces.device).view(1, 1, 1, width)
    inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide) & (draw() < share)
    return torch.where(inside, draw(), faces)
