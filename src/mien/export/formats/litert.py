"""LiteRT's flatbuffer (TensorFlow Lite): 8-bit arithmetic with the very numbers of the model file.

Written from the layers themselves. Converters measure the ranges of activations anew, and answer otherwise: see
``docs/devices.md``.
"""

from __future__ import annotations

from pathlib import Path

from mien import __version__
from mien.errors import require
from mien.export.formats.base import OneByOne, Source
from mien.export.formats.litert_writer import write
from mien.export.formats.lowered import lower
from mien.models import Card


class LiteRT:
    """A ``.tflite`` file: faces uint8 (1, H, W, 3) in, the card's outputs out."""

    name, title, suffix, extra = "litert", "LiteRT (TFLite)", ".tflite", "litert"
    folder = False
    faces: int | None = None

    def convert(self, source: Source, place: Path) -> None:
        """Write the file; the card is one of its metadata."""
        require("ai_edge_litert", self.extra)
        place.write_bytes(write(lower(source), source.card, source.carried(f"mien {__version__}")))

    def open(self, place: Path, card: Card) -> OneByOne:
        """The file, loaded."""
        return _Interpreter(place, card)

    def runtime(self) -> str:
        """Name and version."""
        from importlib.metadata import version

        require("ai_edge_litert", self.extra)
        return f"ai-edge-litert {version('ai-edge-litert')}"


class _Interpreter(OneByOne):
    def __init__(self, place: Path, card: Card) -> None:
        interpreter = require("ai_edge_litert.interpreter", "litert")
        self._runner = interpreter.Interpreter(str(place), num_threads=1).get_signature_runner()
        super().__init__(card, list(card.outputs))

    def ask(self, face):
        said = self._runner(faces=face)
        return [said[name] for name in self.names]
