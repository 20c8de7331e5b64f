"""mien explain as a user runs it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError, PictureError
from support.command_line import mien

PHOTO = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"
runner = CliRunner()


def test_a_photo_is_explained(tmp_path):
    target = tmp_path / "new" / "explained.png"
    done = runner.invoke(app, ["explain", "default", str(PHOTO), "--detector", "haar", "-o", str(target)])
    assert done.exit_code == 0
    said, written = done.stdout.splitlines()
    assert said.startswith("face 1: happy ")
    assert written == str(target)
    assert cv2.imread(str(target)).shape[1] == 1472


@pytest.mark.slow
def test_one_label_of_one_face(tmp_path):
    target = tmp_path / "explained.png"
    ask = ["explain", "default", str(PHOTO), "--detector", "haar", "-o", str(target), "--label", "sad", "--face", "1"]
    assert runner.invoke(app, ask).stdout.startswith("face 1: sad ")


@pytest.mark.parametrize(
    "wrong",
    [[], [str(PHOTO), "--data", "x.parquet"], ["--data", "x.parquet", "--face", "1"], [str(PHOTO), "--patch", "1"]],
)
def test_options_that_contradict_each_other(wrong):
    assert runner.invoke(app, ["explain", "default", *wrong]).exit_code == 2


def test_no_face_is_said_and_nothing_written(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((100, 100), 90, np.uint8))
    ask = ["explain", "default", str(tmp_path / "grey.png"), "--detector", "haar", "-o", str(tmp_path / "out.png")]
    done = runner.invoke(app, ask)
    assert isinstance(done.exception, PictureError)
    assert "--detector none takes the whole picture as one" in str(done.exception)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
def test_the_labels_of_a_table(tmp_path, patterns_path):
    ask = ["explain", "default", "--data", str(patterns_path), "--faces", "3", "-o", str(tmp_path / "regions")]
    done = runner.invoke(app, ask, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "regions" / "occlusion.json").read_text(encoding="utf-8"))
    assert (found["split"], found["output"], found["patch"]) == ("validation", "probabilities_fer2013", 0.2)
    assert sum(one["n"] for one in found["labels"]) <= 3
    for one in found["labels"]:
        assert np.array(one["falls"]).shape == (15, 15)
        assert any(line.startswith(f"{one['label']}: n = {one['n']}, ") for line in done.stdout.splitlines())
    assert cv2.imread(str(tmp_path / "regions" / "occlusion.png")) is not None
    again = tmp_path / "again"
    runner.invoke(app, [*ask[:-1], str(again)], catch_exceptions=False)
    assert (again / "occlusion.json").read_bytes() == (tmp_path / "regions" / "occlusion.json").read_bytes()


def test_an_output_that_does_not_fit_the_table(tmp_path, patterns_path):
    ask = ["explain", "default", "--data", str(patterns_path), "--head", "other", "-o", str(tmp_path)]
    done = runner.invoke(app, ask)
    assert isinstance(done.exception, DataError)
    assert "no output 'other'" in str(done.exception)


@pytest.mark.slow
def test_a_fault_is_one_line(tmp_path):
    said = mien("explain", "default", PHOTO, "--detector", "haar", "--label", "bored", cwd=tmp_path, code=2).stderr
    assert said.startswith("mien: no label 'bored' in the model's probabilities, only angry, ")
    assert said.count("\n") == 1
