import json

import numpy as np
import pytest
import torch

from mien import models
from mien.errors import ModelError, TrainingError
from mien.evaluate.calibration import Calibration
from mien.expressions import LABEL_SETS
from mien.networks import weights
from mien.networks.build import build, restore
from mien.recipes import loader
from mien.train import faces, run, scoring

BASE = """
name: n
description: for tests
heads: [{label_set: fer2013}]
stages: [{epochs: 1, learning_rate: 0.1}]
network: {kind: timm, name: resnet18}
"""
SEVEN = {"fer2013": LABEL_SETS["fer2013"]}


def started(*changes: str, labels=SEVEN, seed: int = 0):
    spec = loader.parse(BASE, overrides=changes)
    torch.manual_seed(seed)
    network = build(spec, {name: len(names) for name, names in labels.items()})
    return network, weights.start(network, spec, labels)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A torchvision ResNet18 for colour pictures with 1,000 labels, as its state dict in two forms."""
    from safetensors.torch import save_file
    from torchvision.models import resnet18

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(9)
    state = resnet18(weights=None).state_dict()
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, folder / "a.pth")
    save_file(state, folder / "a.safetensors")
    return folder, state


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("kind", ["timm", "torchvision"])
def test_a_local_file_fills_the_backbone_and_says_what_is_new(files, name, kind):
    folder, state = files
    network, loaded = started("data.color=rgb", f"network.kind={kind}", f"network.weights.file={folder / name}")
    mine = network.backbone.state_dict()
    assert all(torch.equal(mine[key], state[key]) for key in mine)
    assert loaded.new == ("heads.fer2013.weight", "heads.fer2013.bias")
    assert set(loaded.unused) == {"fc.weight", "fc.bias"}
    assert str(folder / name) in str(loaded)


def test_torchvision_names_are_translated_for_timm(tmp_path):
    from torchvision.models import densenet121, vgg11

    torch.save(vgg11(weights=None).state_dict(), tmp_path / "vgg.pth")
    _, loaded = started("network.name=vgg11", f"network.weights.file={tmp_path / 'vgg.pth'}")
    assert loaded.new == ("heads.fer2013.weight", "heads.fer2013.bias")
    torch.save(densenet121(weights=None).state_dict(), tmp_path / "dense.pth")
    _, loaded = started("network.name=densenet121", f"network.weights.file={tmp_path / 'dense.pth'}")
    assert loaded.new == ("heads.fer2013.weight", "heads.fer2013.bias")


def test_grey_networks_answer_to_grey_pictures_as_the_colour_network_does(files):
    folder, _ = files
    file = f"network.weights.file={folder / 'a.pth'}"
    rgb, _ = started("data.color=rgb", file)
    grey, _ = started(file)
    faces = torch.rand(3, 1, 48, 48)
    with torch.no_grad():
        colour = rgb.eval().backbone(faces.expand(-1, 3, -1, -1))
        assert torch.allclose(colour, grey.eval().backbone(faces), rtol=1e-3, atol=1e-4)
    ones = torch.ones(2, 1, 3, 3)
    assert torch.allclose(weights.fold_channels(weights.fold_channels(ones, 3), 1), ones)


CAFFE = {"mean": [0.4, 0.46, 0.48], "std": [1 / 255] * 3, "order": "bgr"}


def declared(state, path, **expected):
    """The same weights, in a file that says what they expect of their input."""
    from safetensors.torch import save_file

    save_file(state, path, metadata={"mien": json.dumps(expected)})
    return f"network.weights.file={path}"


@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_what_weights_expect_of_their_input_is_folded_into_the_first_convolution(files, tmp_path, color):
    """Padding with zeros is the exception, so pictures are wide enough to look at a place inside."""
    folder, state = files
    plain, _ = started(f"network.weights.file={folder / 'a.safetensors'}", "data.color=rgb")
    folded, loaded = started(declared(state, tmp_path / "b.safetensors", **CAFFE), f"data.color={color}")
    picture = torch.rand(1, 1 if color == "grey" else 3, 24, 24)
    mean, std = (torch.tensor(CAFFE[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    theirs = (picture.expand(-1, 3, -1, -1).flip(1) - mean) / std
    with torch.no_grad():
        expected = plain.backbone.bn1.eval()(plain.backbone.conv1(theirs))
        found = folded.backbone.bn1.eval()(folded.backbone.conv1((picture - folded.mean) / folded.std))
    inside = (..., slice(3, 9), slice(3, 9))
    assert torch.allclose(expected[inside], found[inside], rtol=1e-4, atol=1e-3)
    assert not loaded.batch_norm_folded


def test_a_file_may_say_that_its_batch_norm_is_to_be_measured_anew(files, tmp_path):
    _, loaded = started(declared(files[1], tmp_path / "b.safetensors", **CAFFE, batch_norm="folded"))
    assert loaded.batch_norm_folded


def test_heads_of_a_file_are_taken_where_it_names_the_same_labels(files, tmp_path):
    """In whatever order; a head without names, or with others, might be learned for something else."""
    seven = LABEL_SETS["fer2013"]
    head = {"heads.fer2013.weight": torch.randn(7, 512), "heads.fer2013.bias": torch.randn(7)}
    state = {name: value for name, value in files[1].items() if not name.startswith("fc.")} | head
    order = declared(state, tmp_path / "a.safetensors", **CAFFE, labels={"fer2013": seven[::-1]})
    network, loaded = started(order, "data.color=rgb")
    assert loaded.new == ()
    assert torch.equal(network.heads["fer2013"].weight, head["heads.fer2013.weight"].flip(0))
    other = declared(state, tmp_path / "b.safetensors", **CAFFE, labels={"fer2013": ("joy", *seven[1:])})
    _, loaded = started(other, "data.color=rgb")
    assert loaded.new == ("heads.fer2013.weight", "heads.fer2013.bias")
    short = {**state, "heads.fer2013.weight": torch.randn(6, 512), "heads.fer2013.bias": torch.randn(6)}
    _, loaded = started(
        declared(short, tmp_path / "d.safetensors", **CAFFE, labels={"fer2013": seven}), "data.color=rgb"
    )
    assert loaded.new == ("heads.fer2013.weight", "heads.fer2013.bias")
    _, loaded = started(declared(state, tmp_path / "c.safetensors", **CAFFE), "data.color=rgb")
    assert set(loaded.unused) == set(head)


@pytest.mark.parametrize(
    "expected", [{"mean": [0.5] * 3}, {"mean": [0.5], "std": [1], "size": 224}, {**CAFFE, "labels": ["happy"]}]
)
def test_what_a_file_says_of_its_input_wrongly_is_an_error(files, tmp_path, expected):
    with pytest.raises(TrainingError, match="input"):
        started(declared(files[1], tmp_path / "b.safetensors", **expected))


def test_same_padding_is_tensorflows():
    """A stride of 2 at an even size pads only right and bottom, so the first window starts at the first pixel."""
    network, _ = started("network.name=mobilenetv1_100", "network.padding=same", "network.weights=null")
    stem = network.backbone.conv_stem
    picture = torch.rand(1, 1, 48, 48)
    with torch.no_grad():
        first = (stem.weight * picture[:, :, :3, :3]).sum(dim=(1, 2, 3))
        assert torch.allclose(stem(picture)[0, :, 0, 0], first, atol=1e-5)


def test_a_small_stem_starts_anew_and_is_listed(files):
    _, loaded = started("network.stem=small", f"network.weights.file={files[0] / 'a.pth'}")
    assert "backbone.conv1.weight" in loaded.new
    assert "conv1.weight" in loaded.unused


def test_weights_of_another_network_are_an_error_not_a_silent_start_from_scratch(files, tmp_path):
    with pytest.raises(TrainingError, match="does not fit the backbone"):
        started("network.name=resnet34", f"network.weights.file={files[0] / 'a.pth'}")
    torch.save({"other": torch.ones(2)}, tmp_path / "other.pth")
    with pytest.raises(TrainingError, match="does not fit the backbone"):
        started(f"network.weights.file={tmp_path / 'other.pth'}")


def test_an_earlier_run_gives_backbone_and_the_heads_whose_labels_are_the_same(patterns, tmp_path):
    small = "network={widths: [8, 16], depths: [1, 1]}"
    first = run.train(loader.parse(BASE, overrides=[small, "data.size=24"]), patterns, tmp_path / "run")
    best = first.load(first.best)["network"]
    again = (small, f"network.weights.run={tmp_path / 'run'}")
    network, loaded = started(*again)
    assert all(torch.equal(value, best[name]) for name, value in network.state_dict().items())
    assert loaded.new == ()
    network, loaded = started(*again, labels={"fer2013": SEVEN["fer2013"][::-1]})
    assert loaded.new == ()
    assert torch.equal(network.heads["fer2013"].bias, best["heads.fer2013.bias"].flip(0))
    other = {"fer2013": ("joy", *SEVEN["fer2013"][1:])}
    network, loaded = started(*again, labels=other)
    assert loaded.new == ("heads.fer2013.weight", "heads.fer2013.bias")
    with pytest.raises(TrainingError, match="no trained weights"):
        started(small, f"network.weights.run={tmp_path / 'absent'}")


def test_a_deeper_network_starts_as_the_shallower_run_it_grows_from(patterns, tmp_path):
    small = "network={stem: [4], widths: [8, 16], depths: [1, 1]}"
    first = run.train(loader.parse(BASE, overrides=[small, "data.size=24"]), patterns, tmp_path / "run")
    deep = "network={stem: [4], widths: [8, 16], depths: [2, 3], drop_path: 0.1}"
    network, loaded = started(deep, "data.size=24", f"network.weights.run={tmp_path / 'run'}")
    assert {name.split(".")[1] for name in loaded.new} == {"5", "7", "8"}  # the last blocks of their stages
    pixels = torch.rand(4, 1, 24, 24)
    with torch.no_grad():
        assert torch.equal(network.eval()(pixels)["fer2013"], restore(first)(pixels)["fer2013"])
    wider = "network={stem: [4], widths: [8, 24], depths: [2, 3]}"
    with pytest.raises(TrainingError, match="does not fit the backbone"):
        started(wider, "data.size=24", f"network.weights.run={tmp_path / 'run'}")
    with pytest.raises(TrainingError, match="does not fit the backbone"):
        started("network={stem: [4], widths: [8, 8, 16], depths: [2, 1, 1]}", f"network.weights.run={tmp_path / 'run'}")


def from_file(name: str, *changes: str):
    """The network of a shipped model, started from its file."""
    labels = {name: LABEL_SETS[name] for name in ("ferplus", "fer2013")}
    spec = loader.load_network(name, [f"network.weights={{model: {name}}}", *changes])
    network = build(spec, {name: len(set_labels) for name, set_labels in labels.items()})
    loaded = weights.start(network, spec, labels)
    assert loaded is not None
    assert loaded.new == ()
    return network


@pytest.mark.parametrize("name", ["default", "fast"])
def test_a_model_file_starts_where_the_file_ends(name):
    network = from_file(name)
    model = models.load(name)
    crop = model.card.golden_crop()[None]
    luma = torch.from_numpy(crop.astype("float32") @ [0.299, 0.587, 0.114]).float()[:, None] / 255
    with torch.no_grad():
        logits = network.eval()(luma)
    # In 8 bit the file rounds its activations too.
    close = 1e-4 if model.card.training.get("export", {}).get("precision", "fp32") == "fp32" else 0.05
    for output_name, output in model.card.heads.items():
        probabilities = Calibration.of(output).probabilities(logits[output.label_set].numpy())
        assert np.allclose(probabilities, model.score(crop)[output_name], atol=close)


def test_weights_of_8_bit_start_anywhere_within_their_steps_so_that_small_changes_outlive_the_next_rounding():
    from onnx import load_from_string, numpy_helper

    name = "backbone.7.second.0.weight"
    graph = load_from_string(models.find("default").read_bytes()).graph
    held = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    steps, scale = held[f"network.{name}_quantized"], held[f"network.{name}_scale"]
    started, again, other = (from_file("default", f"seed={seed}").state_dict()[name].numpy() for seed in (1, 1, 2))
    inside = started / scale.reshape(-1, 1, 1, 1)
    assert (np.rint(inside) == steps).mean() > 0.9999  # but for those that 32 bit puts on an edge
    assert np.rint(inside + 0.2).mean() - steps.mean() == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(started, again)
    assert not np.array_equal(started, other)


def test_a_model_file_that_is_not_there_is_an_error():
    with pytest.raises(ModelError, match="no model"):
        started("network.weights={model: absent}")


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "close"), [("fp32", 1e-3), ("fp16", 1e-2)])
def test_a_timm_network_starts_from_its_own_model_file(patterns, tmp_path, precision, close):
    from mien.export.package import Options, package

    spec = loader.parse(BASE, overrides=["stages.0.batch_size=70", "data.size=32"])
    finished = run.train(spec, patterns, tmp_path / "run")
    file = tmp_path / "model.onnx"
    package(finished, patterns, file, options=Options(precision=precision))
    network, loaded = started("data.size=32", f"network.weights.model={file}")
    assert loaded.new == ()
    part = faces.load(patterns, "validation", spec, torch.device("cpu"))
    expected = scoring.score(restore(finished), part.pixels)["fer2013"]
    assert torch.allclose(scoring.score(network, part.pixels)["fer2013"], expected, atol=close)


def test_from_scratch_nothing_is_loaded():
    assert started()[1] is None
