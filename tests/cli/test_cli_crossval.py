"""mien crossval as a user runs it."""

import csv

import pytest
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import RecipeError

runner = CliRunner()

TINY = """
name: tiny
description: for tests
data: {protocol: kfold, folds: 2}
heads: [{label_set: own}]
network: {widths: [8], depths: [1]}
stages: [{epochs: 1, learning_rate: 0.1, batch_size: 20}]
"""


@pytest.mark.slow
def test_folds_are_trained_scored_summed_up_and_kept(patterns_path, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    out = tmp_path / "cv"
    ask = ["crossval", str(tmp_path / "tiny.yaml"), "--data", str(patterns_path), "-o", str(out)]
    first = runner.invoke(app, ask)
    assert first.exit_code == 0, first.output
    assert "fold 1, 2 of 2" in first.stderr
    assert "mean ± standard deviation over 2 folds" in first.stdout
    assert "last epoch, which no fold chose" in first.stdout
    with (out / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["fold"] for row in rows] == ["0", "1"]
    assert sum(int(row["n"]) for row in rows) == 141
    told = " ".join(f"--fold {row['run']}" for row in rows)
    assert f": mien data clean {patterns_path} {told} -o clean.parquet\n" in first.stderr  # on one line, to be copied
    again = runner.invoke(app, ask)
    assert again.stdout == first.stdout
    assert "fold 1, 2 of 2" not in again.stderr

    folds = [part for row in rows for part in ("--fold", row["run"])]
    cleaned = runner.invoke(app, ["data", "clean", str(patterns_path), "-o", str(tmp_path / "c.parquet"), *folds])
    assert cleaned.exit_code == 0, cleaned.output
    assert "errors:" in cleaned.stdout


@pytest.mark.slow
def test_random_folds_are_marked_optimistic(patterns_path, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    ask = ["crossval", str(tmp_path / "tiny.yaml"), "--data", str(patterns_path), "-o", str(tmp_path / "cv")]
    done = runner.invoke(app, [*ask, "--set", "data.protocol=kfold-random"])
    assert done.exit_code == 0, done.output
    assert "(optimistic)" in done.stdout
    assert "optimistic:" in done.stderr
    assert "mien data clean" not in done.stderr


def test_a_recipe_without_folds_says_how_to_get_them(patterns_path):
    done = runner.invoke(app, ["crossval", "default", "--data", str(patterns_path)])
    assert isinstance(done.exception, RecipeError)
    assert "--set data.protocol=kfold" in str(done.exception)
