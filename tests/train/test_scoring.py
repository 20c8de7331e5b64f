"""Scoring in batches: the answers are those of each face alone, and no batch is larger than a CPU takes well."""

import pytest
import torch
from torch import nn

from mien.networks.tta import NAMES, Views
from mien.train.scoring import score


class Means(nn.Module):
    """One logit, the mean of the picture; remembers how many pictures came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        self.batches.append(len(faces))
        return {"own": faces.mean(dim=(1, 2, 3))[:, None]}


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (150, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_faces_are_answered_one_by_one_and_in_order(pixels):
    network = Means()
    found = score(network, pixels)["own"]
    torch.testing.assert_close(found[:, 0], pixels.float().mean(dim=(1, 2, 3)) / 255)
    assert network.batches == [64, 64, 22]


@pytest.mark.parametrize("view", NAMES)
def test_further_views_make_no_larger_batches(pixels, view):
    network = Means()
    views = Views(network, view)
    assert len(score(views, pixels)["own"]) == 150
    assert sum(network.batches) == 150 * views.count
    assert max(network.batches) <= 64
