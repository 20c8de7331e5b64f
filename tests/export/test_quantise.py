"""Network graphs at less precision: what is 8 bit, what stays 32, and that ONNX Runtime computes in 8."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from mien.evaluate.calibration import Calibration
from mien.export import graph, quantise
from mien.networks.build import build
from mien.networks.tta import Views
from mien.recipes import loader

SPEC = loader.parse(
    """
name: tiny
description: for tests
heads: [{label_set: own}]
network: {stem: [8], widths: [8, 16], depths: [1, 1], hidden_units: 12}
stages: [{epochs: 1, learning_rate: 0.1}]
"""
)
CONVOLUTIONS = 7


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 1, 48, 48), np.uint8)


@pytest.fixture(scope="module")
def exact() -> onnx.ModelProto:
    torch.manual_seed(0)
    network = build(SPEC, {"own": 5})
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    return graph.export_network(Views(network.eval(), "flip"), ("own",), 48, 1)


@pytest.fixture(scope="module")
def quantised(exact, faces) -> onnx.ModelProto:
    return quantise.to_int8(exact, faces, "minmax")


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_weights_keep_the_names_of_the_network_with_batch_norm_in_their_bias(exact):
    nodes = [node for node in exact.graph.node if node.op_type in {"Conv", "Gemm"}]
    assert len(nodes) == CONVOLUTIONS + 2
    assert nodes[0].input[1] == "network.backbone.0.0.weight"
    assert nodes[-2].input[1:] == ["network.hidden.0.weight", "network.hidden.0.bias"]
    assert nodes[-1].input[1:] == ["network.heads.own.weight", "network.heads.own.bias"]
    assert all(len(node.input) == 3 for node in nodes)
    assert not any(node.op_type == "BatchNormalization" for node in exact.graph.node)


def test_activations_are_unsigned_weights_signed_and_per_channel(quantised):
    stored = weights(quantised)
    large = {name: values for name, values in stored.items() if values.size >= 8 * 9}
    assert {values.dtype for values in large.values()} == {np.dtype(np.int8)}
    zero_points = {n.input[2] for n in quantised.graph.node if n.op_type == "QuantizeLinear"}
    assert {stored[name].dtype for name in zero_points} == {np.dtype(np.uint8)}
    scales = {n.input[0]: stored[n.input[1]] for n in quantised.graph.node if n.op_type == "DequantizeLinear"}
    assert scales["network.backbone.0.0.weight_quantized"].shape == (8,)
    assert len(set(scales["network.backbone.0.0.weight_quantized"].tolist())) == 8


def test_onnx_runtime_computes_convolutions_and_products_in_8_bit(quantised, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(quantised.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kernels = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kernels.count("QLinearConv") == CONVOLUTIONS
    assert kernels.count("QGemm") == 2
    assert not {"Conv", "Gemm", "FusedConv"} & set(kernels)


def test_a_file_that_sees_colours_loads_in_8_bit(tmp_path):
    """ONNX Runtime once moved the transposition of the RGB input through the resizing, and broke it."""
    torch.manual_seed(0)
    colourful = build(SPEC.model_copy(update={"data": SPEC.data.model_copy(update={"color": "rgb"})}), {"own": 5})
    exact = graph.export_network(colourful.eval(), ("own",), 48, 3)
    crops = np.random.default_rng(0).integers(0, 256, (20, 60, 52, 3), np.uint8)
    quantised = quantise.to_int8(exact, crops[:, :48, :48].transpose(0, 3, 1, 2), "minmax")
    expected, found = (
        onnxruntime.InferenceSession(
            graph.wrap(model, {"probabilities": ("own", Calibration())}, 48, 3), providers=["CPUExecutionProvider"]
        ).run(None, {"faces": crops})[0]
        for model in (exact, quantised)
    )
    assert 0 < np.abs(np.asarray(found) - np.asarray(expected)).max() < 0.05


def test_the_8_bit_graph_says_nearly_the_same(exact, quantised, faces):
    expected, found = (quantise.run(model, faces)["own"] for model in (exact, quantised))
    spread = expected.std()
    assert 0 < np.abs(found - expected).max() < 0.3 * spread
    assert len(np.unique(found)) > 0.9 * found.size  # 32-bit logits, not 256 steps


def test_weights_are_kept_to_7_bit_unless_the_full_range_is_asked_for(exact, quantised, faces):
    name = "network.backbone.0.0.weight_quantized"
    full = quantise.to_int8(exact, faces, "minmax", reduce_range=False)
    assert np.abs(weights(full)[name]).max() == 127
    assert np.abs(weights(quantised)[name]).max() == 64


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_calibration_methods_cut_off_rare_values(exact, quantised, faces, method, capsys):
    bright = faces.copy()
    bright[0, 0, :4, :4] = 255 * (np.arange(16).reshape(4, 4) % 2)
    other = quantise.to_int8(exact, bright, method)
    scales = {
        model: [v for n, v in weights(m).items() if n.endswith("_scale") and "weight" not in n and "bias" not in n]
        for model, m in (("minmax", quantised), ("other", other))
    }
    assert sum(map(float, scales["other"])) < sum(map(float, scales["minmax"]))
    assert capsys.readouterr().out == ""


def test_the_method_that_agrees_most_is_chosen(exact, faces):
    silent = onnx.ModelProto()
    silent.CopyFrom(exact)
    for tensor in silent.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and "heads" in tensor.name:
            tensor.CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(tensor), tensor.name))
    logits = quantise.run(exact, faces)
    chosen = quantise.choose(lambda method: exact if method == "percentile" else silent, faces, logits)
    assert chosen.method == "percentile"
    assert chosen.network is exact
    assert chosen.agreements["percentile"] == 1 > chosen.agreements["minmax"]


def test_16_bit_weights_are_half_the_size_and_computed_in_32(exact, faces):
    halved = quantise.to_fp16(exact)
    assert halved.ByteSize() < 0.6 * exact.ByteSize() + 10_000
    assert weights(halved)["network.backbone.0.0.weight_fp16"].dtype == np.float16
    expected, found = (quantise.run(model, faces)["own"] for model in (exact, halved))
    assert 0 < np.abs(found - expected).max() < 1e-2
