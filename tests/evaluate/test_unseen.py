import cv2
import numpy as np
import pytest
from pattern_pictures import pattern
from stub_model import StubModel

from mien.data import table as tables
from mien.data.writer import TableInfo, TableWriter, pixel_digest
from mien.errors import DataError
from mien.evaluate.unseen import score_by_name


def write(path, labels, order):
    """A table of other labels: one picture for each index in ``order``."""
    rng = np.random.default_rng(0)
    with TableWriter(path, TableInfo("elsewhere", "elsewhere", labels)) as writer:
        for row, label in enumerate(order):
            pixels = pattern(row % 7, rng)
            image = cv2.imencode(".png", pixels)[1].tobytes()
            digest = pixel_digest(pixels)
            writer.add(image=image, path="", label=label, split="test", row=row, group=row, digest=digest, votes=None)
    return tables.read(path)


def test_labels_in_another_order_or_missing_are_matched_by_name(tmp_path):
    table = write(tmp_path / "t.parquet", ("sad", "happy", "contempt"), [0, 1, 2, 1])
    found = score_by_name(StubModel(), table, "test")
    assert found.output == "probabilities"  # only the eight-label output knows contempt
    assert [found.labels[k] for k in found.truth] == ["sad", "happy", "contempt", "happy"]
    assert found.probabilities.shape == (4, 8)


def test_an_output_can_be_asked_for(tmp_path):
    table = write(tmp_path / "t.parquet", ("sad", "happy"), [0, 1])
    found = score_by_name(StubModel(), table, "test", "probabilities_fer2013")
    assert len(found.labels) == 7
    with pytest.raises(DataError, match="no output 'x'"):
        score_by_name(StubModel(), table, "test", "x")


def test_a_label_that_the_model_does_not_know_is_refused_by_name(tmp_path):
    table = write(tmp_path / "t.parquet", ("happy", "bored"), [0, 1])
    with pytest.raises(DataError, match="does not know bored"):
        score_by_name(StubModel(), table, "test")


def test_the_tables_own_label_set_goes_first(patterns):
    model = StubModel()
    model.card.graph_sha256 = ""
    for output in model.card.outputs.values():
        output.temperature = 1.0
    found = score_by_name(model, patterns, "validation")
    assert found.output == "probabilities_fer2013"
    assert found.truth.tolist() == patterns.split("validation").labels.tolist()
