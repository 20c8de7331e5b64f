"""mien recipes and mien tune as a user runs them."""

import errno

import pytest
from typer.testing import CliRunner

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
