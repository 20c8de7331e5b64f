"""From a finished run to a model file, without shortcuts: the file must say what the network says."""

import json

import numpy as np
import onnx
import pytest
import torch

from mien import models
from mien.errors import ExportError, TrainingError
from mien.evaluate import metrics, predictions
from mien.export import gates, graph, package
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from mien.faces.crop import FER2013_FRAMING
from mien.models.card import detach
from mien.train import recipe, run
from mien.train.folder import RunFolder
from mien.train.networks import Classifier

SPEC = recipe.parse(
    """
name: tiny
description: for tests
heads: [{label_set: ferplus}, {label_set: fer2013}]
network: {stem: [4], widths: [8, 16], depths: [1, 1], dropout: 0.1}
precision: 32-true
stages: [{epochs: 2, learning_rate: 0.05, batch_size: 20}]
"""
)


@pytest.fixture(scope="module")
def finished(patterns, tmp_path_factory) -> RunFolder:
    return run.train(SPEC, patterns, tmp_path_factory.mktemp("export") / "run")


@pytest.fixture(scope="module")
def model(finished, patterns) -> models.Model:
    return package.package(finished, patterns, finished.model, package.Terms(version="7", data_terms="patterns"))


def test_the_file_says_what_the_network_says_at_its_temperature(finished, model, patterns):
    network = Classifier(SPEC.network, {"ferplus": 8, "fer2013": 7})
    network.load_state_dict(finished.load(finished.best)["network"])
    grey = patterns.split("test").pictures(grey=True)
    logits = run.score(network, torch.from_numpy(grey).unsqueeze(1))
    found = model.score(np.repeat(grey[..., None], 3, axis=3))
    for name, output in model.card.outputs.items():
        expected = torch.softmax(logits[output.label_set] / output.temperature, dim=1).numpy()
        assert np.abs(found[name] - expected).max() < 1e-5


def test_luma_and_resizing_in_the_graph_are_those_of_torch(finished, model):
    network = Classifier(SPEC.network, {"ferplus": 8, "fer2013": 7}).eval()
    network.load_state_dict(finished.load(finished.best)["network"])
    crops = np.random.default_rng(0).integers(0, 256, (4, 111, 97, 3), np.uint8)
    luma = torch.from_numpy(crops / 255 @ np.array([0.299, 0.587, 0.114])).float().unsqueeze(1)
    resized = torch.nn.functional.interpolate(luma, (48, 48), mode="bilinear", antialias=True)
    output = model.card.outputs["probabilities"]
    with torch.inference_mode():
        expected = torch.softmax(network(resized)["ferplus"] / output.temperature, dim=1).numpy()
        plain = torch.nn.functional.interpolate(luma, (48, 48), mode="bilinear")
        without = torch.softmax(network(plain)["ferplus"] / output.temperature, dim=1).numpy()
    found = model.score(crops)["probabilities"]
    assert np.abs(found - expected).max() < 1e-3
    assert np.abs(found - without).max() > 5e-3  # so the bound above does tell them apart


def test_the_card_is_complete(finished, model, patterns):
    card = model.card
    assert (card.name, card.version, card.data_terms) == ("tiny", "7", "patterns")
    assert card.outputs["probabilities"].labels == BASIC_EIGHT
    assert card.outputs["probabilities_fer2013"].labels == BASIC_SEVEN
    assert card.data["fingerprint"] == patterns.fingerprint
    assert set(card.framing) == set(FER2013_FRAMING)
    assert card.recipe == json.loads(SPEC.model_dump_json())
    assert card.training["parity"]["largest_difference"] < gates.FP32_TOLERANCE
    validation = predictions.predict(model, patterns, "validation")
    for scores in validation.scores:
        assert card.outputs[scores.output].metrics["validation"] == package.summary(metrics.measure(scores))
    assert "test" not in card.outputs["probabilities"].metrics
    for name, rows in model.score(card.golden_crop()[None]).items():
        assert rows[0] == pytest.approx(card.golden.probabilities[name], abs=1e-4)


def test_other_tools_read_the_file(model):
    loaded = onnx.load(model.path)
    onnx.checker.check_model(loaded, full_check=True)
    assert json.loads(loaded.metadata_props[-1].value)["name"] == "tiny"
    assert loaded.graph.input[0].name == "faces"


def test_recording_figures_leaves_the_graph_as_it_is(model, patterns, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.path.read_bytes())
    scored = predictions.predict(model, patterns, "test")
    package.record_metrics(copy, "test", {s.output: metrics.measure(s) for s in scored.scores})
    graph_before, graph_after = detach(model.path.read_bytes())[0], detach(copy.read_bytes())[0]
    assert graph_before == graph_after
    assert set(models.load(copy).card.outputs["probabilities"].metrics) == {"validation", "test"}


def test_the_gate_refuses_other_probabilities():
    right = {"probabilities": np.array([[0.2, 0.8]])}
    assert gates.check_parity(right, right) == {"probabilities": 0}
    for wrong in (0.2002, np.nan):
        with pytest.raises(ExportError, match="not written"):
            gates.check_parity(right, {"probabilities": np.array([[wrong, 0.8]])})


def test_a_file_that_differs_from_the_network_is_not_written(finished, patterns, tmp_path, monkeypatch):
    wrap = graph.wrap

    def swapped(network, outputs, size):
        return wrap(network, {name: (label_set, t * 1.1) for name, (label_set, t) in outputs.items()}, size)

    monkeypatch.setattr(graph, "wrap", swapped)
    with pytest.raises(ExportError):
        package.package(finished, patterns, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_unfinished_runs_and_other_data_are_refused(finished, patterns, tmp_path):
    with pytest.raises(TrainingError, match="not finished"):
        package.package(RunFolder(tmp_path), patterns, tmp_path / "model.onnx")
    with pytest.raises(TrainingError, match="other data"):
        package.package(finished, patterns.take(np.arange(50)), tmp_path / "model.onnx")


def test_only_fer2013_gets_the_terms_of_fer2013(finished, patterns, tmp_path):
    unnamed = package.package(finished, patterns, tmp_path / "m.onnx")
    assert unnamed.card.data_terms == "not stated"
