from dataclasses import replace

from typer.testing import CliRunner

from mien import models
from mien.cli import app
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
