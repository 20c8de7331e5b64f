"""Classical recipes on the command line: fitted, measured, reported, compared, predicted with."""

import csv
import json

import pytest

from support.command_line import mien

pytestmark = pytest.mark.slow

RECIPE = """
kind: classical
name: tiny
description: for tests
features: {kind: pixels}
reduce: {components: 20}
classifier: {kind: logistic}
search: {classifier.logistic.C: [0.001, 0.1], classifier.knn.neighbors: [3]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, patterns_path):
    path = tmp_path_factory.mktemp("classical")
    (path / "tiny.yaml").write_text(RECIPE)
    mien("train", "tiny.yaml", "--data", patterns_path, cwd=path)
    mien("train", "tiny.yaml", "--data", patterns_path, "--set", "classifier.kind=knn", "-o", "runs/knn", cwd=path)
    return path


def test_a_pipeline_that_onnx_expresses_becomes_a_model_file(folder, patterns_path):
    done = mien("train", "tiny.yaml", "--data", patterns_path, "--resume", cwd=folder)
    assert done.stdout.strip() == "runs/tiny/model.onnx"
    assert "probabilities: validation top-1" in done.stderr
    shown = json.loads(mien("models", "show", "runs/tiny/model.onnx", "--json", cwd=folder).stdout)
    assert shown["recipe"]["kind"] == "classical"
    assert shown["recipe"]["search"] == {}
    assert "runs/tiny/predictions/validation.parquet" in [
        str(p.relative_to(folder)) for p in folder.glob("runs/tiny/predictions/*")
    ]


def test_the_others_say_that_they_are_evaluate_only(folder, patterns_path):
    again = mien("train", "tiny.yaml", "--data", patterns_path, "--resume", "-o", "runs/knn", cwd=folder, code=2)
    assert "another recipe" in again.stderr
    change = ("--set", "classifier.kind=knn", "-o", "runs/knn", "--resume")
    done = mien("train", "tiny.yaml", "--data", patterns_path, *change, cwd=folder)
    assert done.stdout.strip() == "runs/knn"
    assert "evaluate-only: nearest neighbours keep the training faces" in done.stderr
    assert "evaluate-only" in mien("export", "runs/knn", "--data", patterns_path, cwd=folder, code=2).stderr
    assert not (folder / "runs" / "knn" / "model.onnx").exists()


def test_runs_are_measured_by_their_folder(folder, patterns_path):
    for name in ("knn", "tiny"):
        ask = ("evaluate", f"runs/{name}", "--data", patterns_path, "--split", "test", "--ledger", "ledger.csv")
        text = mien(*ask, "--why", f"of {name}", cwd=folder).stdout
        assert "n = 35" in text
        assert len(list((folder / "predictions").glob(f"{name}-????????-patterns-test.parquet"))) == 1
    rows = list(csv.DictReader((folder / "ledger.csv").read_text().splitlines()))
    card = json.loads((folder / "runs" / "knn" / "card.json").read_text())
    assert rows[0]["graph_sha256"] == card["graph_sha256"]
    refused = mien("evaluate", "runs/knn", "--data", patterns_path, "--record", cwd=folder, code=2)
    assert "evaluate-only" in refused.stderr
    assert "missing" in mien("evaluate", ".", "--data", patterns_path, cwd=folder, code=2).stderr


def test_they_are_reported_compared_and_made_part_of_ensembles(folder, patterns_path):
    mien("report", "runs/knn", "runs/tiny", "--data", patterns_path, cwd=folder)
    page = (folder / "runs" / "knn" / "report" / "report.html").read_text()
    for words in (
        "Search",
        "nearest neighbours keep the training faces",
        "has no layers",
        "test-time views are of networks",
    ):
        assert words in page
    assert "classifier.logistic.C" in (folder / "runs" / "tiny" / "report" / "report.html").read_text()
    compared = mien("compare", "runs/knn", "runs/tiny", "--markdown", cwd=folder).stdout
    assert "| runs/knn |" in compared
    mien("ensemble", "runs/knn", "runs/tiny", "-o", "both", cwd=folder)
    assert (folder / "both" / "validation.parquet").exists()


def test_faults_are_one_line(folder, patterns_path):
    for arguments, words in [
        (("train", "tiny.yaml", "--data", patterns_path, "--devices", "2"), "leave --accelerator"),
        (("train", "tiny.yaml", "--data", patterns_path, "--set", "classifier.c=1"), "unknown key"),
        (("tune", "tiny.yaml", "--data", patterns_path, "--over", "seed=1,2"), "classical pipeline"),
    ]:
        stderr = mien(*arguments, cwd=folder, code=2).stderr
        assert words in stderr
        assert len(stderr.strip().splitlines()) == 1


def test_shipped_ones_are_listed(folder):
    text = mien("recipes", "list", cwd=folder).stdout
    assert all(name in text for name in ("hog", "lbp", "pca"))
    assert "kind: classical" in mien("recipes", "show", "hog", "--set", "classifier.kind=knn", cwd=folder).stdout
