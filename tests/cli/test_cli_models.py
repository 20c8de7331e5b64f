from dataclasses import replace

import pytest
from typer.testing import CliRunner

from mien import models
from mien.cli import app
from mien.errors import DataError
from mien.evaluate import predictions
from mien.models.card import attach, detach

LINE = "started from faces of a list, whose terms are not settled"


def test_the_list_and_a_card_say_what_a_model_descends_from(tmp_path, monkeypatch):
    graph, card = detach(models.find("fast").read_bytes())
    file = tmp_path / "faces.onnx"
    file.write_bytes(attach(graph, replace(card, name="faces", training={**card.training, "lineage": [LINE]})))
    files = {"fast": models.find("fast"), "faces": file}
    monkeypatch.setattr(models, "installed", lambda: files)
    monkeypatch.setattr(models, "find", files.__getitem__)
    monkeypatch.setattr(models, "read_card", lambda name: detach(files[name].read_bytes())[1])
    run = CliRunner().invoke(app, ["models"], catch_exceptions=False)
    assert run.stdout.splitlines()[-1] == f"faces: {LINE}"
    assert "fast: " not in run.stdout
    terms = {line.split("│")[1].strip(): line.split("│")[-2].strip() for line in run.stdout.splitlines() if "│" in line}
    assert (terms["fast"], terms["faces"]) == ("Apache-2.0", "Apache-2.0, see")
    run = CliRunner().invoke(app, ["models", "show", "faces"], catch_exceptions=False)
    assert f"descends from: {LINE}" in run.stdout.splitlines()


def test_a_group_that_the_table_lacks_is_said_before_anything_is_scored(patterns_path, tmp_path, monkeypatch):
    def scored(*_, **__):
        raise AssertionError("scored before the columns were looked for")

    monkeypatch.setattr(predictions, "predict", scored)
    ask = ["models", "card", "fast", "--data", str(patterns_path), "-o", str(tmp_path / "fast.md"), "--by", "nonsense"]
    with pytest.raises(DataError, match="nonsense"):
        CliRunner().invoke(app, ask, catch_exceptions=False)


def test_a_matrix_names_the_outputs_where_no_model_has_the_one_that_is_asked_for(patterns_path):
    ask = ["matrix", "fast", "--data", str(patterns_path), "--answer", "nonsense"]
    with pytest.raises(DataError, match=r"no model here has the output 'nonsense', only probabilities, "):
        CliRunner().invoke(app, ask, catch_exceptions=False)


def test_a_matrix_and_its_plot_are_two_files(patterns_path, tmp_path):
    one = str(tmp_path / "m")
    ask = ["matrix", "fast", "--data", str(patterns_path), "-o", one, "--plot", one]
    with pytest.raises(DataError, match="name two files"):
        CliRunner().invoke(app, ask, catch_exceptions=False)
