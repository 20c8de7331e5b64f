"""A stand-in for a loaded model: the shape of ``mien.models.Model``, and answers that depend on the pixels."""

from types import SimpleNamespace

import numpy as np

from mien.detection.framing import FER2013_FRAMING
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN


class StubModel:
    """Scores by the brightness of horizontal bands, so that another crop or channel order shows."""

    def __init__(self):
        self.card = SimpleNamespace(
            name="stub",
            version="1",
            graph_sha256="0" * 64,
            width=48,
            height=48,
            outputs={
                "probabilities": SimpleNamespace(labels=BASIC_EIGHT, label_set="ferplus", prior=()),
                "probabilities_fer2013": SimpleNamespace(labels=BASIC_SEVEN, label_set="fer2013", prior=()),
            },
            framing={name: framing.to_dict() for name, framing in FER2013_FRAMING.items()},
        )
        self.batches = []

    def score(self, crops):
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (48, 48, 3)
        self.batches.append(len(crops))
        weights = np.array([1.0, 0.2, 0.05], np.float32)
        rows = (crops.astype(np.float32) @ weights).mean(axis=2)  # (N, 48)
        out = {}
        for name, output in self.card.outputs.items():
            count = len(output.labels)
            bands = rows[:, : 48 // count * count].reshape(len(crops), count, -1).mean(axis=2)
            powers = np.exp((bands - bands.max(axis=1, keepdims=True)) / 20)
            out[name] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        return out
