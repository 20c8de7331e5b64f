"""Fitting, answering and keeping pipelines, and the torch modules that are made of them; on drawn features."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from mien.classical import pipeline, to_torch
from mien.errors import ModelError, TrainingError
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe

TEXT = """
kind: classical
name: drawn
description: for tests
features: {kind: pixels}
classifier: {kind: svm}
"""
EXPRESSED = ["svm", "naive-bayes", "logistic", "mlp"]
OTHERS = ["svm, kernel: rbf, C: 10", "knn", "forest, trees: 10"]


def parse(*changes: str) -> ClassicalRecipe:
    found = recipes.parse(TEXT, overrides=changes)
    assert isinstance(found, ClassicalRecipe)
    return found


def draw(labels: int, rows: int = 210) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 4x4 "pixels" as features, whose label makes one of them bright."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.arange(rows) % labels)
    values = rng.integers(0, 100, (rows, 16))
    values[np.arange(rows), truth] += 120
    return (values / 255).astype(np.float32), truth


@pytest.mark.parametrize("labels", [2, 7])
@pytest.mark.parametrize("reduce", ["null", "{components: 9}", "{components: 0.95, whiten: true}"])
@pytest.mark.parametrize("classifier", EXPRESSED + OTHERS)
def test_each_pipeline_learns_answers_and_comes_back_from_its_file(classifier, reduce, labels):
    spec = parse(f"classifier={{kind: {classifier}}}", f"reduce={reduce}")
    features, truth = draw(labels)
    fitted = pipeline.fit(spec, features[30:], truth[30:], labels)
    logits = fitted.logits(features)
    assert logits.shape == (210, labels)
    assert np.isfinite(logits).all()
    assert (logits[:30].argmax(axis=1) == truth[:30]).mean() > 1.5 / labels
    again = pipeline.loads(pipeline.dumps(fitted), "the file")
    assert np.array_equal(again.logits(features), logits)


@pytest.mark.parametrize("labels", [2, 7])
@pytest.mark.parametrize("reduce", ["null", "{components: 9}", "{components: 0.95, whiten: true}"])
@pytest.mark.parametrize("standardise", ["true", "false"])
@pytest.mark.parametrize("classifier", EXPRESSED)
def test_the_torch_module_says_what_scikit_learn_says(classifier, standardise, reduce, labels):
    spec = parse(f"classifier={{kind: {classifier}}}", f"reduce={reduce}", f"standardise={standardise}")
    features, truth = draw(labels)
    fitted = pipeline.fit(spec, features, truth, labels)
    assert to_torch.obstacle(spec, fitted) == ""
    answers = to_torch.module(spec, fitted)(torch.from_numpy(features).view(-1, 1, 4, 4))["fer2013"].numpy()
    expected = fitted.logits(features)
    # What is the same for all labels of a face does not matter.
    difference = (answers - answers[:, :1]) - (expected - expected[:, :1])
    assert np.abs(difference).max() < 1e-3
    assert to_torch.parameters(spec, fitted)


def test_parameters_are_counted_where_numbers_are_fitted():
    features, truth = draw(7)
    spec = parse("classifier.kind=logistic", "reduce={components: 9}")
    scaler, components, logistic = 2 * 16, 9 * 16 + 9, 7 * 9 + 7
    assert to_torch.parameters(spec, pipeline.fit(spec, features, truth, 7)) == scaler + components + logistic
    spec = parse("classifier.kind=knn")
    assert to_torch.parameters(spec, pipeline.fit(spec, features, truth, 7)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("features={kind: hog}", "does not express hog features"),
        ("classifier={kind: knn}", "keep the training faces"),
        ("classifier={kind: forest, trees: 3}", "forest"),
        ("classifier={kind: svm, kernel: rbf}", "rbf svm"),
    ],
)
def test_what_onnx_does_not_express_is_said(change, message):
    features, truth = draw(7)
    spec = parse(change)
    assert message in to_torch.obstacle(spec, pipeline.fit(spec, features, truth, 7))


def test_what_would_be_a_large_file_is_evaluate_only(monkeypatch):
    features, truth = draw(7)
    spec = parse("classifier.kind=logistic")
    monkeypatch.setattr(to_torch, "LARGEST", 100)
    assert "larger than" in to_torch.obstacle(spec, pipeline.fit(spec, features, truth, 7))


def test_faces_without_features_get_the_prior_and_teach_nothing():
    features, truth = draw(7)
    features[:40] = np.nan
    spec = parse("classifier.kind=logistic")
    fitted = pipeline.fit(spec, features, truth, 7)
    assert np.allclose(np.exp(fitted.logits(features)[:40]), np.bincount(truth) / len(truth))
    alone = pipeline.fit(spec, features[40:], truth[40:], 7)
    assert np.allclose(fitted.logits(features)[40:], alone.logits(features[40:]))


def test_unlabelled_faces_are_left_out():
    features, truth = draw(7)
    some = np.where(np.arange(210) < 50, -1, truth)
    spec = parse("classifier.kind=logistic")
    fitted, alone = pipeline.fit(spec, features, some, 7), pipeline.fit(spec, features[50:], truth[50:], 7)
    assert np.allclose(fitted.logits(features), alone.logits(features))
    assert np.allclose(fitted.prior, alone.prior)


@pytest.mark.parametrize("classifier", ["knn, neighbors: 3", "forest, trees: 5"])
def test_no_label_is_impossible_where_votes_are_counted(classifier):
    features, truth = draw(7)
    fitted = pipeline.fit(parse(f"classifier={{kind: {classifier}}}"), features, truth, 7)
    shares = np.exp(fitted.logits(features))
    assert shares.min() > 0.01
    assert np.allclose(shares.sum(axis=1), 1)


def test_a_label_without_features_cannot_be_learned():
    features, truth = draw(7)
    features[truth == 3] = np.nan
    with pytest.raises(TrainingError, match="label 3 of 7"):
        pipeline.fit(parse(), features, truth, 7)


def test_more_components_than_features_are_refused():
    features, truth = draw(7)
    with pytest.raises(TrainingError, match="cannot fit"):
        pipeline.fit(parse("reduce={components: 17}"), features, truth, 7)


def test_a_fit_that_was_cut_short_says_so():
    features, truth = draw(7)
    assert not pipeline.fit(parse("classifier={kind: logistic, iterations: 1}"), features, truth, 7).converged
    assert pipeline.fit(parse("classifier={kind: logistic}"), features, truth, 7).converged


def test_the_same_seed_gives_the_same_pipeline():
    features, truth = draw(7)
    one, two, other = (
        pipeline.fit(parse("classifier={kind: mlp, epochs: 5}", f"seed={seed}"), features, truth, 7).logits(features)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def _with_a_foreign_type() -> bytes:
    import skops.io

    from mien.errors import MienError

    return skops.io.dumps({"steps": MienError("not a pipeline"), "prior": np.ones(2)})


def _zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("schema.json", "{}")
    return target.getvalue()


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps({"steps": 1}), _zip()])
def test_damaged_files_are_refused(content):
    with pytest.raises(ModelError, match="is no pipeline of this mien"):
        pipeline.loads(content, "a.skops")


def test_files_with_other_types_are_refused():
    with pytest.raises(ModelError, match=r"a\.skops is no pipeline"):
        pipeline.loads(_with_a_foreign_type(), "a.skops")
