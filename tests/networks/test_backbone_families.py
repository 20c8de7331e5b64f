"""The families that the recipes may name build at 48 px in grey, learn, and say the same as model files."""

import numpy as np
import onnxruntime
import pytest
import torch

from mien.export import graph
from mien.networks.build import build
from mien.recipes import loader

LIBRARY = [
    "{kind: timm, name: repvgg_a0}",  # VGG-type, folds to plain convolutions
    "{kind: timm, name: mobileone_s0}",  # separable, folds
    "{kind: timm, name: convnext_atto}",
    "{kind: timm, name: efficientnet_b0}",
    "{kind: timm, name: mobilenetv3_small_100}",  # separable, squeeze and excitation
    "{kind: timm, name: fastvit_t8}",  # token mixing, folds
    "{kind: timm, name: ecaresnet50d}",  # efficient channel attention
]
OWN = [
    "{kind: vgg, widths: [8, 16], depths: [1, 2], attention: eca}",
    "{kind: vgg, widths: [8, 16], depths: [1, 2], attention: se}",
    "{kind: separable}",
    "{kind: attentional, hidden_units: 50}",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "color"), [*((name, "grey") for name in LIBRARY + OWN), *((name, "rgb") for name in OWN)]
)
def test_one_step_changes_the_network_and_its_graph_says_the_same(network, color):
    spec = loader.parse(
        f"""
name: n
description: for tests
data: {{color: {color}}}
network: {network}
heads: [{{label_set: own}}]
stages: [{{epochs: 1, learning_rate: 0.01}}]
"""
    )
    torch.manual_seed(0)
    built = build(spec, {"own": 7})
    faces = torch.rand(8, spec.data.channels, 48, 48)
    truth = torch.arange(8) % 7
    optimizer = torch.optim.SGD(built.parameters(), lr=0.01)
    before = torch.nn.functional.cross_entropy(built.train()(faces)["own"], truth)
    before.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in built.parameters())
    first = next(p for p in built.parameters() if p.grad is not None and p.grad.abs().sum() > 0)
    old = first.detach().clone()
    optimizer.step()
    assert not torch.equal(first, old)
    with torch.no_grad():
        for _ in range(20):  # else running statistics are those of no data
            built(torch.rand(16, spec.data.channels, 48, 48))
    exported = graph.export_network(built.eval(), ("own",), 48, spec.data.channels)
    assert not any(node.op_type == "BatchNormalization" for node in exported.graph.node)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = torch.softmax(built(faces)["own"], dim=1).numpy()
    logits = torch.from_numpy(np.asarray(session.run(None, {"pixels": faces.numpy()})[0]))
    assert np.abs(torch.softmax(logits, dim=1).numpy() - expected).max() < 1e-4
