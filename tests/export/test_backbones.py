"""Libraries' backbones as graphs of model files, with random weights and random pictures at 48 px."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from mien.errors import ExportError
from mien.evaluate.calibration import Calibration
from mien.export import graph, quantise
from mien.networks.build import build
from mien.recipes import loader

BACKBONES = [
    ("timm", "resnet50", "grey"),
    ("timm", "resnet50", "rgb"),
    ("timm", "mobilenetv3_small_100", "rgb"),
    ("timm", "convnext_atto", "rgb"),
    ("timm", "efficientnet_b0", "rgb"),
    ("timm", "mobileone_s0", "grey"),
    ("torchvision", "vgg11", "rgb"),
]


def network(kind: str, name: str, color: str) -> nn.Module:
    spec = loader.parse(
        f"""
name: random
description: for tests
data: {{color: {color}}}
network: {{kind: {kind}, name: {name}}}
heads: [{{label_set: ferplus}}, {{label_set: fer2013}}]
stages: [{{epochs: 1, learning_rate: 0.1}}]
"""
    )
    torch.manual_seed(0)
    built = build(spec, {"ferplus": 8, "fer2013": 7})
    for module in built.modules():  # else batch norm has nothing to fold
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
    return built.eval()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "color"), BACKBONES)
def test_the_graph_says_what_the_backbone_says(kind, name, color):
    torch_network = network(kind, name, color)
    channels = 1 if color == "grey" else 3
    exported = graph.export_network(torch_network, ("ferplus", "fer2013"), 48, channels)
    assert not any(node.op_type == "BatchNormalization" for node in exported.graph.node)
    outputs = {
        "probabilities": ("ferplus", Calibration(1.5, (0.5, *[0.0] * 7), 0.8)),
        "probabilities_fer2013": ("fer2013", Calibration(0.5)),
    }
    session = onnxruntime.InferenceSession(
        graph.wrap(exported, outputs, 48, channels), providers=["CPUExecutionProvider"]
    )
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), np.uint8)
    if color == "grey":
        crops = np.repeat(crops[..., :1], 3, axis=3)
    pixels = torch.from_numpy(crops.transpose(0, 3, 1, 2)[:, :channels].astype(np.float32) / 255)
    with torch.inference_mode():
        logits = torch_network(pixels)
    for found, (label_set, calibration) in zip(session.run(None, {"faces": crops}), outputs.values(), strict=True):
        expected = calibration.probabilities(logits[label_set].numpy())
        assert np.abs(np.asarray(found) - expected).max() < 1e-4


@pytest.mark.slow
def test_branches_become_one_convolution_each():
    torch_network = network("timm", "repvgg_a0", "grey")
    blocks = sum(hasattr(module, "reparameterize") for module in torch_network.modules())
    exported = graph.export_network(torch_network, ("fer2013",), 48, 1)
    assert sum(node.op_type == "Conv" for node in exported.graph.node) == blocks > 10
    assert sum(hasattr(module, "conv_1x1") for module in torch_network.modules()) == blocks  # the network is as it was


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "mobilenetv3_small_100", "efficientnet_b0", "convnext_atto"])
def test_the_8_bit_graph_loads_and_runs(name):
    torch_network = network("timm", name, "rgb")
    exact = graph.export_network(torch_network, ("ferplus", "fer2013"), 48, 3)
    crops = np.random.default_rng(0).integers(0, 256, (32, 48, 48, 3), np.uint8)
    quantised = quantise.to_int8(exact, crops.transpose(0, 3, 1, 2), "minmax")
    file = graph.wrap(
        quantised,
        {"probabilities": ("ferplus", Calibration()), "probabilities_fer2013": ("fer2013", Calibration())},
        48,
        3,
    )
    assert len(file) < 0.35 * exact.ByteSize()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for rows in session.run(None, {"faces": crops}):
        assert np.asarray(rows).sum(axis=1) == pytest.approx(np.ones(32), abs=1e-5)


@pytest.mark.slow
def test_a_network_that_torch_cannot_export_is_an_error_of_ours():
    class Depends(nn.Module):
        def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"own": pixels.mean(dim=(2, 3)) if pixels.sum() > 0 else pixels.amax(dim=(2, 3))}

    with pytest.raises(ExportError, match="cannot export"):
        graph.export_network(Depends(), ("own",), 48, 1)
