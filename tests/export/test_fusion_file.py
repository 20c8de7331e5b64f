"""The answer fused inside a model file: what it says, that heads stay what they were, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from mien import models
from mien.errors import ExportError
from mien.evaluate import fusion
from mien.evaluate.calibration import Calibration
from mien.export.fusion_file import fuse
from mien.expressions import BASIC_SEVEN
from mien.models.card import attach, detach

CROPS = np.random.default_rng(0).integers(0, 256, (5, 61, 57, 3), np.uint8)


def test_the_answer_is_what_the_card_says_of_it(fused):
    assert list(fused.card.outputs) == ["probabilities", "probabilities_ferplus", "probabilities_fer2013"]
    answer = fused.card.outputs["probabilities"]
    assert (answer.labels, answer.label_set, answer.prior) == (BASIC_SEVEN, "expressions", fusion.PRIOR)
    said = fused.score(CROPS)
    heads = {output.label_set: said[name] for name, output in fused.card.heads.items()}
    weights = {fused.card.outputs[name].label_set: weight for name, weight in answer.fusion.items()}
    expected = Calibration.of(answer).probabilities(fusion.pool(heads, weights))
    assert said["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_heads_answer_to_the_last_bit_as_without_a_fusion(fused, heads_only):
    assert list(heads_only.card.outputs) == ["probabilities", "probabilities_fer2013"]
    with_it, without = fused.score(CROPS), heads_only.score(CROPS)
    assert np.array_equal(with_it["probabilities_ferplus"], without["probabilities"])
    assert np.array_equal(with_it["probabilities_fer2013"], without["probabilities_fer2013"])
    assert fused.card.outputs["probabilities_ferplus"] == heads_only.card.outputs["probabilities"]


def test_a_file_with_one_head_is_refused(fused, patterns):
    graph, card = detach(fused.path.read_bytes())
    single = replace(card, outputs={"probabilities": card.outputs["probabilities_fer2013"]})
    with pytest.raises(ExportError, match="heads ferplus and fer2013"):
        fuse(attach(graph, single), patterns)


def test_a_card_of_format_1_is_read_as_it_was(heads_only, tmp_path):
    """Without the fields that came with format 2, as the files of earlier versions have it."""
    import hashlib
    import json

    from mien.models.card import _entry

    graph, card = detach(heads_only.path.read_bytes())
    document = json.loads(card.to_json()) | {"format": 1, "graph_sha256": hashlib.sha256(graph).hexdigest()}
    for output in document["outputs"].values():
        del output["fusion"], output["prior"]
    file = tmp_path / "old.onnx"
    file.write_bytes(graph + _entry(json.dumps(document).encode()))
    old = models.load(file)
    assert old.card == heads_only.card
    for name, rows in heads_only.score(CROPS).items():
        assert np.array_equal(old.score(CROPS)[name], rows)
