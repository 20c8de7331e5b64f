"""An 8-bit model file as a short list of layers, from which formats that compute in integers are written.

Read from the graph: the scaling of pixels, convolutions, additions, the mean, the heads. Read from the card: how
logits become probabilities. A graph that has anything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ExportError, require
from mien.export.formats.base import Source


@dataclass(frozen=True)
class Tensor:
    """Activations in 8 bit: ``scale * (number - zero)``, numbers 0-255.

    Attributes:
        shape: (height, width, channels); (1, 1, channels) for a mean.
    """

    shape: tuple[int, int, int]
    scale: float
    zero: int

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Layer:
    """One step from tensors to a tensor.

    Attributes:
        kind: ``conv``, ``add`` or ``mean``.
        inputs: numbers of the tensors that go in.
        output: number of the tensor that comes out.
        weights: of a convolution, int8 (O, height, width, I).
        scales: of its weights, float32 (O,).
        bias: int32 (O,), in units of the input's scale times the weights'.
        stride: of both axes.
        pads: top, left, bottom, right.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    weights: NDArray[np.int8] = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.int8))
    scales: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    bias: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    stride: int = 1
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Head:
    """From the last tensor to logits.

    Attributes:
        label_set: that it answers.
        weights: int8 (K, C).
        scales: float32 (K,).
        bias: float32 (K,).
    """

    label_set: str
    weights: NDArray[np.int8]
    scales: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def floats(self) -> NDArray[np.float32]:
        """The weights as float32 (K, C)."""
        return (self.weights * self.scales[:, None]).astype(np.float32)


@dataclass(frozen=True)
class Network:
    """All of it.

    Attributes:
        mix: float32 (C, 3) and offset float32 (C,): RGB 0-255 to what is rounded into the first tensor.
        tensors: the first is the picture.
        layers: in order; the last one's output goes into the heads.
        heads: in the graph's order.
    """

    mix: NDArray[np.float32]
    offset: NDArray[np.float32]
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    heads: tuple[Head, ...]


def lower(source: Source) -> Network:
    """The layers of a model file.

    Raises:
        ExportError: it is not 8-bit, or has what no layer stands for; one line that says what.
    """
    return _Reader(source).read()


_Step = tuple[str, dict[str, Any], tuple[int, int, int]]  # kind, what a layer is made with, shape of its result


class _Reader:
    """Walks a graph once, in its order."""

    def __init__(self, source: Source) -> None:
        helper = require("onnx.numpy_helper", "ort")
        model = source.graph()
        self.nodes = list(model.graph.node)
        self.constants: Mapping[str, NDArray[Any]] = {one.name: helper.to_array(one) for one in model.graph.initializer}
        self.card = source.card
        self.makers = {name: node for node in self.nodes for name in node.output}
        if not any(node.op_type == "QuantizeLinear" for node in self.nodes):
            raise ExportError("the file computes in 32 bit, this format in 8: export the run with --precision int8")
        self.tensors: list[Tensor] = []
        self.known: dict[str, int] = {}  # name of a value in the graph to its tensor
        self.layers: list[Layer] = []
        self.heads: list[Head] = []
        self.waiting: dict[str, _Step] = {}  # what a layer gives, before it is rounded
        self.passed: set[str] = set()

    def read(self) -> Network:
        first = next(node for node in self.nodes if node.op_type == "QuantizeLinear")
        mix, offset, passed = self._pixels(first.input[0])
        self._quantised(first, (self.card.height, self.card.width, len(mix)))
        self.passed = passed | {first.output[0]}
        wanted = {f"logits_{output.label_set}" for output in self.card.heads.values()}
        for node in self.nodes:
            if node.output[0] not in self.passed:
                self._take(node, wanted)
            if len(self.heads) == len(wanted):
                return Network(mix, offset, tuple(self.tensors), tuple(self.layers), tuple(self.heads))
        raise ExportError("the graph's heads are not those that its card names")

    def _take(self, node: Any, wanted: set[str]) -> None:
        """One node: a layer waits until its result is rounded."""
        kinds = {"Conv": self._convolution, "Add": self._addition, "ReduceMean": self._mean}
        if node.op_type in kinds:
            self.waiting[node.output[0]] = kinds[node.op_type](node)
        elif node.op_type == "QuantizeLinear" and node.input[0] in self.waiting:
            kind, made, shape = self.waiting.pop(node.input[0])
            self.layers.append(Layer(kind=kind, output=self._quantised(node, shape), **made))
        elif node.op_type == "DequantizeLinear" and node.input[0] in self.known:
            self.known[node.output[0]] = self.known[node.input[0]]
        elif node.op_type == "Gemm" and node.output[0] in wanted:
            self.heads.append(self._head(node))
        elif node.op_type != "DequantizeLinear" or node.input[0] not in self.constants:
            raise self._unknown(node)

    def _pixels(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32], set[str]]:
        """What stands before the first rounding, as one matrix and offset; and the values on the way."""
        scale, offset, passed = np.ones(1, np.float64), np.zeros(1, np.float64), {name}
        while True:
            node = self.makers.get(name)
            if node is None:
                raise ExportError("the graph does not begin with uint8 faces: export it again")
            passed.add(node.output[0])
            number = self.constants.get(node.input[1]) if len(node.input) > 1 else None
            if node.op_type == "Conv" and number is not None and number.shape[2:] == (1, 1):
                mix = number.reshape(len(number), -1).astype(np.float64)
                passed |= {self.makers[node.input[0]].output[0], self.makers[node.input[0]].input[0]}
                channels = len(mix)
                whole = np.broadcast_to(scale, channels)[:, None] * mix
                return whole.astype(np.float32), np.broadcast_to(offset, channels).astype(np.float32), passed
            if node.op_type in ("Div", "Sub") and number is not None:
                number = number.astype(np.float64).ravel()
                if node.op_type == "Div":
                    scale = scale / number
                else:
                    offset = offset - scale * number
            elif node.op_type != "Resize":
                raise self._unknown(node)
            name = node.input[0]

    def _quantised(self, node: Any, shape: tuple[int, int, int]) -> int:
        zero = self.constants[node.input[2]]
        if zero.dtype != np.uint8 or zero.ndim:
            raise ExportError(f"{node.output[0]} is rounded to {zero.dtype}, not to one row of uint8")
        self.tensors.append(Tensor(shape, float(self.constants[node.input[1]]), int(zero)))
        self.known[node.output[0]] = len(self.tensors) - 1
        return len(self.tensors) - 1

    def _constant(self, name: str) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Numbers and scales of a weight, symmetric around zero."""
        node = self.makers.get(name)
        if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in self.constants:
            raise ExportError(f"{name} is no 8-bit weight")
        numbers, scale = self.constants[node.input[0]], self.constants[node.input[1]]
        if len(node.input) > 2 and self.constants[node.input[2]].any():
            raise ExportError(f"{name} is not symmetric around zero")
        return numbers, np.broadcast_to(scale, len(numbers)).astype(np.float32)

    def _convolution(self, node: Any) -> _Step:
        said = {one.name: require("onnx.helper", "ort").get_attribute_value(one) for one in node.attribute}
        strides, pads = said.get("strides", [1, 1]), tuple(said.get("pads", [0] * 4))
        plain = said.get("group", 1) == 1 and set(said.get("dilations", [1])) == {1} and len(set(strides)) == 1
        if not plain or node.input[0] not in self.known:
            raise self._unknown(node)
        number = self.known[node.input[0]]
        weights, scales = self._constant(node.input[1])
        bias, unit = self._constant(node.input[2]) if len(node.input) > 2 else (np.zeros(len(weights)), None)
        if unit is not None and not np.allclose(unit, self.tensors[number].scale * scales, rtol=1e-4):
            raise ExportError(f"the bias of {node.output[0]} is counted in other units than its sums")
        height, width, _ = self.tensors[number].shape
        (top, left, bottom, right), stride = pads, strides[0]
        shape = (
            (height + top + bottom - weights.shape[2]) // stride + 1,
            (width + left + right - weights.shape[3]) // stride + 1,
            len(weights),
        )
        made = {
            "inputs": (number,),
            "weights": np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
            "scales": scales,
            "bias": bias.astype(np.int32),
            "stride": stride,
            "pads": pads,
        }
        return "conv", made, shape

    def _addition(self, node: Any) -> _Step:
        numbers = tuple(self.known.get(name, -1) for name in node.input)
        if -1 in numbers:
            raise self._unknown(node)
        return "add", {"inputs": numbers}, self.tensors[numbers[0]].shape

    def _mean(self, node: Any) -> _Step:
        axes = self.constants.get(node.input[1]) if len(node.input) > 1 else None
        if axes is None or sorted(axis % 4 for axis in axes.tolist()) != [2, 3] or node.input[0] not in self.known:
            raise self._unknown(node)
        number = self.known[node.input[0]]
        return "mean", {"inputs": (number,)}, (1, 1, self.tensors[number].shape[2])

    def _head(self, node: Any) -> Head:
        if self.known.get(node.input[0]) != len(self.tensors) - 1:
            raise self._unknown(node)
        weights, scales = self._constant(node.input[1])
        numbers, unit = self._constant(node.input[2])
        return Head(node.output[0].removeprefix("logits_"), weights, scales, (numbers * unit).astype(np.float32))

    def _unknown(self, node: Any) -> ExportError:
        return ExportError(f"the network has {node.op_type} ({node.output[0]}), which this format is not written for")
