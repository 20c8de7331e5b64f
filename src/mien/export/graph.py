"""A network's logits into the graph of a model file: RGB uint8 crops in, named probabilities out.

The network alone goes through torch's exporter. Everything around it (luma, resizing, scaling, temperature,
softmax) is added here as plain ONNX nodes, so that it is the same for every network and precision.
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
from torch import nn

OPSET = 18
_PRODUCER = "mien"


def export_network(network: nn.Module, label_sets: tuple[str, ...], size: int) -> onnx.ModelProto:
    """Export a network as it stands: input ``luma`` float (N, 1, size, size) in 0-1, one ``logits_*`` per head."""

    class Ordered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, luma: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits = self.network(luma)
            return tuple(logits[name] for name in label_sets)

    example = torch.rand(2, 1, size, size)
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            Ordered().eval(),
            (example,),
            input_names=["luma"],
            output_names=[f"logits_{name}" for name in label_sets],
            opset_version=OPSET,
            dynamic_shapes={"luma": {0: torch.export.Dim("faces")}},
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
    for node in model.graph.node:  # the exporter's notes for debugging: paths and stack traces, half a megabyte
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    return model


def wrap(network: onnx.ModelProto, outputs: Mapping[str, tuple[str, float]], size: int) -> bytes:
    """Add what stands around a network.

    Args:
        network: from :func:`export_network`.
        outputs: name of each output of the file to its label set and temperature, in order.
        size: pixels a side that the network takes.

    Returns:
        The serialised graph: ``faces`` RGB uint8 (N, H, W, 3) in, float probabilities (N, K) out.
    """
    opset = [helper.make_opsetid("", OPSET)]
    before = helper.make_model(_before(size), opset_imports=opset)
    after = helper.make_model(_after(network, outputs), opset_imports=opset)
    before.ir_version = after.ir_version = network.ir_version
    model = compose.merge_models(before, network, io_map=[("luma_sized", "luma")])
    pairs = [(f"logits_{label_set}", f"{label_set}_logits") for label_set, _ in outputs.values()]
    model = compose.merge_models(model, after, io_map=pairs)
    model.producer_name, model.producer_version, model.graph.name = _PRODUCER, "", "mien"
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _before(size: int) -> onnx.GraphProto:
    """RGB uint8 (N, H, W, 3) to luma in 0-1, float (N, 1, size, size)."""
    weights = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)
    nodes = [
        helper.make_node("Cast", ["faces"], ["faces_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["faces_float"], ["faces_planar"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["faces_planar", "luma_weights"], ["luma_255"]),
        helper.make_node("Div", ["luma_255", "luma_range"], ["luma_unit"]),
        helper.make_node(
            "Resize",
            ["luma_unit", "", "", "luma_size"],
            ["luma_sized"],
            mode="linear",
            antialias=1,
            axes=[2, 3],
            coordinate_transformation_mode="half_pixel",
        ),
    ]
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["faces", "height", "width", 3])
    luma = helper.make_tensor_value_info("luma_sized", TensorProto.FLOAT, ["faces", 1, size, size])
    constants = [
        numpy_helper.from_array(weights, "luma_weights"),
        numpy_helper.from_array(np.array(255, np.float32), "luma_range"),
        numpy_helper.from_array(np.array([size, size], np.int64), "luma_size"),
    ]
    return helper.make_graph(nodes, "before", [faces], [luma], constants)


def _after(network: onnx.ModelProto, outputs: Mapping[str, tuple[str, float]]) -> onnx.GraphProto:
    """Each head's logits to probabilities at its temperature."""
    classes = {o.name: o.type.tensor_type.shape.dim[1].dim_value for o in network.graph.output}
    nodes, inputs, results, constants = [], [], [], []
    for name, (label_set, temperature) in outputs.items():
        k = classes[f"logits_{label_set}"]
        inputs.append(helper.make_tensor_value_info(f"{label_set}_logits", TensorProto.FLOAT, ["faces", k]))
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", k]))
        constants.append(numpy_helper.from_array(np.array(temperature, np.float32), f"{name}_temperature"))
        nodes.append(helper.make_node("Div", [f"{label_set}_logits", f"{name}_temperature"], [f"{name}_scaled"]))
        nodes.append(helper.make_node("Softmax", [f"{name}_scaled"], [name], axis=1))
    return helper.make_graph(nodes, "after", inputs, results, constants)


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
