"""The graph of a model file made narrower: one face of the card's size, and without 8-bit arithmetic.

For converters that know no resizing, no free sizes and no quantised operators. What is taken out does nothing at
that size; where 8-bit numbers end at zero, which is how they carry a Relu, the Relu is written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.errors import ExportError, require
from mien.models import Card


def fixed(model: Any, card: Card) -> Any:
    """The graph for one face of the card's size.

    Args:
        model: ``onnx.ModelProto``; changed in place.
        card: of the same file.

    Returns:
        The same model, without resizing, all shapes known.
    """
    onnx = require("onnx", "ort")
    graph = model.graph
    for dimension, size in zip(graph.input[0].type.tensor_type.shape.dim, (1, card.height, card.width), strict=False):
        dimension.dim_value = size
    for output in graph.output:
        output.type.tensor_type.shape.dim[0].dim_value = 1
    for node in [node for node in graph.node if node.op_type == "Resize"]:
        graph.node.remove(node)
        rename(graph, {node.output[0]: node.input[0]})
    del graph.value_info[:]
    return tidied(onnx, model)


def dequantised(model: Any) -> Any:
    """The graph in 32-bit numbers: weights as they are after rounding, activations unrounded.

    Args:
        model: ``onnx.ModelProto``; changed in place.

    Raises:
        ExportError: an 8-bit number begins at neither zero nor the middle, so that what it cuts off is not known.
    """
    onnx = require("onnx", "ort")
    numpy_helper, helper = onnx.numpy_helper, onnx.helper
    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    nodes, names = [], {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            weights = _dequantise(*(constants[name] for name in node.input))
            graph.initializer.append(numpy_helper.from_array(weights, node.output[0]))
        elif node.op_type == "QuantizeLinear":
            names[node.output[0]] = node.input[0]
            if not constants[node.input[2]].any():
                nodes.append(helper.make_node("Relu", [node.input[0]], [f"{node.output[0]}_relu"]))
                names[node.output[0]] = f"{node.output[0]}_relu"
        elif node.op_type == "DequantizeLinear":
            names[node.output[0]] = node.input[0]
        elif "Quant" in node.op_type or "QLinear" in node.op_type:
            raise ExportError(f"the graph has a {node.op_type}, which is not turned into 32-bit numbers")
        else:
            nodes.append(node)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return tidied(onnx, model)


def cut(model: Any, inputs: list[str], outputs: list[str]) -> Any:
    """The part of a graph between some of its values."""
    onnx = require("onnx", "ort")
    return onnx.utils.Extractor(model).extract_model(inputs, outputs)


def rename(graph: Any, names: dict[str, str]) -> None:
    """Let nodes take their inputs under other names."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)


def tidied(onnx: Any, model: Any) -> Any:
    """Without constants that nothing uses; with all shapes, checked."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [one for one in model.graph.initializer if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _dequantise(numbers: Any, scale: Any, zero: Any = 0) -> Any:
    shape = [-1] + [1] * (numbers.ndim - 1) if scale.ndim else []
    scale, zero = scale.reshape(shape), np.asarray(zero, np.float32).reshape(shape if np.ndim(zero) else [])
    return ((numbers.astype(np.float32) - zero) * scale).astype(np.float32)
