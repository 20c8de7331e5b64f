"""mien train, export, evaluate and models as a user runs them, in processes of their own."""

import json
from pathlib import Path

import pytest

from support.command_line import RECIPE, mien
from support.kept_looks import OPTIONS as LOOK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cli")
    (path / "tiny.yaml").write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def trained(folder, patterns_path) -> Path:
    done = mien("train", "tiny.yaml", "--data", patterns_path, cwd=folder)
    assert "epoch 3/3" in done.stderr
    assert "images/s" in done.stderr
    assert done.stdout.strip() == "runs/tiny/model.onnx"
    return folder / "runs" / "tiny" / "model.onnx"


def test_train_then_evaluate_then_predictions(trained, folder, patterns_path):
    text = mien("evaluate", trained, "--data", patterns_path, "--split", "test", *LOOK, cwd=folder).stdout
    for words in ("n = 35", "95 % interval", "balanced accuracy", "macro-F1", "calibration", "recall", "unfiltered"):
        assert words in text
    assert len(list((folder / "predictions").glob("model-????????-patterns-test.parquet"))) == 1
    document = json.loads(mien("evaluate", trained, "--data", patterns_path, "--json", cwd=folder).stdout)
    assert document["split"] == "validation"
    assert [figures["label_set"] for figures in document["figures"]] == ["expressions", "ferplus", "fer2013"]


def test_the_ledger_keeps_every_look_at_the_test_split(trained, folder, patterns_path):
    ask = ("evaluate", trained, "--data", patterns_path, "--split", "test", "--ledger", "ledger.csv")
    mien(*ask, "--why", "first", cwd=folder)
    mien(*ask, "--why", "second", cwd=folder)
    lines = (folder / "ledger.csv").read_text().splitlines()
    assert lines[0].startswith("date,model")
    assert [line.rsplit(",", 1)[1] for line in lines[1:]] == 3 * ["first"] + 3 * ["second"]  # a row an output
    assert "--why" in mien(*ask, cwd=folder, code=2).stderr


def test_export_again_under_another_name(trained, folder, patterns_path):
    mien("export", "runs/tiny", "--data", patterns_path, "-o", "named.onnx", "--version", "2", cwd=folder)
    card = json.loads(mien("models", "show", "named.onnx", "--json", cwd=folder).stdout)
    assert card["version"] == "2"
    assert "intended use: " in mien("models", "show", "named.onnx", cwd=folder).stdout
    assert "default" in mien("models", cwd=folder).stdout


def test_faults_are_one_line(trained, folder, patterns_path):
    (folder / "bad.yaml").write_text(RECIPE.replace("widths", "width"))
    for arguments, words in [
        (("train", "nonsense", "--data", patterns_path), "no recipe 'nonsense'"),
        (("train", "bad.yaml", "--data", patterns_path), "did you mean widths"),
        (("train", "tiny.yaml", "--data", "absent.parquet"), "does not exist"),
        (("train", "tiny.yaml", "--data", patterns_path), "--resume"),
        (("train", "tiny.yaml", "--data", trained), "not a readable Parquet"),
        (("evaluate", "nonsense", "--data", patterns_path), "no model 'nonsense'"),
        (("export", ".", "--data", patterns_path), "no run folder"),
        (("models", "show", "tiny.yaml"), "no card"),
    ]:
        stderr = mien(*arguments, cwd=folder, code=2).stderr
        assert words in stderr
        assert len(stderr.strip().splitlines()) == 1
