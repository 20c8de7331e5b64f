"""What a format is, and what it is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import require
from mien.evaluate.predictions import Scorer
from mien.models import Card
from mien.models.card import detach


@dataclass(frozen=True)
class Source:
    """A model file, as it is turned into another format.

    Attributes:
        path: of the ``.onnx`` file.
    """

    path: Path

    @cached_property
    def content(self) -> bytes:
        """The whole file."""
        return self.path.read_bytes()

    @cached_property
    def card(self) -> Card:
        """What it says of itself."""
        return detach(self.content, where=str(self.path))[1]

    def graph(self) -> Any:
        """A new copy of its graph, an ``onnx.ModelProto`` without metadata."""
        return require("onnx", "ort").load_from_string(detach(self.content, where=str(self.path))[0])

    def carried(self, converter: str) -> dict[str, str]:
        """What every format carries: key to text. The card as JSON, and which file it was made from, by what."""
        origin = {
            "name": self.card.name,
            "version": self.card.version,
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "converter": converter,
        }
        return {"mien": self.card.to_json(), "mien_source": json.dumps(origin)}

    def sidecar(self, converter: str, **more: object) -> str:
        """The same as one JSON file, for formats that have no room for it, and what else a caller must know."""
        return json.dumps({key: json.loads(text) for key, text in self.carried(converter).items()} | more) + "\n"


class Format(Protocol):
    """One format: how it is written, and how it is run here.

    Attributes:
        name: the word of ``--format``.
        title: what people call it.
        suffix: of the file or folder that is written.
        extra: of mien, that brings what converts and runs it.
        folder: whether it is several files.
        faces: how many faces of each kind the gate asks it about; None for all. For runtimes that are slow here.
    """

    name: str
    title: str
    suffix: str
    extra: str
    folder: bool
    faces: int | None

    def convert(self, source: Source, place: Path) -> None:
        """Write the file or the folder, card and all.

        Raises:
            ExportError: the format cannot express the network.
            MissingExtraError: what converts is not installed.
        """
        ...

    def open(self, place: Path, card: Card) -> Scorer | None:
        """What was written, ready to be asked on one thread; None where it cannot be run on this machine.

        Raises:
            MissingExtraError: the runtime is not installed.
        """
        ...

    def runtime(self) -> str:
        """Name and version of what runs it here, or would."""
        ...


class OneByOne:
    """A scorer that takes one face at a time.

    Args:
        card: of the model.
        names: outputs in the order in which :meth:`ask` gives them.
    """

    def __init__(self, card: Card, names: Sequence[str]) -> None:
        self.card, self.names = card, list(names)

    def ask(self, face: NDArray[np.uint8]) -> Sequence[NDArray[np.floating]]:
        """Probabilities of one face, uint8 (1, H, W, 3) of the card's size: one (1, K) for each output."""
        raise NotImplementedError

    def score(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Probabilities of faces, as :meth:`mien.models.Model.score`, for crops of the card's size."""
        said = [self.ask(np.ascontiguousarray(crops[i : i + 1])) for i in range(len(crops))]
        found = {
            name: np.concatenate([np.asarray(one[index], np.float32).reshape(1, -1) for one in said])
            for index, name in enumerate(self.names)
        }
        return {name: found[name] for name in self.card.outputs}
