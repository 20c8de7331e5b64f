"""The answer fused inside a model file: what it says, that heads stay what they were, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from mien import models
from mien.errors import ExportError
from mien.evaluate import fusion, predictions
from mien.evaluate.calibration import Calibration
from mien.export import package
from mien.export.fusion_file import fuse
from mien.expressions import BASIC_SEVEN
from mien.models.card import attach, detach
from support.kept_looks import LOOK

CROPS = np.random.default_rng(0).integers(0, 256, (5, 61, 57, 3), np.uint8)


@pytest.fixture(scope="module")
def model(finished, patterns, tmp_path_factory) -> models.Model:
    return package.package(finished, patterns, tmp_path_factory.mktemp("fused") / "tiny.onnx")


@pytest.fixture(scope="module")
def heads_only(finished, patterns, tmp_path_factory) -> models.Model:
    """As files were before there was a fusion."""
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(package, "fusible", lambda *_: False)
        return package.package(finished, patterns, tmp_path_factory.mktemp("heads") / "tiny.onnx")


def test_the_answer_is_what_the_card_says_of_it(model):
    assert list(model.card.outputs) == ["probabilities", "probabilities_ferplus", "probabilities_fer2013"]
    answer = model.card.outputs["probabilities"]
    assert (answer.labels, answer.label_set, answer.prior) == (BASIC_SEVEN, "expressions", fusion.PRIOR)
    said = model.score(CROPS)
    heads = {output.label_set: said[name] for name, output in model.card.heads.items()}
    weights = {model.card.outputs[name].label_set: weight for name, weight in answer.fusion.items()}
    expected = Calibration.of(answer).probabilities(fusion.pool(heads, weights))
    assert said["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_heads_answer_to_the_last_bit_as_without_a_fusion(model, heads_only):
    assert list(heads_only.card.outputs) == ["probabilities", "probabilities_fer2013"]
    with_it, without = model.score(CROPS), heads_only.score(CROPS)
    assert np.array_equal(with_it["probabilities_ferplus"], without["probabilities"])
    assert np.array_equal(with_it["probabilities_fer2013"], without["probabilities_fer2013"])
    assert model.card.outputs["probabilities_ferplus"] == heads_only.card.outputs["probabilities"]


def test_a_file_without_a_fusion_is_renewed_into_the_one_that_export_makes(model, heads_only, patterns, tmp_path):
    made = package.renew(heads_only.path, patterns, tmp_path / "renewed.onnx")
    assert made.path.read_bytes() == model.path.read_bytes()


def test_renewing_twice_changes_nothing_and_figures_of_other_splits_stay(model, patterns, tmp_path):
    file = tmp_path / "again.onnx"
    file.write_bytes(model.path.read_bytes())
    package.record_metrics(file, predictions.predict(model, patterns, "test", ledger=LOOK))
    before = models.read_card(file).outputs
    made = package.renew(file, patterns, file)
    assert made.card.graph_sha256 == model.card.graph_sha256
    assert made.card.outputs == before
    assert set(before["probabilities"].metrics) == {"validation", "test"}
    assert made.card.golden == model.card.golden


def test_a_file_with_one_head_and_other_data_are_refused(model, patterns, tmp_path):
    graph, card = detach(model.path.read_bytes())
    single = replace(card, outputs={"probabilities": card.outputs["probabilities_fer2013"]})
    with pytest.raises(ExportError, match="heads ferplus and fer2013"):
        fuse(attach(graph, single), patterns)
    with pytest.raises(ExportError, match="other data"):
        package.renew(model.path, patterns.take(np.arange(50)), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_card_of_format_1_is_read_as_it_was(heads_only, tmp_path):
    """Without the fields that came with format 2, as the files of earlier versions have it."""
    import hashlib
    import json

    from mien.models.card import _entry  # pyright: ignore[reportPrivateUsage]

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
