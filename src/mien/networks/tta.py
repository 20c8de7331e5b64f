"""Test-time views: one network looks at a face several times, and the mean of what it says counts.

Owns which views there are and how their answers are joined. Refuses to know recipes, tables and files: a
:class:`Views` is a network like the one it wraps, for scoring as for export.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Name = Literal["flip", "ten-crop"]
#: The views that there are: the face and its mirror image; four corners and the centre, and their mirror images.
NAMES: tuple[str, ...] = get_args(Name)


class Views(nn.Module):
    """A network's mean answer over several views of a face.

    The windows of ``ten-crop`` are fed at their own size, not enlarged to the face's: backbones that pool
    globally take them as they are, a face keeps the scale it was trained at, recipes that train on such windows
    meet exactly what they know, and 40 px cost less than 48. A backbone that takes one size only raises its own
    error at the first face.

    Args:
        network: faces float (N, C, S, S) to logits (N, K) per label set.
        name: ``flip`` (2 views) or ``ten-crop`` (10 views).
        crop: pixels a side of the windows of ``ten-crop``; None takes 5/6 of the face, rounded to an even number
            (40 of 48).

    Raises:
        ValueError: there are no such views.
    """

    def __init__(self, network: nn.Module, name: Name, crop: int | None = None) -> None:
        super().__init__()
        if name not in NAMES:
            raise ValueError(f"no views {name!r}, only {', '.join(NAMES)}")
        self.network = network
        self.name = name
        self.crop = crop

    @property
    def count(self) -> int:
        """How many views a face has."""
        return 10 if self.name == "ten-crop" else 2

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """Faces float (N, C, S, S) to the logarithm of the mean softmax over the views, (N, K) per label set.

        So softmax of the output is the mean probability, and a temperature divides it like any logits.

        Raises:
            ValueError: the windows are larger than the face.
        """
        views = self._windows(faces) if self.name == "ten-crop" else [faces]
        views += [view.flip(-1) for view in views]
        logits = self.network(torch.cat(views))
        return {name: _log_mean(rows.reshape(len(views), -1, rows.shape[-1])) for name, rows in logits.items()}

    def _windows(self, faces: Tensor) -> list[Tensor]:
        """The four corners and the centre, each (N, C, crop, crop)."""
        side = faces.shape[-1]
        crop = default_crop(side) if self.crop is None else self.crop
        if not 0 < crop <= side:
            raise ValueError(f"windows of {crop} px do not fit into faces of {side} px")
        far, middle = side - crop, (side - crop) // 2
        places = ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))
        return [faces[..., top : top + crop, left : left + crop] for top, left in places]


def default_crop(size: int) -> int:
    """The windows of ``ten-crop`` where none are asked for: 5/6 of the face, rounded to an even number.

    >>> default_crop(48), default_crop(224)
    (40, 186)
    """
    return 2 * round(size * 5 / 12)


def _log_mean(logits: Tensor) -> Tensor:
    """Logits (V, N, K) to the logarithm of their mean softmax, (N, K)."""
    return torch.logsumexp(torch.log_softmax(logits, dim=-1), dim=0) - math.log(len(logits))
