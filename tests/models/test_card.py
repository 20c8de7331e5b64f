import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from mien.errors import ModelError
from mien.models.card import Card, Golden, Output, attach, detach

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
