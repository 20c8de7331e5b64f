"""An 8-bit network as the bytes of a LiteRT file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import require
from mien.export.formats.lowered import Layer, Network, Tensor
from mien.models import Card, Output

_ALIGNMENT = 16  # what the format asks of constants


def write(network: Network, card: Card, metadata: Mapping[str, str]) -> bytes:
    """The file.

    Args:
        network: its layers.
        card: how logits become probabilities.
        metadata: key to text.
    """
    return _Writer(network, card).write(metadata)


class _Writer:
    """Tensors, constants and operators as they come; numbers of tensors are what its methods take and give."""

    def __init__(self, network: Network, card: Card) -> None:
        self.schema = require("ai_edge_litert.schema_py_generated", "litert")
        self.network, self.card = network, card
        self.buffers: list[Any] = [self.schema.BufferT()]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: dict[tuple[str, int], int] = {}

    def write(self, metadata: Mapping[str, str]) -> bytes:
        faces, network = self._pixels(), self.network
        numbers = {0: faces[1]}
        for layer in network.layers:
            inputs = [numbers[number] for number in layer.inputs]
            numbers[layer.output] = getattr(self, f"_{layer.kind}")(layer, inputs)
        mean = network.tensors[network.layers[-1].output]
        pooled = self._float((1, mean.size))
        self._do("DEQUANTIZE", [numbers[network.layers[-1].output]], [pooled], version=2)
        outputs = self._answers(pooled)
        return self._packed(faces[0], outputs, metadata)

    def _pixels(self) -> tuple[int, int]:
        """RGB to the first tensor."""
        height, width, channels = self.network.tensors[0].shape
        faces = self._tensor("UINT8", (1, height, width, 3), "faces")
        rgb, mixed = self._float((1, height, width, 3)), self._float((1, height, width, channels))
        self._do("CAST", [faces], [rgb])
        mix = self._constant(self.network.mix.reshape(channels, 1, 1, 3))
        self._convolve([rgb, mix, self._constant(self.network.offset)], mixed, 1, "VALID", version=1)
        first = self._activations(self.network.tensors[0])
        self._do("QUANTIZE", [mixed], [first])
        return faces, first

    def _conv(self, layer: Layer, inputs: list[int]) -> int:
        number, source = inputs[0], self.network.tensors[layer.inputs[0]]
        height, width = layer.weights.shape[1:3]
        top, left, bottom, right = layer.pads
        # What LiteRT calls SAME pads right and bottom more where a stride leaves a pixel over.
        same = layer.stride == 1 and layer.pads == (height // 2, width // 2, height // 2, width // 2)
        if any(layer.pads) and not same:
            shape = (source.shape[0] + top + bottom, source.shape[1] + left + right, source.shape[2])
            padded = self._activations(Tensor(shape, source.scale, source.zero))
            amounts = self._constant(np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
            self._do("PAD", [number, amounts], [padded], version=2)
            number = padded
        weights = self._constant(layer.weights, layer.scales)
        bias = self._constant(layer.bias, np.float32(source.scale) * layer.scales)
        target = self._activations(self.network.tensors[layer.output])
        self._convolve([number, weights, bias], target, layer.stride, "SAME" if same else "VALID", version=3)
        return target

    def _add(self, layer: Layer, inputs: list[int]) -> int:
        target = self._activations(self.network.tensors[layer.output])
        self._do("ADD", inputs, [target], "AddOptions", version=2)
        return target

    def _mean(self, layer: Layer, inputs: list[int]) -> int:
        tensor = self.network.tensors[layer.output]
        target = self._activations(tensor, (1, tensor.size))
        axes = self._constant(np.array([1, 2], np.int32))
        self._do("MEAN", [*inputs, axes], [target], "ReducerOptions", version=2)
        return target

    def _answers(self, pooled: int) -> list[int]:
        """From the mean to probabilities, in 32 bit, as the card says."""
        heads = {head.label_set: head for head in self.network.heads}
        logarithms: dict[str, int] = {}  # of the calibrated probabilities of each head, but for a constant
        found: dict[str, int] = {}
        for name, output in self.card.heads.items():
            head, logits = heads[output.label_set], self._float((1, len(output.labels)))
            parts = [pooled, self._constant(head.floats), self._constant(head.bias)]
            self._do("FULLY_CONNECTED", parts, [logits], "FullyConnectedOptions")
            logarithms[name], found[name] = self._calibrated(name, output, logits)
        for name, output in self.card.outputs.items():
            if output.fusion:
                found[name] = self._calibrated(name, output, self._fused(output, logarithms))[1]
        return [found[name] for name in self.card.outputs]

    def _fused(self, output: Output, logarithms: Mapping[str, int]) -> int:
        shape, pool = (1, len(output.labels)), -1
        columns = self._constant(np.arange(len(output.labels), dtype=np.int32))
        for name, weight in output.fusion.items():
            normal = self._float((1, len(self.card.outputs[name].labels)))
            self._do("LOG_SOFTMAX", [logarithms[name]], [normal], "LogSoftmaxOptions")
            chosen = self._float(shape)
            self._do("GATHER", [normal, columns], [chosen], "GatherOptions", axis=1)
            part = self._binary("MUL", chosen, self._constant(np.array(weight, np.float32)), shape)
            pool = part if pool < 0 else self._binary("ADD", pool, part, shape)
        return pool

    def _calibrated(self, name: str, output: Output, logits: int) -> tuple[int, int]:
        """Calibrated logits, and probabilities."""
        shape = (1, len(output.labels))
        logarithms, nll = self._float(shape), self._float(shape)
        self._do("LOG_SOFTMAX", [logits], [logarithms], "LogSoftmaxOptions")
        self._do("ABS", [logarithms], [nll])
        raised = self._float(shape)
        self._do("POW", [nll, self._constant(np.array(output.power, np.float32))], [raised], "PowOptions")
        scaled = self._binary("DIV", raised, self._constant(np.array(output.temperature, np.float32)), shape)
        bias = np.array(output.bias or np.zeros(len(output.labels)), np.float32)[None]
        calibrated = self._binary("SUB", self._constant(bias), scaled, shape)
        probabilities = self._tensor("FLOAT32", shape, name)
        self._do("SOFTMAX", [calibrated], [probabilities], "SoftmaxOptions", beta=1.0)
        return calibrated, probabilities

    def _binary(self, operator: str, first: int, second: int, shape: Sequence[int]) -> int:
        result = self._float(shape)
        self._do(operator, [first, second], [result], f"{operator.capitalize()}Options")
        return result

    def _convolve(self, inputs: list[int], output: int, stride: int, padding: str, version: int) -> None:
        pads = getattr(self.schema.Padding, padding)
        self._do("CONV_2D", inputs, [output], "Conv2DOptions", version, strideW=stride, strideH=stride, padding=pads)

    def _do(
        self, operator: str, inputs: list[int], outputs: list[int], options: str = "", version: int = 1, **said: Any
    ) -> None:
        number = self.codes.setdefault((operator, version), len(self.codes))
        made = self.schema.OperatorT(opcodeIndex=number, inputs=inputs, outputs=outputs)
        if options:
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
            made.builtinOptions = getattr(self.schema, f"{options}T")(**said)
        self.operators.append(made)

    def _float(self, shape: Sequence[int]) -> int:
        return self._tensor("FLOAT32", shape)

    def _activations(self, tensor: Tensor, shape: Sequence[int] | None = None) -> int:
        """LiteRT's numbers go from -128 to 127."""
        quantities = self.schema.QuantizationParametersT(scale=[tensor.scale], zeroPoint=[tensor.zero - 128])
        return self._tensor("INT8", shape or (1, *tensor.shape), quantities=quantities)

    def _constant(self, numbers: NDArray[Any], scales: NDArray[np.float32] | None = None) -> int:
        quantities = None
        if scales is not None:
            quantities = self.schema.QuantizationParametersT(scale=scales.tolist(), zeroPoint=[0] * len(scales))
        self.buffers.append(_buffer(self.schema, np.frombuffer(np.ascontiguousarray(numbers).tobytes(), np.uint8)))
        kind = {"float32": "FLOAT32", "int32": "INT32", "int8": "INT8"}[numbers.dtype.name]
        return self._tensor(kind, numbers.shape, "", len(self.buffers) - 1, quantities)

    def _tensor(self, kind: str, shape: Sequence[int], name: str = "", buffer: int = 0, quantities: Any = None) -> int:
        number = len(self.tensors)
        kind = getattr(self.schema.TensorType, kind)
        made = self.schema.TensorT(list(shape), kind, buffer, name or f"t{number}", quantities, hasRank=True)
        self.tensors.append(made)
        return number

    def _packed(self, faces: int, outputs: list[int], metadata: Mapping[str, str]) -> bytes:
        schema, entries = self.schema, []
        for key, text in metadata.items():
            self.buffers.append(_buffer(schema, np.frombuffer(text.encode(), np.uint8)))
            entries.append(schema.MetadataT(key, len(self.buffers) - 1))
        codes = []
        for name, version in self.codes:
            code = getattr(schema.BuiltinOperator, name)
            codes.append(schema.OperatorCodeT(min(code, 127), None, version, code))
        named = [schema.TensorMapT(name, number) for name, number in zip(self.card.outputs, outputs, strict=True)]
        signature = schema.SignatureDefT([schema.TensorMapT("faces", faces)], named, "serving_default", 0)
        graph = schema.SubGraphT(self.tensors, [faces], outputs, self.operators, "mien")
        model = schema.ModelT(3, codes, [graph], "mien", self.buffers, None, entries, [signature])
        builder = require("flatbuffers", "litert").Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _buffer(schema: Any, numbers: NDArray[np.uint8]) -> Any:
    """A constant that begins at a multiple of 16 bytes: the generated code keeps no alignment."""

    class Aligned(schema.BufferT):
        def Pack(self, builder: Any) -> Any:  # noqa: N802  flatbuffers' name for it
            builder.StartVector(1, len(numbers), _ALIGNMENT)
            builder.head -= len(numbers)
            builder.Bytes[builder.head : builder.head + len(numbers)] = numbers.tobytes()
            data = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    return Aligned()
