"""What answers for a finished run: its model file, or a pipeline that ONNX does not express.

A :class:`Fitted` scores crops as a model file does, with a card of its own, so that it can be measured, reported,
compared and made part of ensembles. Owns reading it. Refuses to be a product: it needs the training libraries, and may
hold training faces, so ``mien predict`` does not take it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.classical import features
from mien.classical import pipeline as pipelines
from mien.classical.fit import chosen
from mien.classical.pipeline import answerable
from mien.detection.framing import resize
from mien.errors import ModelError
from mien.evaluate.calibration import Calibration
from mien.models import Card, Model
from mien.models.card import parse
from mien.runs import RunFolder
from mien.sources.images import luma


class Fitted:
    """The pipeline of an evaluate-only run.

    Args:
        run: with its card and pipeline.

    Raises:
        ModelError: one of the two is missing, damaged, or they do not belong together.
        TrainingError: the run is no classical one.
        MissingExtraError: a library that the pipeline needs is not installed.
    """

    card: Card

    def __init__(self, run: RunFolder) -> None:
        self.path, self.card = run.path, read_card(run)
        content = _read(run.pipeline)
        if hashlib.sha256(content).hexdigest() != self.card.graph_sha256:
            raise ModelError(f"{run.pipeline} is not the one that {run.card} names: mien train --resume mends it")
        self._pipeline = pipelines.loads(content, str(run.pipeline))
        self._features = features.build(chosen(run).features)

    def score(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Probabilities of crops RGB uint8 (N, H, W, 3): output name to float32 (N, K), rows summing to 1.

        Crops without features are answered with the share of each label among the training faces.
        """
        ((name, output),) = self.card.outputs.items()
        if not len(crops):
            return {name: np.empty((0, len(output.labels)), np.float32)}
        grey = np.stack([resize(face, self.card.width, self.card.height) for face in luma(crops)])
        found = self._features(grey)
        answers = Calibration.of(output).probabilities(self._pipeline.logits(found))
        answers[~answerable(found)] = self._pipeline.prior
        return {name: answers.astype(np.float32)}


def load(run: RunFolder) -> Model | Fitted:
    """What answers for a run: its model file if there is one, else its pipeline.

    Raises:
        ModelError: there is neither, or what there is is damaged.
    """
    if not run.model.exists() and not run.card.exists():
        raise ModelError(f"{run.model} is missing: mien export {run.path} --data FILE")
    return Model(run.model) if run.model.exists() else Fitted(run)


def read_card(run: RunFolder) -> Card:
    """The card of an evaluate-only run.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    return parse(_read(run.card), where=str(run.card))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}; mien train --resume mends it") from error
