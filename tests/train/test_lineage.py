import json

import pytest
import torch

from mien import models
from mien.networks import build, weights
from mien.recipes import loader
from mien.runs import RunFolder
from mien.train import lineage, run

BASE = """
name: pupil
description: for tests
heads: [{label_set: fer2013}]
network: {widths: [8, 16], depths: [1, 1]}
data: {size: 24}
stages: [{epochs: 1, learning_rate: 0.1}]
"""


def recipe(*changes):
    return loader.parse(BASE, overrides=changes)


@pytest.fixture(scope="module")
def first(patterns, tmp_path_factory) -> RunFolder:
    return run.train(recipe("name=first"), patterns, tmp_path_factory.mktemp("first") / "run")


def test_from_scratch_there_is_none(first):
    assert first.read_state()["lineage"] == []


def test_a_run_says_what_it_started_from_and_whose_answers_it_learned(first, patterns, tmp_path):
    own = f"first, trained on {patterns.info.name}"
    changes = (f"network.weights.run={first.path}", f"distillation.teachers=[{first.path}, default]")
    second = run.train(recipe(*changes), patterns, tmp_path / "second")
    told = second.read_state()["lineage"]
    assert told[:2] == [f"started from {own}", f"learned the answers of {own}"]
    assert told[2].startswith("learned the answers of default 3, trained on fer2013")
    third = lineage.of(recipe("distillation.teachers=[" + str(second.path) + "]"), None)
    assert third == ["learned the answers of pupil, trained on " + patterns.info.name] + [
        f"learned the answers of {line}" for line in told
    ]


def test_a_file_of_weights_says_it_of_itself(tmp_path):
    from safetensors.torch import save_file
    from torchvision.models import resnet18

    state = resnet18(weights=None).state_dict()
    expected = {"mean": [0.5] * 3, "std": [0.25] * 3}
    for name, further in (("a", {"lineage": "faces of a list, not for trade"}), ("b", {})):
        save_file(state, tmp_path / f"{name}.safetensors", metadata={"mien": json.dumps(expected | further)})
    found = []
    for name in "ab":
        made = recipe("network={kind: timm, name: resnet18}", f"network.weights.file={tmp_path / name}.safetensors")
        torch.manual_seed(0)
        network = build.build(made, {"fer2013": 7})
        found += lineage.of(made, weights.start(network, made, {}))
    assert found == [
        "started from faces of a list, not for trade",
        "started from b.safetensors, of which no more is known",
    ]


def test_older_cards_name_it_by_recipe():
    card = models.read_card("default")
    assert "lineage" not in card.training
    assert card.lineage[0] == "started from runs/deep"
    assert "learned the answers of runs/fast" in card.lineage
    assert models.read_card("fast").lineage == ("started from fast-1.onnx", "learned the answers of default")
