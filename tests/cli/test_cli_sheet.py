"""``mien sheet`` on class folders, as it is on tables."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mien.cli.sheet import sheet
from mien.errors import DataError, LabelError
from support.pattern_pictures import pattern

app = typer.Typer()
app.command()(sheet)


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["default", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def folder(root: Path, *classes: str) -> Path:
    rng = np.random.default_rng(6)
    for index, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(3):
            cv2.imwrite(str(root / name / f"{k}.png"), pattern(index, rng))
    return root


def test_all_pictures_of_a_folder_are_scored_and_the_seed_draws(tmp_path: Path) -> None:
    faces = folder(tmp_path / "faces", "happy", "sad")
    ask = ("--data", faces, "--faces", 4)
    text = run(*ask, "-o", tmp_path / "a.png")
    assert "on faces, validation, n = 6: top-1" in text
    run(*ask, "-o", tmp_path / "b.png", "--seed", 0)
    run(*ask, "-o", tmp_path / "c.png", "--seed", 1)
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in "abc"]
    assert pictures[0] == pictures[1] != pictures[2]


def test_numbered_folders_want_names_and_splits_stay_what_they_are(tmp_path: Path) -> None:
    numbered = folder(tmp_path / "numbered", "0", "1")
    with pytest.raises(LabelError, match="--labels"):
        run("--data", numbered, "-o", tmp_path / "s.png")
    assert "n = 6" in run("--data", numbered, "--labels", "sad,happy", "-o", tmp_path / "s.png")
    split = folder(tmp_path / "split", "test/happy", "test/sad")
    with pytest.raises(DataError, match="no 'validation' rows"):
        run("--data", split, "-o", tmp_path / "t.png")
    with pytest.raises(DataError, match="--ledger"):
        run("--data", split, "--split", "test", "-o", tmp_path / "t.png")
    assert not (tmp_path / "t.png").exists()
