"""The kinds of networks as recipes say them, and their faults."""

import pytest

from mien.errors import RecipeError
from mien.recipes import loader

BASE = """
name: n
description: for tests
heads: [{label_set: a}]
stages: [{epochs: 1, learning_rate: 0.1}]
"""


@pytest.mark.parametrize(
    "network",
    [
        "{kind: vgg, attention: eca}",
        "{kind: separable, stem: [8], spatial_dropout: 0}",
        "{kind: attentional, width: 32, hidden_units: [50, 20]}",
        "{kind: vgg, weights: {run: runs/other}}",
    ],
)
def test_a_recipe_survives_its_own_yaml(network):
    spec = loader.parse(BASE, overrides=[f"network={network}"])
    assert loader.parse(loader.dump(spec)) == spec


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("{kind: vg}", "network: kind must be residual, vgg, separable, attentional, timm or torchvision"),
        ("{kind: 3}", "network: kind must be residual"),
        ("{kind: [vgg]}", "network: kind must be residual"),
        ("{kind: vgg, dephts: [1]}", "network.dephts: unknown key; did you mean depths"),
        ("{kind: separable, drop_path: 0.1}", "network.drop_path: unknown key"),
        ("{kind: vgg, depths: [1]}", "widths has 5 groups, depths 1"),
        ("{kind: vgg, attention: cbam}", "network.attention"),
        ("{kind: vgg, weights: {hub: vgg16_bn.tv_in1k}}", "of kind: vgg come from a run or a model"),
        ("{kind: attentional, weights: {file: a.pth}}", "of kind: attentional come from a run or a model"),
        ("{kind: attentional, hidden_units: [50, 0]}", "network.hidden_units"),
    ],
)
def test_faults_name_the_kind_and_the_key(network, message):
    with pytest.raises(RecipeError) as caught:
        loader.parse(BASE, overrides=[f"network={network}"])
    assert message in str(caught.value)


def test_windows_are_not_for_a_network_of_one_size():
    with pytest.raises(RecipeError, match="takes whole faces only"):
        loader.parse(BASE, overrides=["network={kind: attentional}", "stages.0.augmentation.crop=40"])
