"""ONNX Runtime's own format: the optimised graph as a flatbuffer, for its reduced builds on phones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.export.formats.base import OneByOne, Source
from mien.models import Card
from mien.runtime import onnxruntime


class Ort:
    """``.ort``: the same runtime, the same answers."""

    name, title, suffix, extra = "ort", "ONNX Runtime, .ort", ".ort", "ort"
    folder = False
    faces: int | None = None

    def convert(self, source: Source, place: Path) -> None:
        """Write the file. Left out is the one optimisation that ties a graph to x86: blocked channels (NCHWc)."""
        model = source.graph()
        for key, text in source.carried(self.runtime()).items():
            model.metadata_props.add(key=key, value=text)
        options = _options()
        options.optimized_model_filepath = str(place)
        options.add_session_config_entry("session.save_model_format", "ORT")
        onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["NchwcTransformer"],
        )

    def open(self, place: Path, card: Card) -> OneByOne:
        """The file, loaded."""
        return _Session(place, card)

    def runtime(self) -> str:
        """Name and version."""
        return f"onnxruntime {onnxruntime.__version__}"


class _Session(OneByOne):
    def __init__(self, place: Path, card: Card) -> None:
        self.session = onnxruntime.InferenceSession(str(place), _options(), providers=["CPUExecutionProvider"])
        super().__init__(card, [output.name for output in self.session.get_outputs()])

    def ask(self, face: NDArray[np.uint8]) -> Any:
        return self.session.run(None, {"faces": face})


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return options
