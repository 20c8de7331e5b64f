"""A 32-bit network graph at less precision: 8-bit arithmetic, or weights of 16 bit.

Only what lies between the first convolution and the logits is touched: luma, resizing, normalisation, test-time
views, temperature and softmax stay 32-bit. Refuses to judge the result; :mod:`mien.export.gates` does.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mien import files
from mien.errors import ExportError
from mien.runtime import onnxruntime

# isort: split
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod

#: How the range of each activation is found on the calibration faces.
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
#: What ONNX Runtime has 8-bit kernels for, less what must stay exact (softmax, normalisation over features).
_OPERATORS = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Split", "Slice", "Pad"),
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"),
)
_BATCH = 32


def run(network: onnx.ModelProto, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """What a network graph says.

    Args:
        network: from :func:`mien.export.graph.export_network`, at any precision.
        pixels: uint8 (N, C, S, S).

    Returns:
        Label set to logits, float32 (N, K).
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    parts = [session.run(None, batch) for batch in _batches(pixels)]
    names = [output.name.removeprefix("logits_") for output in session.get_outputs()]
    return {name: np.concatenate([np.asarray(part[k]) for part in parts]) for k, name in enumerate(names)}


def to_int8(
    network: onnx.ModelProto, faces: NDArray[np.uint8], method: str, *, reduce_range: bool = True
) -> onnx.ModelProto:
    """Quantise a network graph: U8 activations, S8 weights per channel, as pairs of QuantizeLinear and back.

    The heads' products leave in 32 bit: 256 steps are too coarse for logits.

    Args:
        network: from :func:`mien.export.graph.export_network`.
        faces: training faces to find the activations' ranges on, uint8 (N, C, S, S).
        method: one of :data:`METHODS`.
        reduce_range: keep weights to 7 bit, since the 8-bit sums of some processors saturate (x86 without VNNI).

    Returns:
        The same graph, named and shaped alike.

    Raises:
        ExportError: ONNX Runtime cannot quantise this network.
    """
    try:
        return _tidy(_quantise(network, faces, method, reduce_range), network)
    except Exception as error:  # ONNX Runtime raises many types of its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ExportError(f"ONNX Runtime cannot make this network 8 bit ({reason}): try fp16") from error


def _quantise(network: onnx.ModelProto, faces: NDArray[np.uint8], method: str, reduce_range: bool) -> onnx.ModelProto:
    with files.scratch() as folder, _quiet():
        given, prepared, made = (str(folder / name) for name in ("given.onnx", "prepared.onnx", "made.onnx"))
        onnx.save(network, given)
        # Symbolic shapes are for transformers: behind the batch, every shape of these graphs is a number.
        quantization.quant_pre_process(given, prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        first = next(index for index, node in enumerate(nodes) if node.op_type in {"Conv", "Gemm", "MatMul"})
        quantization.quantize_static(
            prepared,
            made,
            _Reader(faces),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(_OPERATORS),
            nodes_to_exclude=[node.name for node in nodes[:first]],
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=METHODS[method],
            # A stride of one batch works for every method, and keeps one batch's activations in memory, not all.
            extra_options={"CalibStridedMinMax": 1, "OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        return onnx.load(made)


def to_fp16(network: onnx.ModelProto) -> onnx.ModelProto:
    """Store a network graph's weights in 16 bit; it computes in 32 as before, so it is half the size, not faster."""
    halved = onnx.ModelProto()
    halved.CopyFrom(network)
    casts = []
    for weight in halved.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < 64:
            continue
        name = weight.name
        values = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(values, f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *halved.graph.node]
    del halved.graph.node[:]
    halved.graph.node.extend(nodes)
    return halved


@dataclass(frozen=True)
class Chosen:
    """The calibration method that agreed most with the 32-bit graph.

    Attributes:
        method: one of :data:`METHODS`.
        network: its 8-bit graph.
        logits: what that graph says of the faces it was chosen by, label set to (N, K).
        agreements: for every method the share of faces with the same most likely label, mean over the heads.
    """

    method: str
    network: onnx.ModelProto
    logits: dict[str, NDArray[np.float32]]
    agreements: dict[str, float]


def choose(
    quantised: Callable[[str], onnx.ModelProto], pixels: NDArray[np.uint8], exact: dict[str, NDArray[np.float32]]
) -> Chosen:
    """Try every calibration method and keep the one whose labels agree most with the 32-bit graph's.

    Args:
        quantised: makes the 8-bit graph by a method.
        pixels: validation faces, uint8 (N, C, S, S).
        exact: what the 32-bit graph says of them, label set to logits.
    """
    labels = {name: rows.argmax(axis=1) for name, rows in exact.items()}
    networks, logits, agreements = {}, {}, {}
    for method in METHODS:
        networks[method] = quantised(method)
        logits[method] = run(networks[method], pixels)
        equal = [(rows.argmax(axis=1) == labels[name]).mean() for name, rows in logits[method].items()]
        agreements[method] = float(np.mean(equal))
    best = max(agreements, key=lambda method: agreements[method])
    return Chosen(best, networks[best], logits[best], agreements)


class _Reader(CalibrationDataReader):
    """Faces in batches, as ONNX Runtime's calibration wants them."""

    def __init__(self, faces: NDArray[np.uint8]) -> None:
        self.batches = list(_batches(faces))
        self.set_range(0, len(self.batches))

    def __len__(self) -> int:
        return len(self.batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.rest = iter(self.batches[start_index:end_index])

    def get_next(self) -> Any:
        return next(self.rest, None)


def _batches(pixels: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(0, len(pixels), _BATCH):
        yield {"pixels": pixels[start : start + _BATCH].astype(np.float32) / np.float32(255)}


def _tidy(model: onnx.ModelProto, like: onnx.ModelProto) -> onnx.ModelProto:
    """ONNX Runtime's optimiser declares every domain it knows; keep those that nodes come from."""
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:], model.metadata_props[:], model.graph.value_info[:]
    model.opset_import.extend(opsets)
    model.ir_version = like.ir_version
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's calibration prints and warns; a library must not."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
