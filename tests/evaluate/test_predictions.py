import numpy as np
import pytest

from mien import models
from mien.data import ferplus
from mien.data import table as tables
from mien.data.writer import TableInfo
from mien.errors import DataError, WriteError
from mien.evaluate import metrics, predictions
from support.kept_looks import LOOK
from support.made_table import write_table
from support.pattern_pictures import pattern, write_patterns


@pytest.fixture(scope="module")
def scored(patterns) -> predictions.Predictions:
    return predictions.predict(models.load(threads=1), patterns, "test", ledger=LOOK)


def test_every_face_is_scored_for_each_output(scored, patterns):
    assert [s.label_set for s in scored.scores] == ["expressions", "ferplus", "fer2013"]
    part = patterns.split("test")
    for s in scored.scores:
        assert s.probabilities.shape == (35, len(s.labels))
        assert s.rows.tolist() == patterns.split("test").rows.tolist()
        fused = s.label_set == "expressions"
        truth = ferplus.seven_plurality(part.votes) if fused else part.truth(s.label_set)
        assert s.truth.tolist() == truth.tolist()
    assert scored.provenance["data_fingerprint"] == patterns.fingerprint


def test_written_and_read_it_is_the_same(scored, tmp_path):
    predictions.write(scored, tmp_path / "deep" / "p.parquet")
    again = predictions.read(tmp_path / "deep" / "p.parquet")
    assert again.split == "test"
    assert again.provenance == scored.provenance
    for a, b in zip(again.scores, scored.scores, strict=True):
        assert (a.output, a.label_set, a.labels) == (b.output, b.label_set, b.labels)
        assert np.array_equal(a.probabilities, b.probabilities)
        assert metrics.measure(a) == metrics.measure(b)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["p.parquet"]


def test_a_place_that_cannot_be_written_is_an_error_of_ours(scored, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WriteError, match="cannot write"):
        predictions.write(scored, tmp_path / "file" / "p.parquet")


def test_other_files_are_refused(patterns_path, tmp_path):
    with pytest.raises(DataError, match="no predictions table"):
        predictions.read(patterns_path)
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "text", tmp_path / "absent"):
        with pytest.raises(DataError, match="cannot read"):
            predictions.read(path)


def test_a_predictions_table_is_no_data_table(scored, tmp_path):
    predictions.write(scored, tmp_path / "p.parquet")
    with pytest.raises(DataError, match="no data table"):
        tables.read(tmp_path / "p.parquet")


def test_a_table_with_other_labels_is_refused(patterns):
    other = tables.Table(patterns.arrow.drop(["votes"]).append_column("votes", patterns.arrow["votes"]), patterns.info)
    info = TableInfo("moods", "moods", ("up", "down"))
    votes_gone = other.arrow.set_column(other.arrow.schema.get_field_index("votes"), "votes", [[None] * len(other)])
    with pytest.raises(DataError, match="moods"):
        predictions.predict(models.load(), tables.Table(votes_gone, info), "test", ledger=LOOK)


def test_a_split_that_is_not_there_is_named(tmp_path):
    table = tables.read(write_patterns(tmp_path / "t.parquet", {"train": 7}))
    with pytest.raises(DataError, match="no 'test' rows, only train"):
        predictions.predict(models.load(), table, "test", ledger=LOOK)


def elsewhere(path, labels, order):
    """A table of other labels: one test picture for each index in ``order``."""
    rng = np.random.default_rng(0)
    faces = [(pattern(row % 7, rng), label, "test") for row, label in enumerate(order)]
    return write_table(path, TableInfo("elsewhere", "elsewhere", labels), faces)


def test_labels_of_other_data_are_matched_by_name(tmp_path):
    table = elsewhere(tmp_path / "t.parquet", ("sad", "happy"), [0, 1, 1])
    found = predictions.predict(models.load(threads=1), table, "test", ledger=LOOK)
    assert [s.output for s in found.scores] == ["probabilities", "probabilities_ferplus", "probabilities_fer2013"]
    for s in found.scores:
        assert s.label_set == "elsewhere"
        assert [s.labels[k] for k in s.truth] == ["sad", "happy", "happy"]
        assert s.probabilities.shape == (3, len(s.labels))


def test_only_outputs_that_know_all_labels_are_scored(tmp_path):
    table = elsewhere(tmp_path / "t.parquet", ("sad", "contempt"), [0, 1])
    assert [s.output for s in predictions.predict(models.load(threads=1), table, "test", ledger=LOOK).scores] == [
        "probabilities_ferplus"
    ]


def test_a_label_that_the_model_does_not_know_is_refused_by_name(tmp_path):
    table = elsewhere(tmp_path / "t.parquet", ("happy", "bored"), [0, 1])
    with pytest.raises(DataError, match="does not know bored"):
        predictions.predict(models.load(threads=1), table, "test", ledger=LOOK)
