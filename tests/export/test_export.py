"""From a finished run to a model file, without shortcuts: the file must say what the network says."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
import torch

from mien import models
from mien.data import table as tables
from mien.data.writer import TableInfo, TableWriter
from mien.detection.framing import FER2013_FRAMING
from mien.errors import ExportError, TrainingError
from mien.evaluate import metrics, predictions
from mien.evaluate.calibration import Calibration
from mien.export import cards, gates, graph, package, quantise
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from mien.networks.build import restore
from mien.networks.tta import Views
from mien.recipes import loader
from mien.runs import RunFolder
from mien.train import scoring
from support.tiny_recipe import SPEC


def calibrated(output: models.Output, logits: torch.Tensor) -> np.ndarray:
    return Calibration.of(output).probabilities(logits.detach().numpy())


@pytest.fixture(scope="module")
def model(finished, patterns) -> models.Model:
    return package.package(finished, patterns, finished.model, package.Terms(version="7", data_terms="patterns"))


def test_the_file_says_what_the_network_says_at_its_temperature(finished, model, patterns):
    network = restore(finished)
    grey = patterns.split("test").pictures(grey=True)
    logits = scoring.score(network, torch.from_numpy(grey).unsqueeze(1))
    found = model.score(np.repeat(grey[..., None], 3, axis=3))
    for name, output in model.card.heads.items():
        expected = calibrated(output, logits[output.label_set])
        assert np.abs(found[name] - expected).max() < 1e-5


def test_luma_and_resizing_in_the_graph_are_those_of_torch(finished, model):
    network = restore(finished)
    crops = np.random.default_rng(0).integers(0, 256, (4, 111, 97, 3), np.uint8)
    luma = torch.from_numpy(crops / 255 @ np.array([0.299, 0.587, 0.114])).float().unsqueeze(1)
    resized = torch.nn.functional.interpolate(luma, (48, 48), mode="bilinear", antialias=True)
    output = model.card.outputs["probabilities_ferplus"]
    with torch.inference_mode():
        expected = calibrated(output, network(resized)["ferplus"])
        plain = torch.nn.functional.interpolate(luma, (48, 48), mode="bilinear")
        without = calibrated(output, network(plain)["ferplus"])
    found = model.score(crops)["probabilities_ferplus"]
    assert np.abs(found - expected).max() < 1e-3
    assert np.abs(found - without).max() > 5e-3  # so the bound above does tell them apart


def test_the_card_is_complete(finished, model, patterns):
    card = model.card
    assert (card.name, card.version, card.data_terms) == ("tiny", "7", "patterns")
    assert card.outputs["probabilities"].labels == BASIC_SEVEN
    assert card.outputs["probabilities_ferplus"].labels == BASIC_EIGHT
    assert card.outputs["probabilities_fer2013"].labels == BASIC_SEVEN
    assert card.data["fingerprint"] == patterns.fingerprint
    assert set(card.framing) == set(FER2013_FRAMING)
    assert card.recipe == json.loads(SPEC.model_dump_json())
    made = card.training["export"]
    assert (made["precision"], made["views"]) == ("fp32", "none")
    assert made["parity"]["faces"] == 35
    assert made["parity"]["largest_difference"] < gates.FP32_TOLERANCE
    validation = predictions.predict(model, patterns, "validation")
    for scores in validation.scores:
        assert card.outputs[scores.output].metrics["validation"] == cards.summary(metrics.measure(scores))
    assert "test" not in card.outputs["probabilities"].metrics
    for name, rows in model.score(card.golden_crop()[None]).items():
        assert rows[0] == pytest.approx(card.golden.probabilities[name], abs=1e-4)


def test_other_tools_read_the_file(model):
    loaded = onnx.load(model.path)
    onnx.checker.check_model(loaded, full_check=True)
    assert json.loads(loaded.metadata_props[-1].value)["name"] == "tiny"
    assert loaded.graph.input[0].name == "faces"


def test_a_file_that_differs_from_the_network_is_not_written(finished, patterns, tmp_path, monkeypatch):
    wrap = graph.wrap

    def swapped(network, outputs, size, channels):
        wrong = {
            name: (label_set, replace(fitted, temperature=1.1 * fitted.temperature))
            for name, (label_set, fitted) in outputs.items()
        }
        return wrap(network, wrong, size, channels)

    monkeypatch.setattr(graph, "wrap", swapped)
    with pytest.raises(ExportError):
        package.package(finished, patterns, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_unfinished_runs_and_other_data_are_refused(finished, patterns, tmp_path):
    with pytest.raises(TrainingError, match=r"no run folder: it holds no run\.json"):
        package.package(RunFolder(tmp_path), patterns, tmp_path / "model.onnx")
    stopped = RunFolder(tmp_path)
    stopped.write_state(state="running")
    with pytest.raises(TrainingError, match="not finished"):
        package.package(stopped, patterns, tmp_path / "model.onnx")
    with pytest.raises(TrainingError, match="other data"):
        package.package(finished, patterns.take(np.arange(50)), tmp_path / "model.onnx")


def test_only_fer2013_gets_the_terms_of_fer2013(patterns):
    assert cards.describe(SPEC, patterns, cards.Terms(), {}, {}).data_terms == "not stated"
    named = tables.Table(patterns.arrow, replace(patterns.info, name="fer2013"))
    terms = cards.describe(SPEC, named, cards.Terms(), {}, {}).data_terms
    assert "Goodfellow et al. 2013" in terms
    assert "Barsoum et al. 2016" in terms


def test_a_damaged_run_is_an_error_and_writes_nothing(finished, patterns, tmp_path):
    copy = RunFolder(shutil.copytree(finished.path, tmp_path / "run"))
    out = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match="absent does not exist"):
        package.package(copy, patterns, tmp_path / "absent" / "model.onnx")
    other = SPEC.model_copy(update={"network": SPEC.network.model_copy(update={"widths": (8, 12)})})
    copy.write(copy.recipe, loader.dump(other).encode())
    with pytest.raises(TrainingError, match=r"best\.pt does not fit"):
        package.package(copy, patterns, out)
    copy.write(copy.run, b"{")
    with pytest.raises(TrainingError, match="damaged"):
        package.package(copy, patterns, out)
    assert not out.exists()


def test_a_file_with_views_says_the_mean_at_a_temperature_of_its_own(finished, model, patterns, tmp_path):
    looking = package.package(finished, patterns, tmp_path / "m.onnx", options=package.Options("ten-crop", crop=44))
    made = looking.card.training["export"]
    assert (made["views"], made["crop"]) == ("ten-crop", 44)
    grey = patterns.split("test").pictures(grey=True)
    logits = scoring.score(Views(restore(finished), "ten-crop", 44), torch.from_numpy(grey).unsqueeze(1))
    found = looking.score(np.repeat(grey[..., None], 3, axis=3))
    for name, output in looking.card.heads.items():
        expected = calibrated(output, logits[output.label_set])
        assert np.abs(found[name] - expected).max() < 1e-5
        assert output.temperature != model.card.outputs[name].temperature


def test_windows_larger_than_the_face_are_an_error(finished, patterns, tmp_path):
    with pytest.raises(ExportError, match="windows of 60 px"):
        package.package(finished, patterns, tmp_path / "m.onnx", options=package.Options("ten-crop", crop=60))
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow
def test_the_protocol_of_the_recipe_says_what_is_validation(finished, patterns, tmp_path):
    copy = RunFolder(shutil.copytree(finished.path, tmp_path / "run"))
    paper = SPEC.model_copy(update={"data": SPEC.data.model_copy(update={"protocol": "paper"})})
    copy.write(copy.recipe, loader.dump(paper).encode())
    card = package.package(copy, patterns, tmp_path / "m.onnx").card
    assert card.outputs["probabilities_fer2013"].metrics["validation"]["n"] == 70
    assert card.data["warning"].startswith("optimistic")
    assert card.data["fingerprint"] == patterns.fingerprint


def test_colours_another_size_and_other_labels(untrained, tmp_path):
    """A network that sees RGB at 40 px, for three labels of its own; red and blue faces must not be the same."""
    rng = np.random.default_rng(0)
    info = TableInfo("mine", "mood", ("calm", "tired", "cross"))
    with TableWriter(tmp_path / "mine.parquet", info) as writer:
        for row in range(18):
            picture = rng.integers(0, 256, (48, 48, 3), np.uint8)
            writer.add(
                image=cv2.imencode(".png", picture)[1].tobytes(),
                path="",
                label=row % 3,
                split="train" if row < 6 else "validation",
                row=row,
                group=row,
                digest=str(row),
            )
    table = tables.read(tmp_path / "mine.parquet")
    spec = loader.parse(
        """
name: mine
description: for tests
data: {size: 40, color: rgb}
heads: [{label_set: mood}]
network: {widths: [8, 16], depths: [1, 1]}
stages: [{epochs: 1, learning_rate: 0.1}]
"""
    )
    folder = untrained(spec, table)
    made = package.package(folder, table, tmp_path / "mine.onnx")
    assert made.card.outputs["probabilities"].labels == ("calm", "tired", "cross")
    assert (made.card.height, made.card.width) == (40, 40)
    assert set(made.card.framing) == set(FER2013_FRAMING)
    assert made.card.data_terms == "not stated"
    crops = rng.integers(0, 256, (4, 40, 40, 3), np.uint8)
    logits = scoring.score(restore(folder), torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()))["mood"]
    expected = calibrated(made.card.outputs["probabilities"], logits)
    assert np.abs(made.score(crops)["probabilities"] - expected).max() < 1e-5
    assert np.abs(made.score(crops[..., ::-1])["probabilities"] - expected).max() > 1e-4


def test_an_8_bit_file_has_passed_its_gate_and_says_how_it_was_made(finished, model, patterns, tmp_path, monkeypatch):
    monkeypatch.setattr(gates, "AGREEMENT", 0.9)  # of 70 pattern pictures; the real bound is for thousands of faces
    monkeypatch.setattr(gates, "ACCURACY_LOSS", 5)
    options = package.Options(precision="int8", calibration_faces=60)
    small = package.package(finished, patterns, tmp_path / "small.onnx", options=options)
    made = small.card.training["export"]
    assert made["precision"] == "int8"
    assert "parity" not in made
    assert made["calibration"]["faces"] == 60
    assert set(made["calibration"]["validation_agreement"]) == set(quantise.METHODS)
    for gate, (name, output) in zip(made["gate"], small.card.heads.items(), strict=True):
        assert (gate["faces"], gate["splits"]) == (70, ["validation", "test"])
        theirs, ours = (
            np.concatenate([predictions.answers(m, patterns.split(s))[name] for s in gate["splits"]])
            for m in (model, small)
        )
        assert gate["agreement"] == pytest.approx((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean(), abs=1e-4)
        assert "test" not in output.metrics
        assert np.abs(ours.sum(axis=1) - 1).max() < 1e-5
        assert output.temperature == pytest.approx(model.card.outputs[name].temperature, rel=0.2)
    stored = {tensor.data_type for tensor in onnx.load(small.path).graph.initializer if np.prod(tensor.dims) > 100}
    assert stored == {onnx.TensorProto.INT8}


def test_an_8_bit_file_that_says_something_else_is_not_written(finished, patterns, tmp_path, monkeypatch):
    def wrong(network, faces, method, *, reduce_range):
        spoilt = onnx.ModelProto()
        spoilt.CopyFrom(network)
        for tensor in spoilt.graph.initializer:
            if tensor.name.startswith("network.heads"):
                values = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(-values, tensor.name))
        return spoilt

    monkeypatch.setattr(quantise, "to_int8", wrong)
    with pytest.raises(ExportError, match=r"agreement on 70 faces, accuracy loss .* not written"):
        package.package(finished, patterns, tmp_path / "m.onnx", options=package.Options(precision="int8"))
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow
def test_a_table_without_test_faces_is_gated_on_validation(finished, model, patterns, tmp_path):
    without = patterns.take(patterns.splits != "test")
    copy = RunFolder(shutil.copytree(finished.path, tmp_path / "run"))
    copy.write_state(data=without.fingerprint)
    made = package.package(copy, without, tmp_path / "m.onnx", options=package.Options(precision="fp16"))
    assert [gate["splits"] for gate in made.card.training["export"]["gate"]] == [["validation"]] * 2
    assert made.path.stat().st_size < model.path.stat().st_size
