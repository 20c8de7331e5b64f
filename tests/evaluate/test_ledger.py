"""Who scores test faces leaves a row, whichever way is taken."""

import csv
import errno
from pathlib import Path

import numpy as np
import pytest

from mien import models
from mien.errors import DataError, WriteError
from mien.evaluate import predictions
from mien.evaluate.ledger import COLUMNS, Ledger
from mien.report import evidence, matrix


@pytest.fixture(scope="module")
def model():
    return models.load("fast", threads=1)


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


@pytest.mark.parametrize(
    "score",
    [
        lambda model, table: predictions.predict(model, table, "test"),
        lambda model, table: evidence.entry(str(model.path), table, "test"),
        lambda model, table: matrix.cross([matrix.Contender("fast", model, "")], matrix.columns({"t": table}), "test"),
    ],
)
def test_without_a_ledger_no_test_face_is_scored(model, patterns, score, monkeypatch):
    def score_crops(crops):
        raise AssertionError("a test face was scored")

    monkeypatch.setattr(models.Model, "score", lambda self, crops: score_crops(crops))
    with pytest.raises(DataError, match="add --ledger FILE --why"):
        score(model, patterns)


def test_a_row_for_each_output_before_anybody_sees_the_answers(model, patterns, tmp_path):
    file = tmp_path / "looks.csv"
    scored = predictions.predict(model, patterns, "test", ledger=Ledger(file, "to see").about("matrix"))
    found = rows(file)
    assert tuple(found[0]) == COLUMNS
    assert [(row["label_set"], row["n"], row["why"]) for row in found] == [
        (s.label_set, str((s.truth >= 0).sum()), "matrix: to see") for s in scored.scores
    ]
    assert {row["data_fingerprint"] for row in found} == {patterns.fingerprint}
    predictions.predict(model, patterns, "test", ledger=Ledger(file, "again"))
    assert len(rows(file)) == 2 * len(found)
    with pytest.raises(WriteError, match="cannot write the ledger"):
        predictions.predict(model, patterns, "test", ledger=Ledger(tmp_path / "absent" / "l.csv", "x"))


def test_stored_answers_are_compared_without_a_row(model, patterns, tmp_path):
    ledger = Ledger(tmp_path / "looks.csv", "to see")
    predictions.write(predictions.predict(model, patterns, "test", ledger=ledger), tmp_path / "t.parquet")
    before = ledger.path.read_text()
    assert evidence.entry(str(tmp_path / "t.parquet"), None, "test").predictions.split == "test"
    assert ledger.path.read_text() == before


def test_answers_without_labels_need_no_row(model, patterns):
    part = patterns.split("test")
    blind = part.take(np.arange(3))
    assert {len(rows) for rows in predictions.answers(model, blind).values()} == {3}


def test_a_full_disk_keeps_the_rows_of_earlier_looks(model, patterns, tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "looks.csv", "to see")
    predictions.predict(model, patterns, "test", ledger=ledger)
    before = ledger.path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(WriteError, match="No space left"):
        predictions.predict(model, patterns, "test", ledger=ledger)
    assert ledger.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["looks.csv"]
