"""Random changes to a batch of faces, drawn anew for each face, in one resampling.

torchvision's transforms draw one set of parameters for a whole batch; this draws one per face and still works
on the batch as a whole, on whatever device it lies. Refuses any randomness but the generator it is given: which
numbers a change draws, and in which order, is part of a recipe's result.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.recipes.schema import Augmentation

# RGB to luma and the two colour axes of YIQ (NTSC 1953; FCC 47 CFR 73.682).
_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_LUMA = _YIQ[0].expand(3, 3)
_QUARTER_TURN = torch.linalg.inv(_YIQ) @ torch.tensor([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YIQ


# Quantisation of luma by libjpeg at quality 50 (ITU-T T.81, table K.1).
_QUANTISATION = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)
_BLOCK = 8
# Different sizes that low_resolution reduces to.
_SIZES = 6


def augment(faces: Tensor, spec: Augmentation, generator: torch.Generator) -> Tensor:
    """Augment a batch.

    All channels of a face share its parameters; what ``random_erasing`` puts into them is one grey. ``hue`` and
    ``saturation`` keep each pixel's luma, up to clamping to 0-1, and leave grey pixels as they are.

    Args:
        faces: luma or RGB in 0-1, float (N, C, H, W), C 1 or 3, H = W.
        spec: what to draw; zeros and False change nothing. ``mixup`` is left to :func:`mixup`.
        generator: of the faces' device; the only source of randomness.

    Returns:
        Float (N, C, H, W), or (N, C, crop, crop).
    """
    moves = spec.rotation or spec.shift or spec.scale or spec.flip or spec.crop
    out = _resample(faces, spec, generator) if moves else faces
    out = _blur(out, spec.blur, generator) if spec.blur else out
    out = _reduce(out, spec.low_resolution, generator) if spec.low_resolution < 1 else out
    if spec.contrast or spec.brightness:
        mean = out.mean(dim=(1, 2, 3), keepdim=True)
        factor = 1 + spec.contrast * _uniform(out, generator)
        out = (out - mean) * factor + mean + spec.brightness * _uniform(out, generator)
        out = out.clamp(0, 1)
    if (spec.hue or spec.saturation) and faces.shape[1] == 3:
        out = _recolor(out, spec, generator)
    out = _add_noise(out, spec.noise, generator) if spec.noise else out
    out = _compress(out, spec.jpeg, generator) if spec.jpeg else out
    return _erase(out, spec.random_erasing, generator) if spec.random_erasing else out


def mixup(
    faces: Tensor, targets: dict[str, Tensor], alpha: float, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Blend each face and its targets with another of the batch (Zhang et al. 2017, with a share per face).

    Args:
        faces: float (N, C, H, W).
        targets: label set to probabilities, float (N, K); a row of zeros for a face without a label, which makes
            the blended row sum to the other face's share.
        alpha: shares are drawn from Beta(alpha, alpha); 0 changes and draws nothing.
        generator: of the faces' device; the only source of randomness.

    Returns:
        Faces and targets of the same shapes.
    """
    if not alpha:
        return faces, targets
    share = _symmetric_beta(alpha, len(faces), generator)
    partner = torch.randperm(len(faces), device=faces.device, generator=generator)

    def blend(rows: Tensor) -> Tensor:
        return rows[partner].lerp(rows, share.view(-1, *[1] * (rows.ndim - 1)))

    return blend(faces), {name: blend(rows) for name, rows in targets.items()}


def _symmetric_beta(alpha: float, n: int, generator: torch.Generator) -> Tensor:
    """Draw n numbers from Beta(alpha, alpha), float32.

    torch's own gamma and Dirichlet samplers are private where they take a generator. Two uniform numbers make one
    of Student's t (Bailey 1994), and t one of a symmetric beta, without rejection (Devroye 1996).
    """
    radius, angle = torch.rand(2, n, device=generator.device, generator=generator)
    w, cos = radius ** (1 / alpha), torch.cos(2 * math.pi * angle)
    far = torch.sqrt(1 - w) * cos
    return 0.5 + 0.5 * far / torch.sqrt(w + far * far).clamp(min=1e-12)


def _uniform(faces: Tensor, generator: torch.Generator) -> Tensor:
    """One number per face in -1 to 1, shape (N, 1, 1, 1)."""
    return 2 * torch.rand(len(faces), 1, 1, 1, device=faces.device, generator=generator) - 1


def _resample(faces: Tensor, spec: Augmentation, generator: torch.Generator) -> Tensor:
    n, _, size, _ = faces.shape
    side = spec.crop or size

    def draw() -> Tensor:
        return _uniform(faces, generator).view(n)

    angle = math.radians(spec.rotation) * draw()
    scale = 1 / (1 + spec.scale * draw())
    # A pixel of the output must stay a pixel of the input: the window covers side / size of the face.
    window = side / size
    room = 1 - window
    shift_x, shift_y = (2 * spec.shift + room) * draw(), (2 * spec.shift + room) * draw()
    mirror = torch.where(draw() < 0, -1.0, 1.0) if spec.flip else torch.ones_like(angle)
    cos, sin = torch.cos(angle) * scale * window, torch.sin(angle) * scale * window
    rows = torch.stack([cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y], dim=1).view(n, 2, 3, 1, 1)
    # What affine_grid computes, to the bit on a CPU, where its small matrix products take 20 times as long.
    centres = torch.linspace(-1, 1, side, device=faces.device) * (side - 1) / side
    grid = (rows[:, :, 0] * centres + rows[:, :, 1] * centres.view(side, 1)).add_(rows[:, :, 2])
    return F.grid_sample(faces, grid.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def _reduce(faces: Tensor, smallest: float, generator: torch.Generator) -> Tensor:
    """Each face scaled down to one of a few sizes and up again; the sizes are spread evenly."""
    n, _, height, width = faces.shape
    sizes = [round(height * (smallest + (1 - smallest) * step / (_SIZES - 1))) for step in range(_SIZES)]
    drawn = torch.randint(_SIZES, (n,), device=faces.device, generator=generator)
    out = faces.clone()
    for step, size in enumerate(sizes):
        chosen = (drawn == step).nonzero().squeeze(1)
        if len(chosen) and size < height:
            small = F.interpolate(faces[chosen], size=(size, size), mode="bilinear", antialias=True)
            out[chosen] = F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    return out


def _add_noise(faces: Tensor, most: float, generator: torch.Generator) -> Tensor:
    deviation = most * torch.rand(len(faces), 1, 1, 1, device=faces.device, generator=generator)
    noise = torch.randn(faces.shape, device=faces.device, generator=generator)
    return (faces + deviation * noise).clamp(0, 1)


def _recolor(faces: Tensor, spec: Augmentation, generator: torch.Generator) -> Tensor:
    """Turn and stretch each face's colours around the grey axis, in YIQ: one 3x3 matrix per face."""
    n, _, height, width = faces.shape
    luma, quarter_turn = _LUMA.to(faces), _QUARTER_TURN.to(faces)
    factor = 1 + spec.saturation * _uniform(faces, generator).view(n, 1, 1)
    angle = 2 * math.pi * spec.hue * _uniform(faces, generator).view(n, 1, 1)
    colour = torch.eye(3).to(faces) - luma
    matrix = luma + factor * (torch.cos(angle) * colour + torch.sin(angle) * quarter_turn)
    return (matrix @ faces.reshape(n, 3, -1)).view(n, 3, height, width).clamp(0, 1)


def _blur(faces: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """A Gaussian of each face's own standard deviation, along rows and then along columns; edges repeated."""
    n, channels, height, width = faces.shape
    sigma = most * width * torch.rand(n, 1, device=faces.device, generator=generator)
    reach = max(1, math.ceil(3 * most * width))
    offsets = torch.arange(-reach, reach + 1, device=faces.device)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma.clamp(min=1e-3) ** 2), dim=1).repeat_interleave(channels, dim=0)
    flat = F.pad(faces.reshape(1, n * channels, height, width), (reach,) * 4, mode="replicate")
    for shape in ((1, -1), (-1, 1)):
        flat = F.conv2d(flat, kernel.view(n * channels, 1, *shape), groups=n * channels)
    return flat.view(n, channels, height, width)


def _compress(faces: Tensor, lowest: int, generator: torch.Generator) -> Tensor:
    """Round the cosine coefficients of each 8x8 block as JPEG does for luma, at each face's own quality."""
    n, channels, height, width = faces.shape
    quality = lowest + (100 - lowest) * torch.rand(n, 1, 1, 1, 1, 1, device=faces.device, generator=generator)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)  # as libjpeg
    steps = (_QUANTISATION.to(faces) * scale).round().clamp(1, 255)
    places = torch.arange(_BLOCK, device=faces.device)
    cosines = torch.cos(math.pi / _BLOCK * (places + 0.5) * places.view(-1, 1)) * math.sqrt(2 / _BLOCK)
    cosines[0] /= math.sqrt(2)
    padded = F.pad(255 * faces - 128, (0, -width % _BLOCK, 0, -height % _BLOCK), mode="replicate")
    rows, columns = padded.shape[2] // _BLOCK, padded.shape[3] // _BLOCK
    blocks = padded.view(n, channels, rows, _BLOCK, columns, _BLOCK).transpose(3, 4)
    kept = (cosines @ blocks @ cosines.T / steps).round() * steps
    restored = (cosines.T @ kept @ cosines).transpose(3, 4).reshape(padded.shape)
    return ((restored[:, :, :height, :width] + 128) / 255).clamp(0, 1)


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
