"""Cleaning: only train rows change, each change has its reason, and the table trains on what it says."""

import csv

import numpy as np
import pytest

from mien.data import clean as cleaning
from mien.data import table as tables
from mien.data.writer import TableInfo
from mien.errors import DataError
from mien.expressions import BASIC_SEVEN, FERPLUS_VOTES
from support.made_table import write_table
from support.pattern_pictures import pattern, votes_for

ANGRY, SAD, NEUTRAL = (BASIC_SEVEN.index(name) for name in ("angry", "sad", "neutral"))


def write(path, rows):
    """Rows of (picture number, label, split, votes); equal numbers are equal pictures, 0 is blank."""
    pictures = {0: np.full((48, 48), 9, np.uint8)}
    for number, *_ in rows:
        pictures.setdefault(number, pattern(number % 7, np.random.default_rng(number)))
    made = [(pictures[number], label, split, votes) for number, label, split, votes in rows]
    return write_table(path, TableInfo("made", "fer2013", BASIC_SEVEN, official=True), made, first_row=10)


def not_a_face(against):
    votes = [0] * 10
    votes[FERPLUS_VOTES.index("NF")] = against
    votes[0] = 10 - against
    return votes


@pytest.fixture
def table(tmp_path):
    agreed = [(20 + k, k % 7, "train", votes_for(k % 7)) for k in range(70)]
    rows = [
        (0, ANGRY, "train", votes_for(ANGRY)),  # row 10: blank
        (1, SAD, "train", not_a_face(6)),  # row 11
        (2, ANGRY, "train", votes_for(ANGRY)),  # rows 12-14: one picture, two labels
        (2, SAD, "train", votes_for(ANGRY)),
        (2, ANGRY, "train", votes_for(ANGRY)),
        (3, NEUTRAL, "train", votes_for(NEUTRAL)),  # rows 15, 16: one picture
        (3, NEUTRAL, "train", votes_for(NEUTRAL)),
        (0, ANGRY, "validation", votes_for(ANGRY)),  # what would be left out of training stays here
        (2, SAD, "test", not_a_face(9)),
        (2, SAD, "test", votes_for(ANGRY)),
    ]
    return write(tmp_path / "made.parquet", [*rows, *agreed])


def column(table, name, row):
    return table.arrow[name][table.rows.tolist().index(row)].as_py()


def test_what_shows_no_face_is_left_out(table):
    cleaned = cleaning.clean(table, ("faces",))
    assert [(lost.row, lost.label, lost.reason) for lost in cleaned.left_out] == [
        (10, "angry", "blank"),
        (11, "sad", "6 of 10 votes for not a face"),
    ]
    assert cleaned.changed == {"faces": 2}
    assert len(cleaned.table) == len(table) - 2
    assert all(reason is None for reason in cleaned.table.arrow["reason"].to_pylist())


def test_copies_become_one_row_with_the_mean_of_their_labels(table):
    cleaned = cleaning.clean(table, ("copies",))
    assert {lost.row: lost.reason for lost in cleaned.left_out} == {
        13: "copy of row 12",
        14: "copy of row 12",
        16: "copy of row 15",
    }
    assert column(cleaned.table, "reason", 12) == "copies are labelled angry 2x, sad 1x"
    targets = cleaned.table.targets("fer2013")[cleaned.table.rows == 12][0]
    assert np.allclose(targets[[ANGRY, SAD]], [2 / 3, 1 / 3])
    assert cleaned.table.targets("fer2013")[cleaned.table.rows == 15][0].tolist() == np.eye(7)[NEUTRAL].tolist()
    assert column(cleaned.table, "reason", 15) is None


def outside(table, wrong):
    """Confident out-of-fold answers: right, but for ``wrong``, source row to label."""
    train = table.split("train")
    said = np.full((len(train), 7), 0.02)
    guess = [wrong.get(row, label) for row, label in zip(train.rows.tolist(), train.labels.tolist(), strict=True)]
    said[np.arange(len(train)), guess] = 0.88
    return cleaning.Outside(train.rows, said)


def test_labels_that_unseen_predictions_contradict_are_taken_away(table):
    row = int(table.rows[-1])
    assert table.labels[-1] == 69 % 7 != SAD
    cleaned = cleaning.clean(table, ("errors",), outside=outside(table, {row: SAD}))
    assert not cleaned.left_out
    assert cleaned.changed == {"errors": 1}
    assert column(cleaned.table, "label", row) is None
    assert column(cleaned.table, "reason", row) == f"label {BASIC_SEVEN[69 % 7]}, out-of-fold sad 0.88"
    assert cleaned.table.targets("fer2013")[-1].sum() == 0
    assert cleaned.table.targets("ferplus")[-1].tolist() == table.targets("ferplus")[-1].tolist()


def test_votes_are_blended_in(table):
    cleaned = cleaning.clean(table, ("votes",), blend=0.25)
    targets = cleaned.table.targets("fer2013")
    place = cleaned.table.rows == 13  # labelled sad; eight votes for angry, two for neutral
    assert np.allclose(targets[place][0][[SAD, ANGRY, NEUTRAL]], [0.75, 0.2, 0.05])
    assert column(cleaned.table, "reason", 13) == "blended with votes, 0.25"
    assert np.allclose(targets.sum(axis=1), 1)


@pytest.mark.parametrize("steps", [("faces",), ("copies",), ("votes",), ("faces", "copies", "votes")])
def test_validation_and_test_stay_as_they_were(table, steps):
    cleaned = cleaning.clean(table, steps).table
    for split in ("validation", "test"):
        before, after = table.split(split), cleaned.split(split)
        assert before.rows.tolist() == after.rows.tolist()
        assert before.labels.tolist() == after.labels.tolist()
        for name in table.label_sets:
            assert (before.targets(name) == after.targets(name)).all()
            assert before.truth(name).tolist() == after.truth(name).tolist()


def test_the_file_says_all_and_reads_as_it_was_written(table, tmp_path):
    cleaned = cleaning.clean(table)
    lost = cleaned.write(tmp_path / "clean.parquet")
    again = tables.read(tmp_path / "clean.parquet")
    assert again.fingerprint == cleaned.table.fingerprint != table.fingerprint
    assert again.info == cleaned.table.info
    assert again.info.official
    assert "5 rows left out" in again.info.notes[-1]
    assert (again.targets("fer2013") == cleaned.table.targets("fer2013")).all()
    assert (again.pictures(48) == cleaned.table.pictures(48)).all()
    with lost.open() as file:
        assert [row["row"] for row in csv.DictReader(file)] == ["10", "11", "13", "14", "16"]


def test_steps_that_cannot_be_done_are_refused(table, tmp_path):
    for steps, words in ((("errors",), "needs out-of-fold"), (("polish",), "no cleaning step"), ((), "nothing is no")):
        with pytest.raises(DataError, match=words):
            cleaning.clean(table, steps)
    with pytest.raises(DataError, match="blend is 0"):
        cleaning.clean(table, ("votes",), blend=0)
    other = cleaning.Outside(np.array([999]), np.full((1, 7), 1 / 7))
    with pytest.raises(DataError, match="lacks, as 999"):
        cleaning.clean(table, ("errors",), outside=other)
    without = write(tmp_path / "w.parquet", [(1 + k, k, "train", None) for k in range(7)])
    with pytest.raises(DataError, match="needs FER\\+ votes"):
        cleaning.clean(without, ("votes",))
    assert cleaning.clean(without, ("faces", "copies")).changed == {"faces": 0, "copies": 0}
