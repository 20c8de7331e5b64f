"""OpenVINO's intermediate representation: an .xml with the graph and the card, a .bin with the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import require
from mien.export.formats.base import OneByOne, Source
from mien.models import Card


class OpenVINO:
    """A folder with ``model.xml`` and ``model.bin``, 8-bit weights kept as they are."""

    name, title, suffix, extra = "openvino", "OpenVINO IR", "-openvino", "openvino"
    folder = True
    faces: int | None = None

    def convert(self, source: Source, place: Path) -> None:
        """Write both files; the card lies in the runtime information of the .xml."""
        openvino = require("openvino", self.extra)
        place.mkdir()
        bare = place / "source.onnx"
        bare.write_bytes(source.graph().SerializeToString())
        model = openvino.convert_model(bare)
        bare.unlink()
        for key, text in source.carried(self.runtime()).items():
            model.set_rt_info(text, [key])
        openvino.save_model(model, place / "model.xml", compress_to_fp16=False)

    def open(self, place: Path, card: Card) -> OneByOne:
        """The folder, compiled for the processor."""
        return _Compiled(require("openvino", self.extra), place, card)

    def runtime(self) -> str:
        """Name and version."""
        return f"openvino {require('openvino', self.extra).__version__.partition('-')[0]}"


class _Compiled(OneByOne):
    def __init__(self, openvino: Any, place: Path, card: Card) -> None:
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
        compiled = openvino.Core().compile_model(place / "model.xml", "CPU", settings)
        super().__init__(card, [output.get_any_name() for output in compiled.outputs])
        self._request = compiled.create_infer_request()

    def ask(self, face):
        # Never shared: a later call would write into the caller's pixels.
        said = self._request.infer({"faces": face}, share_inputs=False, share_outputs=False)
        return list(said.values())
