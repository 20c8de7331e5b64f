"""Batch norm of a network that started from a model file: the same answers, and ready to train."""

import csv

import pytest
import torch

from mien.networks import build, unfolding, weights
from mien.recipes import loader
from mien.train import devices, faces, run, scoring

CPU = torch.device("cpu")


def opened(labels):
    """The network of the shipped model fast, started from its file."""
    spec = loader.load_network("fast", ["network.weights={model: fast}"])
    network = build.build(spec, {name: len(own) for name, own in labels.items()})
    weights.start(network, spec, labels)
    return network.eval()


def test_batch_norm_gets_the_statistics_of_the_faces_and_answers_stay(patterns):
    network = opened(patterns.label_sets)
    pixels = torch.from_numpy(patterns.pictures(48, grey=True))[:200, None]
    before = scoring.score(network, pixels)
    unfolding.restore_batch_norm(network, pixels, CPU)
    after = scoring.score(network, pixels)
    assert not network.training
    for label_set, logits in before.items():
        assert torch.allclose(after[label_set], logits, atol=1e-3)
    face = (pixels.float() / 255 - network.mean) / network.std
    by_running_statistics = network.backbone(face)
    assert torch.allclose(network.backbone.train()(face), by_running_statistics, atol=1e-3)


def test_a_network_from_a_model_file_trains_with_batch_norm_from_where_the_file_ends(patterns, tmp_path):
    still = "stages=[{epochs: 1, learning_rate: 1e-9, batch_size: 70}]"
    spec = loader.load_network("fast", ["network.weights={model: fast}", "ema=0", still])
    done = run.train(spec, patterns, tmp_path / "run")
    found = next(csv.DictReader(done.history.read_text().splitlines()))
    validation = faces.load(patterns, "validation", spec, CPU)
    own = scoring.figures(opened(patterns.label_sets), validation, spec.heads, devices.fabric())
    for name, figure in own.items():
        assert float(found[name]) == pytest.approx(figure, rel=0.05)
