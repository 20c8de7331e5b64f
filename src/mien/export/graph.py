"""A network's logits into the graph of a model file: RGB uint8 crops in, named probabilities out.

The network alone goes through torch's exporter. Everything around it (luma, resizing, scaling, calibration,
softmax) is added here as plain 32-bit ONNX nodes, so that it is the same for every network and precision.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from timm.utils.model import reparameterize_model
from torch import nn

from mien.errors import ExportError
from mien.evaluate.calibration import Calibration

OPSET = 18
_PRODUCER = "mien"
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in mien.sources.images


def export_network(network: nn.Module, label_sets: tuple[str, ...], size: int, channels: int) -> onnx.ModelProto:
    """Export a network as it stands: ``pixels`` float (N, channels, size, size) in 0-1, one ``logits_*`` per head.

    Batch norm is folded into the convolutions, whose weights keep the names of the network's parameters with
    ``network.`` before them, as in ``network.backbone.conv1.weight``, with or without test-time views around it.
    Blocks that train as several branches and answer as one convolution (RepVGG, MobileOne, FastViT) are folded first.

    Raises:
        ExportError: the network does not take faces of this size, or torch cannot export it.
    """

    class Ordered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = reparameterize_model(network)

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits = self.network(pixels)
            return tuple(logits[name] for name in label_sets)

    example = torch.rand(2, channels, size, size)
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        try:
            program = torch.onnx.export(
                Ordered().eval(),
                (example,),
                input_names=["pixels"],
                output_names=[f"logits_{name}" for name in label_sets],
                opset_version=OPSET,
                dynamic_shapes={"pixels": {0: torch.export.Dim("faces")}},
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(f"torch cannot export this network: {_reason(error)}") from error
        assert program is not None
        model = program.model_proto
    for node in model.graph.node:  # the exporter's notes for debugging: paths and stack traces, half a megabyte
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    _name_plainly(model.graph)
    return model


def _reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an exporter's error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _name_plainly(graph: onnx.GraphProto) -> None:
    """Views around a network show in its parameters' names; take them out."""
    nested, plain = "network.network.", "network."
    for weight in graph.initializer:
        weight.name = weight.name.replace(nested, plain, 1)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name.startswith(nested):
                node.input[place] = name.replace(nested, plain, 1)


def wrap(network: onnx.ModelProto, outputs: Mapping[str, tuple[str, Calibration]], size: int, channels: int) -> bytes:
    """Add what stands around a network.

    Args:
        network: from :func:`export_network`, or what became of it at another precision.
        outputs: name of each output of the file to its label set and calibration, in order.
        size: pixels a side that the network takes.
        channels: 1 for a network that sees luma, 3 for one that sees colours.

    Returns:
        The serialised graph: ``faces`` RGB uint8 (N, H, W, 3) in, float probabilities (N, K) out.
    """
    opset = [helper.make_opsetid("", OPSET)]
    before = helper.make_model(_before(size, channels), opset_imports=opset)
    after = helper.make_model(_after(network, outputs), opset_imports=opset)
    before.ir_version = after.ir_version = network.ir_version
    model = compose.merge_models(before, network, io_map=[("pixels_sized", "pixels")])
    pairs = [(f"logits_{label_set}", f"{label_set}_logits") for label_set, _ in outputs.values()]
    model = compose.merge_models(model, after, io_map=pairs)
    return serialised(model)


def serialised(model: onnx.ModelProto) -> bytes:
    """Checked, each set of operators named once, mien as its maker: the same bytes for the same graph."""
    model.producer_name, model.producer_version, model.graph.name = _PRODUCER, "", "mien"
    versions = {used.domain: used.version for used in model.opset_import}  # merging repeats them
    del model.metadata_props[:], model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*used) for used in versions.items())
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _before(size: int, channels: int) -> onnx.GraphProto:
    """RGB uint8 (N, H, W, 3) to luma or colours in 0-1, float (N, channels, size, size)."""
    # Colours too pass a convolution, which leaves them as they are: without it ONNX Runtime 1.32 moves the
    # transposition through the resizing of 8-bit graphs, and refuses to load what comes out.
    mix = np.array([_LUMA]) if channels == 1 else np.eye(3)
    nodes = [
        helper.make_node("Cast", ["faces"], ["faces_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["faces_float"], ["faces_planar"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["faces_planar", "faces_mix"], ["faces_255"]),
        helper.make_node("Div", ["faces_255", "faces_range"], ["faces_unit"]),
        helper.make_node(
            "Resize",
            ["faces_unit", "", "", "faces_size"],
            ["pixels_sized"],
            mode="linear",
            antialias=1,
            axes=[2, 3],
            coordinate_transformation_mode="half_pixel",
        ),
    ]
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["faces", "height", "width", 3])
    pixels = helper.make_tensor_value_info("pixels_sized", TensorProto.FLOAT, ["faces", channels, size, size])
    constants = [
        numpy_helper.from_array(mix.astype(np.float32)[..., None, None], "faces_mix"),
        numpy_helper.from_array(np.array(255, np.float32), "faces_range"),
        numpy_helper.from_array(np.array([size, size], np.int64), "faces_size"),
    ]
    return helper.make_graph(nodes, "before", [faces], [pixels], constants)


def _after(network: onnx.ModelProto, outputs: Mapping[str, tuple[str, Calibration]]) -> onnx.GraphProto:
    """Each head's logits to probabilities by its calibration."""
    classes = {o.name: o.type.tensor_type.shape.dim[1].dim_value for o in network.graph.output}
    nodes, inputs, results, constants = [], [], [], []
    for name, (label_set, calibration) in outputs.items():
        k = classes[f"logits_{label_set}"]
        inputs.append(helper.make_tensor_value_info(f"{label_set}_logits", TensorProto.FLOAT, ["faces", k]))
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", k]))
        nodes.append(helper.make_node("LogSoftmax", [f"{label_set}_logits"], [f"{name}_logarithms"], axis=1))
        more, numbers = calibrated(name, calibration, k)
        nodes += more
        constants += numbers
    return helper.make_graph(nodes, "after", inputs, results, constants)


def calibrated(name: str, calibration: Calibration, k: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """From ``<name>_logarithms``, log-probabilities of k labels, to ``name``: the nodes and their constants."""
    numbers = {
        "temperature": calibration.temperature,
        "power": calibration.power,
        "bias": calibration.bias or (0.0,) * k,
    }
    nodes = [
        helper.make_node("Abs", [f"{name}_logarithms"], [f"{name}_surprise"]),
        helper.make_node("Pow", [f"{name}_surprise", f"{name}_power"], [f"{name}_raised"]),
        helper.make_node("Div", [f"{name}_raised", f"{name}_temperature"], [f"{name}_scaled"]),
        helper.make_node("Sub", [f"{name}_bias", f"{name}_scaled"], [f"{name}_calibrated"]),
        helper.make_node("Softmax", [f"{name}_calibrated"], [name], axis=1),
    ]
    return nodes, [
        numpy_helper.from_array(np.array(number, np.float32), f"{name}_{what}") for what, number in numbers.items()
    ]


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter prints its progress; a library must not."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
