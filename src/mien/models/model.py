"""A trained model, loaded and ready to score crops, with ONNX Runtime and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mien import runtime
from mien.errors import ModelError, PictureError, shown
from mien.models.card import Card, detach

_BATCH = 64
_LARGEST = 2**30  # bytes of a model file; the largest network that mien trains has a tenth of it

#: Names of ONNX Runtime's execution providers here, and the package that brings each where the usual one lacks it.
PROVIDERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cpu": ("CPUExecutionProvider", "onnxruntime"),
        "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
        "coreml": ("CoreMLExecutionProvider", "onnxruntime, on macOS"),
        "directml": ("DmlExecutionProvider", "onnxruntime-directml, on Windows"),
        "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    }
)


class Model:
    """One model file.

    Args:
        path: the ``.onnx`` file.
        threads: processor threads for one batch; None lets ONNX Runtime take all cores.
        provider: what computes, one of :data:`PROVIDERS`; what it cannot compute falls to the processor.

    Raises:
        ModelError: the file is missing or damaged, carries no valid card, or this ONNX Runtime has no such provider.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, provider: str = "cpu") -> None:
        self.path = Path(path)
        self._made = {"threads": threads, "provider": provider}
        data = read_file(self.path)
        _, self.card = detach(data, where=str(path))
        computed_by = _providers(provider)
        try:
            self._session = runtime.session(data, threads, computed_by)
        except Exception as error:  # ONNX Runtime raises many types of its own
            raise ModelError(f"ONNX Runtime cannot load {path}: {_first_line(error)}") from error
        names = [output.name for output in self._session.get_outputs()]
        if names != list(self.card.outputs):
            raise ModelError(f"{path} has outputs {names}, its card names {list(self.card.outputs)}: export it again")
        for output in self._session.get_outputs():
            columns, labels = output.shape[-1] if output.shape else None, self.card.outputs[output.name].labels
            if isinstance(columns, int) and columns != len(labels):
                raise ModelError(
                    f"{path} has no valid card: {len(labels)} labels for the {columns} columns of"
                    f" '{shown(output.name)}';"
                    " export it again"
                )

    card: Card

    def __reduce__(self) -> tuple[Callable[[Path], Model], tuple[Path]]:
        """By its file, which is read again where it arrives and must hold the same graph."""
        return partial(_again, self.card.graph_sha256, **self._made), (self.path.absolute(),)

    def score(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Probabilities of each face.

        Args:
            crops: RGB uint8 (N, H, W, 3); sizes other than the card's are resized inside the graph.

        Returns:
            Output name to float32 (N, K), rows summing to 1, in the card's order.

        Raises:
            PictureError: the array is of another shape or type.
            ModelError: ONNX Runtime fails on this graph.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[3] != 3:
            raise PictureError(f"crops must be RGB uint8 (N, H, W, 3), not {crops.dtype} {crops.shape}")
        if not len(crops):
            return {name: np.empty((0, len(output.labels)), np.float32) for name, output in self.card.outputs.items()}
        try:
            parts = [
                self._session.run(None, {"faces": np.ascontiguousarray(crops[start : start + _BATCH])})
                for start in range(0, len(crops), _BATCH)
            ]
        except Exception as error:  # ONNX Runtime raises many types of its own
            raise ModelError(f"ONNX Runtime cannot run {self.path}: {_first_line(error)}") from error
        return {
            name: np.concatenate([np.asarray(part[index], np.float32) for part in parts])
            for index, name in enumerate(self.card.outputs)
        }


def _again(graph: str, path: Path, *, threads: int | None, provider: str) -> Model:
    """A pickled model, loaded."""
    model = Model(path, threads=threads, provider=provider)
    if model.card.graph_sha256 != graph:
        raise ModelError(f"{path}: another model than the one that was pickled")
    return model


def read_file(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        ModelError: it cannot be read, or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                size = os.fstat(file.fileno()).st_size
                raise ModelError(f"{path}: {size:,} bytes, a model file has up to {_LARGEST:,}")
            return file.read(_LARGEST)
    except OSError as error:
        raise ModelError(f"cannot read the model file {path}: {error.strerror}") from error
    except MemoryError as error:
        raise ModelError(f"{path}: not enough memory to read it") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _providers(name: str) -> list[str]:
    """What ONNX Runtime is to compute with, the processor last."""
    if name not in PROVIDERS:
        raise ModelError(f"no provider is called '{shown(name)}', only {', '.join(PROVIDERS)}")
    wanted, package = PROVIDERS[name]
    if wanted not in runtime.providers():
        raise ModelError(
            f"this ONNX Runtime has no {wanted}; the package that brings it stands in for onnxruntime: {package}"
        )
    return list(dict.fromkeys((wanted, "CPUExecutionProvider")))
