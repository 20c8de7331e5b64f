"""Several processes on the CPU, started as a user starts them."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mien.runs import RunFolder
from mien.train import devices
from mien.train.devices import memory_layout
from support.pattern_pictures import write_patterns

RECIPE = """
name: two
description: for tests
seed: {seed}
heads: [{{label_set: ferplus}}, {{label_set: fer2013, label_smoothing: 0.1, loss: {loss}}}]
network: {{widths: [8, 16], depths: [1, 1], dropout: {dropout}}}
precision: 32-true
stages: [{stage}]
"""
ONE_STEP = (
    "{epochs: 1, learning_rate: 1.0, optimizer: sgd, momentum: 0, weight_decay: 0, batch_norm: fixed, batch_size: 141}"
)
SMALL_STEPS = (
    "{epochs: 1, learning_rate: 1.0e-6, optimizer: sgd, momentum: 0, weight_decay: 0, batch_norm: fixed, batch_size: 4}"
)
WHOLE = "{epochs: 8, learning_rate: 0.1, batch_size: 20, augmentation: {shift: 0.02, contrast: 0.1}}"


NARROW = """
import torch
from mien.train.devices import memory_layout
torch.set_num_threads(2)
network = torch.nn.Conv2d(8, 16, 1, stride=2)
layout = memory_layout(network)
network.to(memory_format=layout)
faces = torch.rand(21, 8, 24, 24).contiguous(memory_format=layout)
for _ in range(30):
    network(faces).sum().backward()
"""


def test_only_networks_that_would_crash_leave_channels_last():
    wide, narrow = torch.nn.Conv2d(16, 32, 1, stride=2), torch.nn.Conv2d(8, 16, 1, stride=2)
    assert memory_layout(torch.nn.Sequential(wide)) == torch.channels_last
    assert memory_layout(torch.nn.Sequential(torch.nn.Conv2d(8, 16, 1), wide)) == torch.channels_last
    assert memory_layout(torch.nn.Sequential(wide, narrow)) == torch.contiguous_format


def test_a_narrow_shortcut_trains_on_two_threads():
    """Where the processor has AVX-512 this dies, channels last, of a fault in oneDNN."""
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def trained(folder: Path, data: Path, processes: int, **values: object) -> RunFolder:
    folder.mkdir()
    (folder / "two.yaml").write_text(RECIPE.format(**values))
    mien = str(Path(sys.executable).with_name("mien"))
    command = [mien, "train", "two.yaml", "--data", str(data), "--accelerator", "cpu", "--devices", str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model.onnx") == 1
    return RunFolder(folder / "runs" / "two")


@pytest.mark.slow
def test_two_processes_take_the_gradient_of_one(patterns_path, tmp_path):
    """One step of plain SGD at rate 1 with batch norm fixed: what the weights lose is the gradient."""
    values = {"seed": 1, "loss": "sigmoid", "dropout": 0.0, "stage": ONE_STEP}
    one, two = (trained(tmp_path / str(n), patterns_path, n, **values) for n in (1, 2))
    assert two.read_state()["environment"]["processes"] == 2
    a, b = (folder.load(folder.last)["network"] for folder in (one, two))
    assert max((a[name].float() - b[name].float()).abs().max().item() for name in a) < 1e-5
    assert abs(float(one.load(one.last)["history"][0]["loss"]) - two.load(two.last)["history"][0]["loss"]) < 1e-4


@pytest.mark.slow
def test_two_processes_record_the_loss_of_one_over_more_than_a_hundred_steps(tmp_path):
    """Steps too small to move the weights, so that both runs see the same network; 105 of four faces."""
    data = write_patterns(tmp_path / "patterns.parquet", {"train": 420, "validation": 14})
    values = {"seed": 1, "loss": "sigmoid", "dropout": 0.0, "stage": SMALL_STEPS}
    one, two = (trained(tmp_path / str(n), data, n, **values) for n in (1, 2))
    a, b = (folder.load(folder.last)["history"][0]["loss"] for folder in (one, two))
    assert b == pytest.approx(a, rel=1e-3)


@pytest.mark.slow
def test_two_processes_end_within_the_spread_of_seeds(patterns_path, tmp_path):
    values = {"loss": "cross_entropy", "dropout": 0.1, "stage": WHOLE}
    ones = [trained(tmp_path / f"one{seed}", patterns_path, 1, seed=seed, **values) for seed in (1, 2, 3)]
    two = trained(tmp_path / "two", patterns_path, 2, seed=1, **values)
    scores = [folder.load(folder.best)["selection"] for folder in ones]
    spread = torch.tensor(scores).std().item()
    assert min(scores) > 0.7
    assert two.load(two.best)["selection"] >= min(scores) - 2 * spread - 2 / 35  # two of the 35 faces either way


def test_strided_depthwise_convolutions_are_computed_in_32_bit_and_stay_what_they_are():
    """Also where they are copied, as the moving average copies the network: each computes with its own weights."""
    chosen = devices.fabric("bf16-mixed", "cpu")
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, 2, groups=8), torch.nn.Conv2d(8, 8, 3, groups=8))
    pixels, names = torch.rand(2, 8, 9, 9), set(network.state_dict())
    with torch.no_grad():
        expected = network[0](pixels)
        devices.spare_slow_kernels(network, chosen)
        with chosen.autocast():
            assert torch.equal(network[0](pixels), expected)
            assert network[1](pixels).dtype == torch.bfloat16
        copied = copy.deepcopy(network)
        copied[0].weight.zero_()
        copied[0].bias.zero_()
        assert not copied[0](pixels).any()
        assert torch.equal(network[0](pixels), expected)
    assert isinstance(network[0], torch.nn.Conv2d)
    assert set(network.state_dict()) == names
