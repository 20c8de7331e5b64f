import base64
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from mien.errors import ModelError
from mien.models import model as models
from mien.models.card import (
    Card,
    Golden,
    Output,
    _entry,
    attach,
    detach,
    parse,
)

GRAPH = b"\x08\x08\x12\x04mien" + bytes(range(256))
CARD = Card(
    name="toy",
    version="3",
    outputs={"probabilities": Output(("no", "yes"), "toy", 1.5, {"validation": {"top1": 50.0}})},
    height=2,
    width=4,
    framing={"none": {"scale": 1.0, "dx": 0.0, "dy": 0.0}},
    framing_rule="side = ...",
    golden=Golden(base64.b64encode(bytes(range(24))).decode(), {"probabilities": (0.25, 0.75)}, "numbers"),
    recipe={"name": "toy"},
    data={"name": "toy"},
    training={"seed": 1},
    licence="Apache-2.0",
    data_terms="none",
    intended_use="tests — nothing else",
)


def test_attach_and_detach_give_back_graph_and_card():
    graph, card = detach(attach(GRAPH, CARD))
    assert graph == GRAPH
    assert card.name == "toy"
    assert card.outputs["probabilities"].labels == ("no", "yes")
    assert card.intended_use == CARD.intended_use
    assert card.golden_crop().shape == (2, 4, 3)
    assert np.array_equal(card.golden_crop().ravel(), np.arange(24))


@pytest.mark.parametrize(
    "damage", [lambda f: f[:-1], lambda f: f + b"\0", lambda f: b"\0" + f[1:], lambda f: f[: len(f) // 2]]
)
def test_a_damaged_file_is_refused(damage):
    with pytest.raises(ModelError):
        detach(damage(attach(GRAPH, CARD)))


def test_a_file_without_a_card_is_refused():
    with pytest.raises(ModelError, match="no card"):
        detach(b"")
    with pytest.raises(ModelError, match="no card"):
        detach(GRAPH)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"outputs": {}},
        {"outputs": {"p": {"labels": ["a"]}}},
        {"golden": {"rgb": "AAAA", "probabilities": {}, "source": ""}},
        {"name": None, "surplus": 1},
    ],
)
def test_a_card_that_lacks_something_is_refused(change):
    class Changed(Card):
        def to_json(self) -> str:
            return json.dumps(json.loads(super().to_json()) | change)

    with pytest.raises(ModelError, match="card"):
        detach(attach(GRAPH, Changed(**CARD.__dict__)))


def test_the_threshold_is_that_of_the_largest_rate_that_is_not_above_the_one_asked_for():
    output = replace(CARD.outputs["probabilities"], abstain={"0.2": 0.4, "0.05": 0.8})
    _, card = detach(attach(GRAPH, replace(CARD, outputs={"probabilities": output})))
    assert [card.threshold(rate) for rate in (0.05, 0.1, 0.2, 0.5)] == [0.8, 0.8, 0.4, 0.4]
    with pytest.raises(ModelError, match=r"only for 0\.05, 0\.2"):
        card.threshold(0.01)
    with pytest.raises(ModelError, match="mien export"):
        CARD.threshold(0.1)


def resealed(document):
    """A file of format 2, which has no sha256 over its card, with another card."""
    graph, _ = detach(attach(GRAPH, CARD))
    stated = json.loads(CARD.to_json()) | {"graph_sha256": hashlib.sha256(graph).hexdigest()}
    return graph + _entry(json.dumps(stated | document).encode())


@pytest.mark.parametrize(("old", "new"), [(b'["no", "yes"]', b'["yes", "no"]'), (b"1.5", b"2.5"), (b"toy", b"top")])
def test_a_card_that_was_changed_is_refused(old, new):
    file = attach(GRAPH, CARD)
    assert old in file
    with pytest.raises(ModelError, match="damaged: its card is not the one that was written"):
        detach(file.replace(old, new))


def test_only_older_formats_come_without_the_sha256():
    assert detach(resealed({"format": 2}))[1] == detach(attach(GRAPH, CARD))[1]
    for document in ({"format": 3}, {"format": 3, "sha256": 5}, {"format": 3, "sha256": ""}):
        with pytest.raises(ModelError, match="its card is not the one that was written"):
            detach(resealed(document))


def with_output(**change):
    return {"outputs": {"probabilities": json.loads(CARD.to_json())["outputs"]["probabilities"] | change}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_output(labels=[]), "has 0 labels"),
        (with_output(labels=["a", "a"]), "has a label twice"),
        (with_output(labels="ab"), "labels is no list"),
        (with_output(labels=["a", 5]), "a label is no text"),
        (with_output(bias=[1.0]), "bias is not one number per label"),
        (with_output(prior=[0.5, float("nan")]), "prior is not one number per label"),
        (with_output(prior=[0.9, 0.9]), "shares do not come to 1"),
        (with_output(temperature=0), "temperature is no number above 0"),
        (with_output(abstain={"rate": 0.5}), "abstain is no mapping"),
        (with_output(fusion={"other": 1.0}), "which is no head"),
        ({"height": -1}, "height is -1"),
        ({"width": 10**9}, "width is 1000000000"),
        ({"framing": {"haar": {"scale": "wide"}}}, "framing of 'haar'"),
        ({"framing": {"haar": {"scale": -1.0, "dx": 0.0, "dy": 0.0}}}, "has a scale of -1.0"),
        ({"framing": []}, "framing is no mapping"),
        ({"outputs": []}, ""),
        ({"golden": {"rgb": "", "probabilities": {}, "source": ""}}, "cannot reshape"),
        ({"name": None}, "name is no text"),
        ({"name": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_a_broken_card_is_one_line_that_says_what_is_wrong(change, reason):
    with pytest.raises(ModelError, match=f"x has no valid card: .*{reason}") as caught:
        detach(resealed({"format": 2} | change), "x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", [b"[" * 100_000, b"[1]", b"5", b"{}", b"\xff", b'{"format": [1]}', b'{"format": 2}'])
def test_what_is_no_card_is_one_line(value):
    with pytest.raises(ModelError, match=r"^x has (no valid card|card format)"):
        parse(value, "x")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    file = tmp_path / "large.onnx"
    file.write_bytes(b"x" * 100)
    monkeypatch.setattr(models, "_LARGEST", 99)
    with pytest.raises(ModelError, match=r"large\.onnx: 100 bytes, a model file has up to 99"):
        models.read_file(file)
