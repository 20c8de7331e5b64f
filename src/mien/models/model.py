"""A trained model, loaded and ready to score crops, with ONNX Runtime and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mien.errors import ModelError, PictureError
from mien.models.card import Card, detach

_BATCH = 64


class Model:
    """One model file.

    Args:
        path: the ``.onnx`` file.
        threads: processor threads for one batch; None lets ONNX Runtime take all cores.

    Raises:
        ModelError: the file is missing or damaged, or carries no valid card.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        self.path = Path(path)
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read the model file {path}: {error.strerror}") from error
        _, self.card = detach(data, where=str(path))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises many types of its own
            raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error
        names = [output.name for output in self._session.get_outputs()]
        if names != list(self.card.outputs):
            raise ModelError(f"{path} has outputs {names}, its card names {list(self.card.outputs)}: export it again")

    card: Card

    def score(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Probabilities of each face.

        Args:
            crops: RGB uint8 (N, H, W, 3); sizes other than the card's are resized inside the graph.

        Returns:
            Output name to float32 (N, K), rows summing to 1, in the card's order.

        Raises:
            PictureError: the array is of another shape or type.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[3] != 3:
            raise PictureError(f"crops must be RGB uint8 (N, H, W, 3), not {crops.dtype} {crops.shape}")
        if not len(crops):
            return {name: np.empty((0, len(output.labels)), np.float32) for name, output in self.card.outputs.items()}
        parts = [
            self._session.run(None, {"faces": np.ascontiguousarray(crops[start : start + _BATCH])})
            for start in range(0, len(crops), _BATCH)
        ]
        return {
            name: np.concatenate([np.asarray(part[index], np.float32) for part in parts])
            for index, name in enumerate(self.card.outputs)
        }
