"""Core ML's package, for Apple's devices: built here, and run by nobody before it is on one."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from mien.errors import ExportError, require
from mien.export.formats.base import OneByOne, Source
from mien.export.formats.specialise import dequantised, fixed, rename, tidied
from mien.models import Card

_TARGET = "iOS17"
_LEAST = 512  # numbers of a weight that is stored in 8 bit


class CoreML:
    """An ``.mlpackage``: ``faces`` float32 (1, H, W, 3) in 0-255 in, the card's outputs out; weights in 8 bit."""

    name, title, suffix, extra = "coreml", "Core ML", ".mlpackage", "coreml"
    folder = True
    faces: int | None = None

    def convert(self, source: Source, place: Path) -> None:
        """Write the package; the card lies in its user-defined metadata."""
        if sys.platform == "win32":
            raise ExportError("Core ML packages are built on Linux and macOS")
        onnx = require("onnx", self.extra)
        with _writable(onnx.numpy_helper), _quiet():
            coreml, optimize = require("coremltools", self.extra), require("coremltools.optimize.coreml", self.extra)
            small = _converted(require("onnx2coreml", self.extra), optimize, source)
        for key, text in source.carried(f"coremltools {coreml.__version__}").items():
            small.user_defined_metadata[key] = text
        small.short_description = source.card.intended_use
        small.license = source.card.licence
        small.version = source.card.version
        with _quiet():
            small.save(str(place))

    def open(self, place: Path, card: Card) -> OneByOne | None:
        """On a Mac the package, loaded; elsewhere None."""
        if sys.platform != "darwin":
            return None
        return _Package(require("coremltools", self.extra).models.MLModel(str(place)), card)

    def runtime(self) -> str:
        """What runs it, or would."""
        if sys.platform != "darwin":
            return "none here: it takes a Mac"
        return f"Core ML, coremltools {require('coremltools', self.extra).__version__}"


class _Package(OneByOne):
    def __init__(self, model: Any, card: Card) -> None:
        super().__init__(card, list(card.outputs))
        self._model = model

    def ask(self, face):
        said = self._model.predict({"faces": face.astype("float32")})
        return [said[name] for name in self.names]


def _converted(onnx2coreml: Any, optimize: Any, source: Source) -> Any:
    """The package in memory, weights in 8 bit.

    Raises:
        ExportError: the converter does not know a node of the graph.
    """
    model = _float_faces(dequantised(fixed(source.graph(), source.card)))
    try:
        made = onnx2coreml.convert(
            model, format="mlpackage", minimum_deployment_target=_TARGET, compute_precision="fp16"
        )
    except onnx2coreml.errors.UnsupportedOpError as error:
        raise ExportError(f"onnx2coreml: {' '.join(str(error).split())[:160]}") from error
    rule = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=_LEAST)
    return optimize.linear_quantize_weights(made, config=optimize.OptimizationConfig(global_config=rule))


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """The converters print their progress and warn of their own deprecations; a library must not."""
    with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _writable(helper: Any) -> Generator[None, None, None]:
    """The converter writes into the arrays of weights, which onnx gives read-only."""
    original = helper.to_array
    helper.to_array = lambda *arguments, **options: original(*arguments, **options).copy()
    try:
        yield
    finally:
        helper.to_array = original


def _float_faces(model: Any) -> Any:
    """Faces as float32, which Core ML knows in the place of uint8, and sums of several as additions of two."""
    onnx = require("onnx", "coreml")
    graph, nodes = model.graph, []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] == graph.input[0].name:
            graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        elif node.op_type == "Sum":
            total = node.input[0]
            for place, name in enumerate(node.input[1:], start=2):
                target = node.output[0] if place == len(node.input) else f"{node.output[0]}_{place}"
                nodes.append(onnx.helper.make_node("Add", [total, name], [target]))
                total = target
        else:
            nodes.append(node)
    casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    rename(graph, casts)
    return tidied(onnx, model)
