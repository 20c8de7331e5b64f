"""ncnn's text and weights: the network between luma and logits; what stands around it, the caller computes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ExportError, require
from mien.evaluate import fusion
from mien.evaluate.calibration import Calibration
from mien.export.formats.base import OneByOne, Source
from mien.export.formats.specialise import cut, dequantised, fixed
from mien.models import Card

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_PIXELS = "faces_unit"  # luma or colours in 0-1, as mien.export.graph names them


class Ncnn:
    """A folder with ``model.param`` and ``model.bin``, weights in 16 bit.

    Blob ``in0`` takes luma in 0-1 (1, H, W), or RGB (3, H, W) for networks that see colours; ``out0``, ``out1`` are
    the logits of the card's heads in its order. :func:`answers` says how they become probabilities.
    """

    name, title, suffix, extra = "ncnn", "ncnn", "-ncnn", "ncnn"
    folder = True
    faces: int | None = None

    def convert(self, source: Source, place: Path) -> None:
        """Write the folder with pnnx."""
        onnx, pnnx = require("onnx", self.extra), require("pnnx", self.extra)
        model, card = dequantised(fixed(source.graph(), source.card)), source.card
        values = {name for node in model.graph.node for name in (*node.input, *node.output)}
        ends = [f"logits_{output.label_set}" for output in card.heads.values()]
        if missing := [name for name in (_PIXELS, *ends) if name not in values]:
            raise ExportError(f"the graph has no {missing[0]}: ncnn takes networks of one member, as mien exports them")
        network = cut(model, [_PIXELS], ends)
        channels = network.graph.input[0].type.tensor_type.shape.dim[1].dim_value
        place.mkdir()
        onnx.save(network, place / "model.onnx")
        done = subprocess.run(
            [pnnx.EXEC_PATH, "model.onnx", "fp16=1"], cwd=place, capture_output=True, text=True, check=False
        )
        made = [place / f"model.ncnn.{part}" for part in ("param", "bin")]
        if done.returncode or not all(one.is_file() for one in made):
            raise ExportError(f"pnnx ends with {done.returncode}: {done.stderr.strip().rpartition(chr(10))[2]}")
        for one in made:
            one.rename(place / one.name.replace(".ncnn", ""))
        for one in place.iterdir():
            if one.name not in ("model.param", "model.bin"):
                one.unlink()
        (place / "card.json").write_text(source.sidecar(_version("pnnx"), channels=channels), encoding="utf-8")

    def open(self, place: Path, card: Card) -> OneByOne:
        """The folder, loaded."""
        return _Net(require("ncnn", self.extra), place, card)

    def runtime(self) -> str:
        """Name and version."""
        require("ncnn", self.extra)
        return _version("ncnn")


class _Net(OneByOne):
    def __init__(self, ncnn: Any, place: Path, card: Card) -> None:
        super().__init__(card, list(card.outputs))
        self._ncnn, self._net = ncnn, ncnn.Net()
        self._net.opt.num_threads = 1
        if self._net.load_param(str(place / "model.param")) or self._net.load_model(str(place / "model.bin")):
            raise ExportError("ncnn does not load what pnnx wrote")
        self._channels = json.loads((place / "card.json").read_text(encoding="utf-8"))["channels"]

    def ask(self, face: NDArray[np.uint8]):
        pixels = face[0].astype(np.float32) / 255
        planes = (pixels @ _LUMA)[None] if self._channels == 1 else pixels.transpose(2, 0, 1)
        extractor = self._net.create_extractor()
        extractor.input("in0", self._ncnn.Mat(np.ascontiguousarray(planes)).clone())  # else it keeps no array alive
        heads = {
            output.label_set: np.array(extractor.extract(f"out{number}")[1])[None]
            for number, output in enumerate(self.card.heads.values())
        }
        found = answers(self.card, heads)
        return [found[name] for name in self.names]


def answers(card: Card, logits: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """What a model file's graph computes behind its network, from the card.

    Args:
        card: with the calibration of each output.
        logits: label set to (N, K).
    """
    said = {name: Calibration.of(head).probabilities(logits[head.label_set]) for name, head in card.heads.items()}
    for name, output in card.outputs.items():
        if output.fusion:
            parts = {card.outputs[part].label_set: said[part] for part in output.fusion}
            weights = {card.outputs[part].label_set: weight for part, weight in output.fusion.items()}
            said[name] = Calibration.of(output).probabilities(fusion.pool(parts, weights))
    return {name: np.asarray(rows, np.float32) for name, rows in said.items()}


def _version(package: str) -> str:
    from importlib.metadata import version

    return f"{package} {version(package)}"
