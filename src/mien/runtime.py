"""ONNX Runtime, imported in this one place, with its telemetry off.

From 1.32 on, ONNX Runtime leaves a device id and queued events in the user's home when it is first used, for its maker.
Its switch counts only when it is set before the first import. Whoever wants the telemetry sets
``ORT_DISABLE_TELEMETRY=0``.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
