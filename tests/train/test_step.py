import copy

import pytest
import torch
from torch import nn

from mien.recipes.schema import Head, Stage
from mien.train import devices
from mien.train.losses import Loss
from mien.train.step import Step


class Small(nn.Module):
    """Two faces' worth of everything a step touches: batch norm, a weight matrix, one head."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.linear = nn.Linear(16, 3)

    def forward(self, pixels):
        return {"set": self.linear(self.norm(pixels).flatten(1))}


@pytest.fixture
def faces():
    torch.manual_seed(0)
    return torch.rand(8, 1, 4, 4), {"set": nn.functional.one_hot(torch.arange(8) % 3, 3).float()}


@pytest.fixture
def network():
    torch.manual_seed(1)
    return Small()


def step(network, faces, **options):
    """One step of plain SGD; returns the network after it."""
    network = copy.deepcopy(network).train()
    stage = Stage(epochs=1, learning_rate=0.1, optimizer="sgd", momentum=0, weight_decay=0, **options)
    fabric = devices.fabric("32-true", "cpu")
    wrapped, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=0.1))
    pixels, targets = faces
    loss = Loss([Head(label_set="set")], targets)
    take = Step(fabric, wrapped, optimizer, stage, loss, None, torch.contiguous_format)
    take(pixels, targets, {"set": torch.tensor(8.0)}, 8)
    return network


def gradients(network, faces):
    """Of the mean cross-entropy, computed plainly."""
    network = copy.deepcopy(network).train()
    pixels, targets = faces
    nn.functional.cross_entropy(network(pixels)["set"], targets["set"]).backward()
    return [p.grad for p in network.parameters()]


def test_a_step_goes_down_the_gradient(network, faces):
    after = step(network, faces)
    for p, q, gradient in zip(network.parameters(), after.parameters(), gradients(network, faces), strict=True):
        assert torch.allclose(q, p - 0.1 * gradient, atol=1e-6)


def test_sharpness_takes_the_gradient_from_up_the_slope(network, faces):
    first = gradients(network, faces)
    norm = torch.cat([g.flatten() for g in first]).norm()
    above = copy.deepcopy(network)
    with torch.no_grad():
        for p, gradient in zip(above.parameters(), first, strict=True):
            p += 0.5 * gradient / norm
    after = step(network, faces, sam_rho=0.5)
    moved = 0.0
    for p, q, gradient, plain in zip(
        network.parameters(), after.parameters(), gradients(above, faces), first, strict=True
    ):
        assert torch.allclose(q, p - 0.1 * gradient, atol=1e-6)
        moved = max(moved, (gradient - plain).abs().max().item())
    assert moved > 1e-3  # the two gradients differ, or the test would prove nothing


def test_the_second_pass_leaves_running_statistics_alone(network, faces):
    once, twice = step(network, faces), step(network, faces, sam_rho=0.5)
    assert torch.equal(once.norm.running_mean, twice.norm.running_mean)
    assert torch.equal(once.norm.running_var, twice.norm.running_var)
    assert twice.norm.momentum == network.norm.momentum


def test_long_gradients_are_cut(network, faces):
    after = step(network, faces, clip_norm=0.01)
    moved = torch.cat([(q - p).flatten() for p, q in zip(network.parameters(), after.parameters(), strict=True)])
    assert moved.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)
