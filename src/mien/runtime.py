"""ONNX Runtime, imported in this one place, with its telemetry off.

From 1.32 on, ONNX Runtime leaves a device id and queued events in the user's home when it is first used, for its maker.
Its switch counts only when it is set before the first import. Whoever wants the telemetry sets
``ORT_DISABLE_TELEMETRY=0``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # pyright: ignore[reportMissingTypeStubs]  it ships none

__all__ = ["Port", "Session", "onnxruntime", "providers", "session"]


class Port(Protocol):
    """An input or output of a graph: its name, and its shape with numbers, names, or None for what is open."""

    name: str
    shape: Sequence[int | str | None]


class Session(Protocol):
    """What mien uses of ONNX Runtime's sessions, which have no types of their own."""

    def get_inputs(self) -> Sequence[Port]:
        """The graph's inputs."""
        ...

    def get_outputs(self) -> Sequence[Port]:
        """The graph's outputs."""
        ...

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs asked for, None for all, as float or integer arrays."""
        ...


def session(model: bytes, threads: int | None, providers: Sequence[str]) -> Session:
    """A session that keeps quiet.

    Args:
        model: a file of ONNX.
        threads: processor threads of one run; None: all cores.
        providers: what computes, the first that can.

    Raises:
        Exception: many types of ONNX Runtime's own, where it cannot load the graph.
    """
    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return runtime.InferenceSession(model, options, providers=list(providers))


def providers() -> list[str]:
    """What this ONNX Runtime can compute with."""
    runtime: Any = onnxruntime
    return runtime.get_available_providers()
