"""Press photographs of a public repository: what of its list becomes rows, and that people stay together."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli.data import app
from mien.data import muxspace
from mien.data.cutting import Cut
from mien.data.listed import Deal
from mien.data.table import Table, read
from mien.errors import DataError
from mien.expressions import BASIC_SEVEN

WORDS = ("anger", "Disgusted", "FEAR", "happiness", "sadness", "surprised", "NEUTRAL")
COMMIT = muxspace.COMMIT + "0" * 32


@pytest.fixture
def checkout(write_tree) -> Path:
    """Forty people with two pictures each, at the pinned commit."""
    people = [f"A_B{k}_X" for k in range(40)]
    tree = {
        f"images/{name}_000{n}.jpg": np.random.default_rng(2 * k + n).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        for k, name in enumerate(people)
        for n in (1, 2)
    }
    root = write_tree(tree, "checkout")
    lines = [f"302,{name}_000{n}.jpg,{WORDS[k % 7]}" for k, name in enumerate(people) for n in (1, 2)]
    (root / "data").mkdir()
    (root / "data/legend.csv").write_text("\n".join(["user.id,image,emotion", *lines]) + "\n")
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text(COMMIT + "\n")
    return root


def add(checkout: Path, *lines: str) -> None:
    with (checkout / "data/legend.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")


def imported(checkout: Path, tmp_path: Path, **options) -> Table:
    muxspace.import_muxspace(checkout, tmp_path / "t.parquet", cut=Cut(), **options)
    return read(tmp_path / "t.parquet")


def by_path(table: Table) -> dict[str, str]:
    return {path: table.info.labels[k] for (_, _, path), k in zip(table.encoded(), table.labels, strict=True)}


def test_labels_of_any_spelling_become_the_basic_seven(checkout, tmp_path):
    table = imported(checkout, tmp_path)
    assert table.info.labels == BASIC_SEVEN
    assert [by_path(table)[f"images/A_B{k}_X_0001.jpg"] for k in range(7)] == list(BASIC_SEVEN)
    assert table.info.source["commit"] == COMMIT
    assert not any("checkout is at" in note for note in table.info.notes)
    assert set(table.column("annotator")) == {"302"}


def test_a_person_stays_on_one_side_of_the_deal(checkout, tmp_path):
    table = imported(checkout, tmp_path, deal=Deal(0.3, 0.0))
    people = np.array(table.column("person"))
    assert len(set(people.tolist())) == 40
    sides = {name: set(table.splits[people == name].tolist()) for name in set(people.tolist())}
    assert all(len(side) == 1 for side in sides.values())
    assert 0.2 < (table.splits == "validation").mean() < 0.4
    assert set(table.splits.tolist()) == {"train", "validation"}


def test_what_is_no_sound_label_is_left_out_and_said(checkout, tmp_path):
    add(checkout, "302,A_B0_X_0001.jpg,happiness", "302,A_B1_X_0001.jpg,disgust")  # torn; the same once more
    add(checkout, "302\tA_B2_X_0002.jpg\tcontempt", "jhamski,A_B3_X_0001.jpg,SADNESS", "jhamski,A_B4_X_0009.jpg,FEAR")
    table = imported(checkout, tmp_path)
    found = by_path(table)
    assert "images/A_B0_X_0001.jpg" not in found
    assert found["images/A_B1_X_0001.jpg"] == "disgust"
    assert "images/A_B2_X_0002.jpg" not in found  # fear and contempt contradict each other
    assert found["images/A_B3_X_0001.jpg"] == "happy"
    assert len(table) == 78
    notes = " ".join(table.info.notes)
    assert "2 labels left out, of jhamski" in notes
    assert "2 pictures left out, whose labels contradict each other: A_B0_X_0001.jpg, A_B2_X_0002.jpg" in notes
    assert "images/A_B3_X_0001.jpg" not in by_path(imported(checkout, tmp_path, everyone=True))


def test_another_commit_is_said(checkout, tmp_path):
    (checkout / ".git/HEAD").write_text("ref: refs/heads/master\n")
    (checkout / ".git/refs/heads").mkdir(parents=True)
    (checkout / ".git/refs/heads/master").write_text("1" * 40)
    assert f"the checkout is at commit {'1' * 40}; mien's figures are of {muxspace.COMMIT}" in " ".join(
        imported(checkout, tmp_path).info.notes
    )
    (checkout / ".git/HEAD").unlink()
    assert muxspace.commit_of(checkout) is None
    archive = checkout.rename(tmp_path / f"facial_expressions-{COMMIT}")
    assert muxspace.commit_of(archive) == COMMIT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("302,A_B0_X_0001.jpg", "line 82 is cut off: expected user.id,image,emotion"),
        ("302,A_B0_X_0001.jpg,hungry", "line 82: 'hungry' is not an expression"),
        ("302,../secret.jpg,anger", r"line 82: the picture '\.\./secret\.jpg' is not the name of a file in images/"),
    ],
)
def test_damaged_lists_are_refused(checkout, tmp_path, line, message):
    add(checkout, line)
    with pytest.raises(DataError, match=message):
        imported(checkout, tmp_path)
    assert not (tmp_path / "t.parquet").exists()


def test_what_is_no_checkout_is_refused(checkout, tmp_path):
    with pytest.raises(DataError, match=r"holds no folder images: expected a checkout of muxspace"):
        imported(checkout / "data", tmp_path)
    (checkout / "data/legend.csv").write_text("image,label\na.jpg,anger\n")
    with pytest.raises(DataError, match=r"legend.csv does not begin with user.id,image,emotion"):
        imported(checkout, tmp_path)
    (checkout / "data/legend.csv").unlink()
    with pytest.raises(DataError, match=r"legend.csv is no readable list"):
        imported(checkout, tmp_path)


def test_the_command_cuts_faces_out(checkout, tmp_path, portrait):
    shutil.copyfile(portrait, checkout / "images/A_B0_X_0001.jpg")
    words = ["import", "muxspace", checkout, "-o", tmp_path / "t.parquet", "--faces", "haar", "--validation", "0"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    table = read(tmp_path / "t.parquet")
    assert list(by_path(table)) == ["images/A_B0_X_0001.jpg"]  # noise has no face
    height, width = table.pictures().shape[1:3]
    assert height == width <= 96


def test_benchmarks_read_its_validation_split(checkout, tmp_path):
    from elsewhere import read as read_faces

    add(checkout, "jhamski,A_B0_X_0003.jpg,FEAR")
    cv2.imwrite(str(checkout / "images/A_B0_X_0003.jpg"), np.zeros((8, 8, 3), np.uint8))
    table = imported(checkout, tmp_path, deal=Deal(0.3, 0.0), everyone=True).split("validation")
    found = read_faces(tmp_path / "t.parquet")
    assert len(found.truth) == sum(name != "jhamski" for name in table.column("annotator"))
    assert found.crops.shape == (len(found.truth), 96, 96, 3)
    assert found.persons.max() + 1 == len(set(table.column("person")))
