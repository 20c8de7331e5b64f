import re

import pytest
import torch

from mien.errors import RecipeError
from mien.networks.build import build, parameters
from mien.recipes import loader

BASE = """
name: n
description: for tests
heads: [{label_set: a}]
stages: [{epochs: 1, learning_rate: 0.1}]
network: {stem: [8], widths: [8, 16], depths: [1, 2], dropout: 0.5}
"""


def made(*changes: str, **classes: int):
    return build(loader.parse(BASE, overrides=changes), classes or {"a": 7})


def stage(**values):
    return loader.Stage(epochs=1, learning_rate=0.1, **values)


def test_each_head_has_its_labels_and_any_size_goes_in():
    network = made(ferplus=8, fer2013=7).eval()
    for size in (40, 48, 64):
        out = network(torch.rand(3, 1, size, size))
        assert {name: rows.shape for name, rows in out.items()} == {"ferplus": (3, 8), "fer2013": (3, 7)}


def test_parameters_of_the_plain_network_of_the_literature():
    # By hand: stem, six blocks of two 3x3 convolutions, two 1x1 shortcuts, batch norms and both heads.
    widths = (40, 80, 160)
    conv = 9 * (1 * 40 + 4 * 40 * 40 + 40 * 80 + 3 * 80 * 80 + 80 * 160 + 3 * 160 * 160) + 40 * 80 + 80 * 160
    norm = 2 * (40 + sum(4 * width for width in widths) + 80 + 160)
    heads = 160 * 15 + 15
    network = made("network={widths: [40, 80, 160], depths: [2, 2, 2]}", ferplus=8, fer2013=7)
    assert parameters(network) == conv + norm + heads


def test_resnet50_has_the_known_parameters():
    rgb = ("data.color=rgb", "network={kind: timm, name: resnet50}")
    assert parameters(made(*rgb)) == 23_522_375
    assert parameters(made(*rgb, "network.hidden_units=256")) == 23_508_032 + 2048 * 256 + 256 + 256 * 7 + 7
    assert parameters(made("network={kind: torchvision, name: resnet50}")) == 23_522_375 - 2 * 64 * 49


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet18", 11.180),
        ("resnet34", 21.288),
        ("resnet50", 23.522),
        ("resnet101", 42.515),
        ("resnet152", 58.158),
        ("vgg16", 134.289),
        ("vgg16_bn", 134.298),
        ("vgg19", 139.599),
        ("densenet161", 26.487),
        ("seresnet50", 26.053),
        ("inception_v3", 21.800),
        ("mobilenetv3_small_100", 1.525),
        ("repvgg_a0", 7.837),
        ("mobileone_s0", 4.276),
        ("fastvit_t8", 3.263),
        ("convnext_atto", 3.377),
    ],
)
def test_backbones_of_the_literature_have_the_known_parameters(name, millions):
    with torch.device("meta"):  # neither memory nor first weights
        network = made(f"network={{kind: timm, name: {name}}}", "data.color=rgb", "data.size=96")
    assert parameters(network) / 1e6 == pytest.approx(millions, abs=0.0006)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("alexnet", 57.033),
        ("resnet18", 11.180),
        ("resnet34", 21.288),
        ("resnet152", 58.158),
        ("vgg16", 134.298),
        ("vgg19", 139.610),
        ("vgg16-pooled", 14.721),
        ("vgg19-pooled", 20.032),
        ("inception-v3", 21.800),
        ("densenet161", 26.487),
        ("senet50", 26.053),
        ("akhand-2021", 26.487),
        ("khanzada-2020", 36.103),
        ("hou-2022", 14.721),
        ("minaee-2021", 0.067),
        ("cnn", 0.322),
    ],
)
def test_recipes_of_the_literature_have_the_parameters_they_say(name, millions):
    spec = loader.load_network(name)
    with torch.device("meta"):
        network = build(spec, {spec.heads[0].label_set: 7})
    assert parameters(network) / 1e6 == pytest.approx(millions, abs=0.0006)
    said = re.search(r"([\d.]+) M parameters", spec.description)
    assert said is None or float(said[1]) == pytest.approx(millions, abs=0.0051)


def test_vgg16_has_the_convolutions_of_the_original():
    conv = 9 * (64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256 + 256 * 512 + 5 * 512 * 512)
    norm = 2 * (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512)
    assert parameters(made("network={kind: vgg}")) == conv + norm + 512 * 7 + 7
    eca = parameters(made("network={kind: vgg, attention: eca}")) - parameters(made("network={kind: vgg}"))
    assert eca == 3 + 3 * 5 + 5  # one kernel a group: 3 places for 64 channels, 5 from 128 to 512


def test_a_group_halves_the_size_and_attention_sees_it_before():
    backbone = made("network={kind: vgg, widths: [8, 16], depths: [1, 2], attention: se}").backbone.eval()
    seen = []
    for group in backbone:
        group.attention.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    assert backbone(torch.rand(1, 1, 48, 48)).shape == (1, 16, 12, 12)
    assert seen == [(1, 8, 48, 48), (1, 16, 24, 24)]


def test_groups_are_what_a_stage_unfreezes():
    network = made("network={kind: vgg, widths: [8, 16], depths: [1, 2]}")
    network.prepare(stage(trainable=1))
    learns = [any(p.requires_grad for p in group.parameters()) for group in network.backbone]
    assert learns == [False, True]


def test_the_separable_network_is_small_and_convolves_each_channel_by_itself():
    network = made("network={kind: separable}")
    assert parameters(network) == pytest.approx(0.17e6, rel=0.03)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    wide = [c for c in convolutions if c.kernel_size == (3, 3) and c.groups == 1]
    assert [c.out_channels for c in wide] == [16, 16]  # the stem's alone
    assert network.eval().backbone(torch.rand(1, 1, 48, 48)).shape == (1, 224, 3, 3)


def test_whole_channels_are_dropped_in_training_only():
    block = made("network={kind: separable, spatial_dropout: 0.5}").backbone[-1]
    faces = torch.rand(4, 128, 6, 6)
    dropped = (block.train()(faces) == 0).all(dim=(2, 3)).float().mean()
    assert 0.3 < dropped < 0.7
    assert not (block.eval()(faces) == 0).any()


@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_a_spatial_transformer_starts_as_it_should_and_moves_what_it_sees(color):
    network = made("network={kind: attentional, hidden_units: 50}", f"data.color={color}").eval()
    transformer = network.backbone[0]
    faces = torch.rand(3, 1 if color == "grey" else 3, 48, 48)
    assert torch.allclose(transformer(faces), faces, atol=1e-5)
    transformer.dense[-1].bias.data = torch.tensor([1.0, 0, 2 * 6 / 48, 0, 1.0, 0])  # six pixels to the right
    assert torch.allclose(transformer(faces)[..., :-6], faces[..., 6:], atol=1e-4)
    assert (transformer(faces)[..., -6:] == 0).all()


def test_where_a_spatial_transformer_looks_is_learned():
    network = made("network={kind: attentional, hidden_units: 50}")
    torch.nn.functional.cross_entropy(network(torch.rand(4, 1, 48, 48))["a"], torch.arange(4)).backward()
    for layer in (network.backbone[0].dense[-1].bias, network.backbone[1][0].weight):
        assert layer.grad is not None
        assert layer.grad.abs().sum() > 0


def test_dense_layers_in_front_of_the_heads():
    network = made("network={widths: [8], depths: [1], hidden_units: [32, 16]}", a=3, b=4)
    shapes = [tuple(layer.weight.shape) for layer in network.hidden if isinstance(layer, torch.nn.Linear)]
    assert shapes == [(32, 8), (16, 32)]
    assert {name: head.in_features for name, head in network.heads.items()} == {"a": 16, "b": 16}
    one, other = (made(f"network={{widths: [8], depths: [1], hidden_units: {hidden}}}") for hidden in ("32", "[32]"))
    assert one.state_dict().keys() == other.state_dict().keys()  # earlier runs still load


@pytest.mark.parametrize(
    "network",
    [
        "{kind: vgg, widths: [8, 16], depths: [1, 2], attention: eca}",
        "{kind: separable}",
        "{kind: attentional}",
        "{kind: timm, name: resnet18}",
        "{kind: timm, name: resnet18, stem: small, hidden_units: 32}",
        "{kind: timm, name: mobilenetv3_small_100}",
        "{kind: timm, name: convnext_atto, drop_path: 0.1}",
        "{kind: torchvision, name: resnet18}",
        "{kind: torchvision, name: densenet121}",
        "{widths: [8, 16], depths: [1, 1], hidden_units: 5}",
    ],
)
@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_backbones_by_name_take_grey_and_colour(network, color):
    channels = 1 if color == "grey" else 3
    built = made(f"network={network}", f"data.color={color}").eval()
    out = built(torch.rand(2, channels, 48, 48))["a"]
    assert out.shape == (2, 7)
    assert torch.isfinite(out).all()


def test_a_small_stem_keeps_larger_maps():
    sizes = {}
    for stem in ("standard", "small"):
        backbone = made(f"network={{kind: timm, name: resnet18, stem: {stem}}}").backbone
        sizes[stem] = backbone.forward_features(torch.rand(1, 1, 48, 48)).shape[-1]
    assert sizes == {"standard": 2, "small": 6}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("{kind: timm, name: resnet5x}", "timm has no backbone"),
        ("{kind: torchvision, name: resnet5x}", "torchvision has no backbone"),
        ("{kind: torchvision, name: alexnet}", "does not take pictures of 48x48"),
        ("{kind: timm, name: convnext_atto, stem: small}", "which 'convnext_atto' has not"),
        ("{kind: torchvision, name: squeezenet1_0}", "no linear classifier"),
        ("{kind: vgg, widths: [1, 1, 1, 1, 1, 1], depths: [1, 1, 1, 1, 1, 1]}", "does not take pictures of 48x48"),
    ],
)
def test_backbones_that_cannot_be_are_refused(network, message):
    with pytest.raises(RecipeError, match=message):
        made(f"network={network}")


def test_pixels_are_normalised_as_the_recipe_says():
    faces = torch.rand(2, 1, 48, 48)
    one, other = made("data.mean=[0.0]", "data.std=[1.0]").eval(), made().eval()
    other.load_state_dict(one.state_dict())
    assert torch.allclose(one((faces - 0.51) / 0.25)["a"], other(faces)["a"], atol=1e-5)


def test_dropout_acts_in_training_only():
    network, faces = made(a=4), torch.rand(4, 1, 48, 48)
    network.backbone.eval()
    assert not torch.equal(network(faces)["a"], network(faces)["a"])
    network.eval()
    assert torch.equal(network(faces)["a"], network(faces)["a"])


def test_a_stage_chooses_what_trains():
    network = made("network={kind: timm, name: resnet18}")
    heads = sum(p.numel() for p in network.heads.parameters())
    counts = []
    for trainable in ("all", "classifier", 1, 2, len(network.blocks())):
        network.prepare(stage(trainable=trainable))
        counts.append(sum(p.numel() for p in network.parameters() if p.requires_grad))
    everything, classifier, one, two, blocks = counts
    assert classifier == heads < one < two < everything == blocks
    assert one - heads == sum(p.numel() for p in network.backbone.layer4[-1].parameters())
    with pytest.raises(RecipeError, match="has 10 blocks"):
        network.prepare(stage(trainable=11))


@pytest.mark.parametrize(
    ("trainable", "batch_norm", "first_moves", "last_moves"),
    [
        ("classifier", "follow", False, False),
        ("classifier", "batch", True, True),
        ("all", "follow", True, True),
        ("all", "fixed", False, False),
        (1, "follow", False, True),
        (1, "batch", True, True),
    ],
)
def test_batch_norm_in_frozen_and_learning_parts(trainable, batch_norm, first_moves, last_moves):
    network, faces = made("network={kind: timm, name: resnet18}"), torch.rand(8, 1, 48, 48)
    chosen = stage(trainable=trainable, batch_norm=batch_norm)
    network.prepare(chosen)
    before = [norm.running_mean.clone() for norm in (network.backbone.bn1, network.backbone.layer4[-1].bn2)]
    network.train_as(chosen)
    network(faces)
    after = [network.backbone.bn1.running_mean, network.backbone.layer4[-1].bn2.running_mean]
    assert [not torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [first_moves, last_moves]


@pytest.mark.parametrize("attention", ["se", "eca"])
def test_attention_weighs_channels(attention):
    plain, attentive = made(), made(f"network.attention={attention}")
    more = parameters(attentive) - parameters(plain)
    assert 0 < more < 0.2 * parameters(plain)
    block = attentive.backbone[-1].eval()  # 16 channels in and out
    block.second[1].weight.data.fill_(1.0)
    seen = []
    block.attention.register_forward_hook(lambda module, inputs, output: seen.append((output / inputs[0]).detach()))
    block(torch.rand(2, 16, 12, 12) + 0.1)
    assert torch.allclose(seen[0].amin(dim=(2, 3)), seen[0].amax(dim=(2, 3)), atol=1e-4)  # one factor a channel
    assert seen[0].amin() >= 0
    assert seen[0].amax() <= 1


def test_stochastic_depth_skips_late_blocks_in_training_only():
    first, _, last = (block for block in made("network.drop_path=0.9").backbone if hasattr(block, "drop"))
    assert isinstance(first.drop, torch.nn.Identity)
    last.second[1].weight.data.fill_(1.0)
    faces = torch.rand(40, 16, 24, 24)
    last.train()
    skipped = (last(faces) == torch.relu(last.shortcut(faces))).flatten(1).all(dim=1).float().mean()
    assert skipped > 0.5
    last.eval()
    assert not (last(faces) == torch.relu(last.shortcut(faces))).flatten(1).all(dim=1).any()
