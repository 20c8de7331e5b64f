"""mien recipes and mien tune as a user runs them."""

import errno
import json
import sys

import pytest
from typer.testing import CliRunner

from mien import models
from mien.cli import app
from mien.errors import RecipeError
from mien.recipes import loader as recipes

runner = CliRunner()

TINY = """
name: tiny
description: for tests
heads: [{label_set: own}]
network: {widths: [8], depths: [1]}
stages: [{epochs: 2, learning_rate: 0.1, batch_size: 20}]
"""


def test_list_names_every_recipe():
    shown = runner.invoke(app, ["recipes", "list"], env={"COLUMNS": "200"}).stdout
    assert all(name in shown for name in recipes.names())


def test_show_writes_every_default_and_takes_changes():
    shown = runner.invoke(app, ["recipes", "show", "default", "--set", "seed=5"]).stdout
    assert recipes.parse(shown) == recipes.load("default", ["seed=5"])
    assert "weight_decay" in shown


def test_copy_keeps_comments_and_never_overwrites(tmp_path):
    target = tmp_path / "mine.yaml"
    assert runner.invoke(app, ["recipes", "copy", "default", str(target)]).exit_code == 0
    assert target.read_text().startswith("#")
    assert recipes.load(target) == recipes.load("default")
    again = runner.invoke(app, ["recipes", "copy", "default", str(target)])
    assert isinstance(again.exception, RecipeError)
    assert "exists" in str(again.exception)


@pytest.mark.parametrize("verb", [("train",), ("tune", "--over", "seed=1"), ("crossval",)], ids=" ".join)
@pytest.mark.parametrize(
    ("recipe", "more", "words"),
    [("nonsense", (), "no recipe 'nonsense'"), ("fast", ("--set", "network.width=[8]"), "did you mean widths")],
)
def test_faults_of_a_recipe_are_told_before_torch_is_loaded(monkeypatch, verb, recipe, more, words):
    monkeypatch.setitem(sys.modules, "torch", None)  # whoever imports it fails
    done = runner.invoke(app, [verb[0], recipe, "--data", "absent.parquet", *verb[1:], *more])
    assert isinstance(done.exception, RecipeError)
    assert words in str(done.exception)


@pytest.mark.slow
def test_a_trial_is_marked_wherever_its_figures_stand(patterns_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    ask = ["train", "tiny.yaml", "--data", str(patterns_path), "--set", "data.size=64"]
    done = runner.invoke(app, [*ask, "--quick"])
    assert done.exit_code == 0, done.output
    assert "trial: at most 288 faces" in done.stderr
    assert "(trial)" in done.stderr
    assert "the whole recipe trains for about" in done.stderr
    state = json.loads((tmp_path / "runs/tiny-quick/run.json").read_text())
    assert state["mark"].startswith("trial: at most 288 faces")
    card = models.read_card(str(tmp_path / "runs/tiny-quick/model.onnx"))
    assert card.data["warning"] == state["mark"]
    done = runner.invoke(app, ["report", "runs/tiny-quick", "--data", str(patterns_path), "--no-views"])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "runs/tiny-quick/report/report.html").read_text()
    assert f'<p class="note">{state["mark"]}' in page
    assert runner.invoke(app, [*ask, "--epochs", "1"]).exit_code == 0
    state = json.loads((tmp_path / "runs/tiny/run.json").read_text())
    assert (state["mark"], len((tmp_path / "runs/tiny/history.csv").read_text().splitlines())) == ("", 2)


@pytest.mark.slow
def test_tune_prints_the_table_and_goes_on(patterns_path, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    ask = ["tune", str(tmp_path / "tiny.yaml"), "--data", str(patterns_path), "-o", str(tmp_path / "runs")]
    ask += ["--over", "seed=1,2", "--set", "stages.0.epochs=1", "--markdown"]
    first = runner.invoke(app, ask)
    assert first.exit_code == 0, first.output
    assert first.stdout.count("seed=") == 2
    assert "| seed | validation top-1 % |" in first.stdout
    assert "standard deviation" in first.stdout
    assert runner.invoke(app, ask).stdout == first.stdout


def test_a_copy_is_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    done = runner.invoke(app, ["recipes", "copy", "fast", str(tmp_path / "fast.yaml")])
    assert "No space left" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
