"""The shipped files, and the refusals of the loader."""

import base64
import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from mien import models
from mien.errors import ModelError, PictureError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN


@pytest.fixture(scope="module")
def default() -> models.Model:
    return models.load(threads=1)


def test_a_foreign_caller_gets_the_golden_probabilities_with_onnxruntime_alone():
    """No mien in that process: the file alone says what goes in, what comes out and what is expected."""
    program = """
import base64, json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
card = json.loads(session.get_modelmeta().custom_metadata_map["mien"])
crop = numpy.frombuffer(base64.b64decode(card["golden"]["rgb"]), numpy.uint8)
crop = crop.reshape(1, card["height"], card["width"], 3)
names = list(card["outputs"])
for name, found in zip(names, session.run(names, {"faces": crop})):
    expected = numpy.array(card["golden"]["probabilities"][name])
    assert numpy.abs(found[0] - expected).max() < 1e-3, (name, found, expected)
    assert len(card["outputs"][name]["labels"]) == found.shape[1]
assert "mien" not in sys.modules
"""
    for path in models.installed().values():
        subprocess.run([sys.executable, "-I", "-c", program, str(path)], check=True)


def test_the_default_has_the_outputs_of_the_design(default):
    assert models.find() == models.installed()["default"]
    assert {name: output.labels for name, output in default.card.outputs.items()} == {
        "probabilities": BASIC_SEVEN,
        "probabilities_ferplus": BASIC_EIGHT,
        "probabilities_fer2013": BASIC_SEVEN,
    }
    assert default.path.stat().st_size <= 6_000_000


def test_scores_are_probabilities_whatever_the_size_and_number(default):
    rng = np.random.default_rng(0)
    for shape in ((1, 48, 48, 3), (70, 48, 48, 3), (2, 133, 97, 3), (1, 1, 1, 3)):
        out = default.score(rng.integers(0, 256, shape, np.uint8))
        for name, rows in out.items():
            assert rows.shape == (shape[0], len(default.card.outputs[name].labels))
            assert rows.dtype == np.float32
            assert np.allclose(rows.sum(axis=1), 1, atol=1e-5)
    assert default.score(np.empty((0, 48, 48, 3), np.uint8))["probabilities"].shape == (0, 7)


def test_batches_say_what_single_faces_say(default):
    crops = np.random.default_rng(1).integers(0, 256, (5, 48, 48, 3), np.uint8)
    together = default.score(crops)["probabilities"]
    alone = np.concatenate([default.score(crop[None])["probabilities"] for crop in crops])
    assert np.allclose(together, alone, atol=1e-5)


def test_the_network_sees_luma_so_channel_order_matters(default):
    golden = default.card.golden_crop().copy()
    golden[..., 1:] = 0  # red alone weighs 0.299, blue 0.114
    rgb, bgr = (default.score(np.ascontiguousarray(c)[None])["probabilities"] for c in (golden, golden[..., ::-1]))
    assert not np.allclose(rgb, bgr, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((48, 48, 3), np.uint8),
        np.zeros((1, 48, 48, 3)),
        np.zeros((1, 48, 48, 4), np.uint8),
        np.zeros((1, 48, 48), np.uint8),
    ],
)
def test_other_arrays_are_refused(default, wrong):
    with pytest.raises(PictureError, match="RGB uint8"):
        default.score(wrong)


def test_unknown_names_suggest(tmp_path):
    with pytest.raises(ModelError, match="did you mean 'default'"):
        models.load("defautl")
    (tmp_path / "x.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="no card"):
        models.load(tmp_path / "x.onnx")


def test_a_file_with_a_bit_turned_is_refused(default, tmp_path):
    data = bytearray(default.path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "turned.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        models.load(tmp_path / "turned.onnx")


def test_a_valid_card_on_no_graph_is_refused(default, tmp_path):
    path = tmp_path / "hollow.onnx"
    path.write_bytes(models.card.attach(b"no graph", default.card))
    with pytest.raises(ModelError, match="ONNX Runtime"):
        models.load(path)


def test_read_card_loads_no_graph(default, monkeypatch):
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    card = models.read_card("default")
    assert card == default.card
    assert json.loads(card.to_json())["name"] == "default"
    assert len(base64.b64decode(card.golden.rgb)) == card.height * card.width * 3
