"""Model files that are there: an answer fitted anew, figures in the card, and what must stay as it is."""

import numpy as np
import pytest

from mien import models
from mien.errors import ExportError
from mien.evaluate import predictions
from mien.export import revise
from mien.models.card import detach
from support.kept_looks import LOOK


def test_a_file_without_a_fusion_is_renewed_into_the_one_that_export_makes(fused, heads_only, patterns, tmp_path):
    made = revise.renew(heads_only.path, patterns, tmp_path / "renewed.onnx")
    assert made.path.read_bytes() == fused.path.read_bytes()


def test_renewing_twice_changes_nothing_and_figures_of_other_splits_stay(fused, patterns, tmp_path):
    file = tmp_path / "again.onnx"
    file.write_bytes(fused.path.read_bytes())
    revise.record_metrics(file, predictions.predict(fused, patterns, "test", ledger=LOOK))
    before = models.read_card(file).outputs
    made = revise.renew(file, patterns, file)
    assert made.card.graph_sha256 == fused.card.graph_sha256
    assert made.card.outputs == before
    assert set(before["probabilities"].metrics) == {"validation", "test"}
    assert made.card.golden == fused.card.golden


def test_a_file_of_other_data_is_not_renewed(fused, patterns, tmp_path):
    with pytest.raises(ExportError, match="other data"):
        revise.renew(fused.path, patterns.take(np.arange(50)), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_recording_figures_leaves_the_graph_as_it_is(fused, patterns, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(fused.path.read_bytes())
    scored = predictions.predict(fused, patterns, "test", ledger=LOOK)
    revise.record_metrics(copy, scored)
    graph_before, graph_after = detach(fused.path.read_bytes())[0], detach(copy.read_bytes())[0]
    assert graph_before == graph_after
    made, before = models.load(copy).card.outputs["probabilities"], fused.card.outputs["probabilities"]
    assert set(made.metrics) == {"validation", "test"}
    assert made.abstain == before.abstain, "thresholds come from validation alone"
