"""Classical runs as model files, and the card of those that are evaluate-only."""

import json

import numpy as np
import pytest

from mien.classical import features, fitted, pipeline
from mien.classical import fit as run
from mien.data.table import Table
from mien.errors import ExportError, ModelError, TrainingError
from mien.evaluate import metrics, predictions
from mien.export import evaluate_only, package
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe
from mien.runs import RunFolder
from support.kept_looks import LOOK

pytestmark = pytest.mark.slow

TEXT = """
kind: classical
name: tiny
description: for tests
seed: 1
features: {kind: pixels}
reduce: {components: 20}
classifier: {kind: logistic}
"""


def fit(table: Table, out: object, *changes: str) -> RunFolder:
    spec = recipes.parse(TEXT, overrides=changes)
    assert isinstance(spec, ClassicalRecipe)
    return run.train(spec, table, str(out))


@pytest.mark.parametrize(
    "classifier",
    [
        "{kind: svm}",
        "{kind: logistic}",
        "{kind: naive-bayes}",
        "{kind: mlp, hidden_units: [32], epochs: 60, batch_size: 20, patience: 20}",
    ],
)
def test_the_model_file_says_what_scikit_learn_says(patterns, tmp_path, classifier):
    folder = fit(patterns, tmp_path / "run", f"classifier={classifier}")
    model = package.package(folder, patterns, folder.model)
    assert model.card.training["export"]["parity"]["largest_difference"] < 1e-4
    assert model.card.recipe["kind"] == "classical"
    assert model.card.training["chosen"] == {"candidate": 1, "values": {}}
    part, output = patterns.split("test"), model.card.outputs["probabilities"]
    own = run.restore(folder).logits(features.pixels(part.pictures(grey=True)))
    expected = package.calibration.Calibration.of(output).probabilities(own)
    found = predictions.predict(model, patterns, "test", ledger=LOOK).scores[0].probabilities
    assert np.abs(found - expected).max() < 1e-4
    assert metrics.measure(predictions.predict(model, patterns, "test", ledger=LOOK).scores[0]).top1 > 0.3
    crop = model.card.golden_crop()[None]
    assert np.allclose(
        model.score(crop)["probabilities"][0], model.card.golden.probabilities["probabilities"], atol=1e-4
    )


def test_views_and_half_precision_are_there_for_pipelines_too(patterns, tmp_path):
    folder = fit(patterns, tmp_path / "run")
    flipped = package.package(folder, patterns, tmp_path / "flip.onnx", options=package.Options(views="flip"))
    crops = patterns.split("test").pictures(48)
    answers = flipped.score(crops)["probabilities"]
    assert np.allclose(answers, flipped.score(crops[:, :, ::-1].copy())["probabilities"], atol=1e-5)
    halved = package.package(folder, patterns, tmp_path / "half.onnx", options=package.Options(precision="fp16"))
    assert halved.path.stat().st_size < 0.7 * package.package(folder, patterns, folder.model).path.stat().st_size
    with pytest.raises(ExportError, match="ten-crop"):
        package.package(folder, patterns, tmp_path / "ten.onnx", options=package.Options(views="ten-crop"))


def test_a_file_that_says_something_else_is_not_written(patterns, tmp_path, monkeypatch):
    folder = fit(patterns, tmp_path / "run")
    honest = pipeline.Pipeline.logits
    monkeypatch.setattr(pipeline.Pipeline, "logits", lambda self, seen: honest(self, seen) + np.eye(7)[0])
    with pytest.raises(ExportError, match="is not written"):
        package.package(folder, patterns, folder.model)
    assert not folder.model.exists()


def test_what_onnx_does_not_express_gets_a_card_and_answers(patterns, tmp_path):
    folder = fit(patterns, tmp_path / "run", "classifier={kind: knn, neighbors: 3}")
    with pytest.raises(ExportError, match="evaluate-only: nearest neighbours keep the training faces"):
        package.package(folder, patterns, folder.model)
    made = evaluate_only.write_card(folder, patterns)
    assert "training faces" in folder.read_state()["evaluate_only"]
    card = fitted.read_card(folder)
    figures = card.outputs["probabilities"].metrics["validation"]
    kept = predictions.read(folder.predictions / "validation.parquet")
    assert kept.provenance["graph_sha256"] == card.graph_sha256
    assert figures["n"] == 35
    assert figures["top1"] == pytest.approx(100 * metrics.measure(kept.scores[0]).top1, abs=0.01)
    again = fitted.load(folder)
    assert isinstance(again, fitted.Fitted)
    crops = patterns.split("test").pictures(48)
    answers = again.score(crops)["probabilities"]
    assert np.array_equal(answers, made.score(crops)["probabilities"])
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)
    golden = again.score(card.golden_crop()[None])["probabilities"][0]
    assert np.allclose(golden, card.golden.probabilities["probabilities"], atol=1e-5)
    assert again.score(crops[:0])["probabilities"].shape == (0, 7)


def test_crops_of_any_size_and_colour_are_taken(patterns, tmp_path):
    folder = fit(patterns, tmp_path / "run", "classifier={kind: knn, neighbors: 3}")
    made = evaluate_only.write_card(folder, patterns)
    crops = patterns.split("test").pictures(48)
    larger = crops.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(made.score(larger)["probabilities"], made.score(crops)["probabilities"])


def test_faces_without_features_are_answered_with_the_prior(patterns, tmp_path, monkeypatch):
    def some(pictures: np.ndarray) -> np.ndarray:
        found = features.pixels(pictures)
        found[pictures[:, 0, 0] < 60] = np.nan
        return found

    monkeypatch.setattr(features, "build", lambda spec: some)
    folder = fit(patterns, tmp_path / "run", "classifier={kind: forest, trees: 10}")
    made = evaluate_only.write_card(folder, patterns)
    crops = patterns.split("test").pictures(48)
    answers, without = made.score(crops)["probabilities"], crops[:, 0, 0, 0] < 60
    assert 0 < without.sum() < len(crops)
    assert np.allclose(answers[without], run.restore(folder).prior)
    assert not np.allclose(answers[~without], run.restore(folder).prior, atol=0.05)


def test_a_card_of_another_pipeline_is_refused(patterns, tmp_path):
    one = fit(patterns, tmp_path / "one", "classifier={kind: knn, neighbors: 3}")
    other = fit(patterns, tmp_path / "other", "classifier={kind: knn, neighbors: 5}")
    evaluate_only.write_card(one, patterns)
    one.pipeline.write_bytes(other.pipeline.read_bytes())
    with pytest.raises(ModelError, match="is not the one that"):
        fitted.load(one)
    one.card.write_text(json.dumps({"format": 1}))
    with pytest.raises(ModelError, match="no valid card"):
        fitted.load(one)
    with pytest.raises(ModelError, match="mien export"):
        fitted.load(other)


def test_only_finished_runs_of_these_data_get_either(patterns, tmp_path):
    folder = fit(patterns, tmp_path / "run")
    with pytest.raises(ExportError, match="not evaluate-only"):
        evaluate_only.write_card(folder, patterns)
    with pytest.raises(TrainingError, match="other data"):
        package.package(folder, patterns.take(np.arange(180)), folder.model)
    folder.write_state(state="running")
    with pytest.raises(TrainingError, match="not finished"):
        package.package(folder, patterns, folder.model)


def test_a_network_with_a_classifier_behind_it_is_one_file(finished, patterns, tmp_path):
    network = f"features={{kind: network, run: {finished.path}}}"
    folder = fit(patterns, tmp_path / "run", network, "reduce=null", "classifier.kind=svm")
    model = package.package(folder, patterns, folder.model)
    assert model.card.training["export"]["parity"]["largest_difference"] < 1e-4
    assert folder.read_state()["parameters"] < 5_000  # of what was fitted, without the network


def test_what_would_be_too_large_a_file_is_evaluate_only(patterns, tmp_path):
    folder = fit(patterns, tmp_path / "run", "reduce=null", "classifier={kind: mlp, hidden_units: [4000], epochs: 1}")
    assert evaluate_only.reason(folder) == "a model file of 37 MB is larger than 25 MB"
