"""mien board and mien matrix as a user runs them, in processes of their own."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from support.command_line import RECIPE, mien

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory, patterns_path) -> Path:
    """One network and one evaluate-only pipeline trained, and a list with a third that was not."""
    path = tmp_path_factory.mktemp("board")
    (path / "tiny.yaml").write_text(RECIPE)
    table = ("--data", patterns_path)
    mien("train", "tiny.yaml", *table, "-o", "runs/net", cwd=path)
    search = ("--set", "classifier.kind=knn", "--set", "search={}")
    mien("train", "hog", *table, *search, "-o", "runs/near", cwd=path)
    cells = [
        {"name": "Net", "recipe": "tiny.yaml", "run": "net"},
        {"name": "Near", "recipe": "hog", "set": ["classifier.kind=knn", "search={}"], "run": "near"},
        {"name": "Gone", "recipe": "cnn", "run": "gone", "needs": "time"},
    ]
    rows = [{"number": 1, "system": "S", "does": "d", "published": [{"figure": "99", "data": "X"}], "cells": cells}]
    (path / "list.yaml").write_text(yaml.safe_dump({"rows": rows}))
    return path


def test_a_board_of_runs_that_never_scores_the_test_split(folder, patterns_path):
    ask = ("board", "runs", "--data", patterns_path, "--list", "list.yaml", "--turns", 1, "-o", "docs/board.md")
    done = mien(*ask, "--html", "board.html", "--plot", "docs/board.png", cwd=folder)
    assert done.stdout.split() == ["docs/board.md", "board.html", "docs/board.png"]
    text = (folder / "docs" / "board.md").read_text(encoding="utf-8")
    assert "2 of 3 cells are filled" in text
    assert "![Accuracy against milliseconds a face](board.png)" in text
    assert "99 % on X, as quoted by the paper" in text
    lines = {
        line.split("|")[1].strip(): line.split("|")[1:-1] for line in text.split("## 1.")[1].splitlines() if "|" in line
    }
    assert "n = 35" in lines["Net"][2]
    assert float(lines["Net"][7]) > 0
    assert lines["Near"][7].strip() == ""
    assert "evaluate-only" in lines["Near"][11]
    assert "not run here; needs time" in lines["Gone"][11]
    assert (folder / "docs" / "board.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in (folder / "board.html").read_text(encoding="utf-8")
    assert not list(folder.glob("runs/*/predictions/test.parquet"))


def test_cells_stay_filled_when_their_runs_are_gone(folder, patterns_path):
    ask = ("board", "--data", patterns_path, "--list", "list.yaml", "--turns", 1, "--record", "kept.json")
    first = mien(*ask, "-o", "first.md", cwd=folder)
    assert first.stdout.split() == ["first.md"]
    shutil.move(folder / "runs", folder / "away")
    try:
        mien(*ask, "-o", "second.md", cwd=folder)
        missing = mien(*ask, "--missing", cwd=folder).stdout
    finally:
        shutil.move(folder / "away", folder / "runs")
    lines = [(folder / page).read_text(encoding="utf-8").splitlines() for page in ("first.md", "second.md")]
    differ = [line for line in lines[1] if line not in lines[0]]
    assert len(differ) == 3  # the time of the network, what its mark means, the command with its own -o
    assert "†" in differ[0]
    assert missing == "mien train cnn --data patterns.parquet -o runs/gone\n"
    assert "add --data" in mien("board", "--record", "kept.json", cwd=folder, code=2).stderr


def test_missing_prints_commands_alone(folder):
    done = mien("board", "--list", "list.yaml", "--missing", cwd=folder)
    assert done.stdout == "mien train cnn --data fer2013.parquet -o runs/gone\n"


def test_test_scores_are_asked_for_and_recorded(folder, patterns_path):
    shutil.copytree(folder / "runs", folder / "scored")
    ask = ("board", "scored", "--data", patterns_path, "--list", "list.yaml", "--turns", 0, "-o", "scored.md")
    for part in (["--score-test"], ["--score-test", "--ledger", "l.csv"], ["--ledger", "l.csv", "--why", "x"]):
        assert "together" in mien(*ask, *part, cwd=folder, code=2).stderr
    mien(*ask, "--score-test", "--ledger", "l.csv", "--why", "the board", cwd=folder)
    ledger = (folder / "l.csv").read_text().splitlines()
    assert len(ledger) == 1 + 3 + 1  # the network has two heads and the answer fused from them
    assert all(line.endswith("the board") for line in ledger[1:])
    for run in ("net", "near"):
        assert (folder / "scored" / run / "predictions" / "test.parquet").exists()
    assert (folder / "scored.md").read_text().count("n = 35") == 4
    again = mien(*ask, "--score-test", "--ledger", "l.csv", "--why", "again", cwd=folder)
    assert "scoring the test split" not in again.stderr
    assert (folder / "l.csv").read_text().splitlines() == ledger


def test_a_matrix_of_runs_and_tables(folder, patterns_path):
    shutil.copy(patterns_path, folder / "again.parquet")
    tables = ("--data", patterns_path, "--data", "again.parquet")
    done = mien("matrix", "runs/net", "runs/near", "default", *tables, "--plot", "m.png", cwd=folder)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["model", "---", "net", "near", "default"]
    names = [name.strip() for name in rows[0].split("|")[3:5]]
    assert names == ["patterns (patterns), original labels", "patterns (patterns), FER+ majority"]
    assert rows[2].count("**") == 8
    assert rows[4].count("**") == 0
    assert "- near on patterns (again), original labels: 7 labels (angry, " in done.stdout
    assert (folder / "m.png").read_bytes().startswith(b"\x89PNG")
    assert mien("matrix", "default", *tables, "-o", "x/m.md", cwd=folder).stdout == "x/m.md\n"
    assert "# Cross-data matrix" in (folder / "x" / "m.md").read_text()


def test_test_splits_want_a_reason(folder, patterns_path):
    from mien.data import table as tables

    made = tables.read(patterns_path)
    info = made.info.__class__(made.info.name, made.info.label_set, made.info.labels, official=True)
    made.with_splits(made.splits, info).write(folder / "official.parquet")
    ask = ("matrix", "runs/net", "--data", "official.parquet", "--split", "test")
    assert "--ledger FILE --why" in mien(*ask, cwd=folder, code=2).stderr
    mien(*ask, "--ledger", "m.csv", "--why", "cross", cwd=folder)
    assert (folder / "m.csv").read_text().splitlines()[1].endswith("matrix: cross")
    other = ("matrix", "runs/net", "--data", patterns_path, "--split", "test")
    assert "--ledger FILE --why" in mien(*other, cwd=folder, code=2).stderr, "whoever's test split it is"
    assert "n = 35" in mien(*other, "--ledger", "m.csv", "--why", "other", cwd=folder).stdout


def test_faults_are_one_line(folder, patterns_path):
    (folder / "wrong.yaml").write_text(json.dumps({"rows": []}))
    for arguments, words in [
        (("board", "--list", "absent.yaml"), "cannot read"),
        (("board", "--list", "wrong.yaml"), "1 fault"),
        (("matrix", "nonsense", "--data", patterns_path), "no model 'nonsense'"),
        (("matrix", "default", "--data", "absent.parquet"), "does not exist"),
        (("matrix", "default", "--data", patterns_path, "--split", "train"), "validation or test"),
    ]:
        stderr = mien(*arguments, cwd=folder, code=2).stderr
        assert words in stderr
        assert len(stderr.strip().splitlines()) == 1
