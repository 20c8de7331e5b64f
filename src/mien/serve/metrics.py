"""What is counted, for Prometheus; right with several workers by the client's multiprocess mode.

Labels come from fixed lists, so that no client can make series.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from mien.serve.settings import COUNTS_FOLDER

STAGES = ("receive", "wait", "decode", "recognize")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_ENDPOINTS = {
    "/v1/predict": "predict",
    "/v1/predict/batch": "batch",
    "/v1/video": "video",
    "/v1/stream": "stream",
    "/compat/deepface/analyze": "deepface",
}


class Metrics:
    """The numbers of one worker."""

    def __init__(self) -> None:
        disable_created_metrics()  # a series each that says when it began
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "mien_requests", "Requests by what was asked and the class of the status.", ("endpoint", "status"),
            registry=self._registry,
        )  # fmt: skip
        self.refused = Counter(
            "mien_refused", "Requests that were refused, by the kind of problem.", ("reason",), registry=self._registry
        )
        self.seconds = Histogram(
            "mien_stage_seconds", "Seconds a stage of a request took.", ("stage",), buckets=_BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self.faces = Counter("mien_faces", "Faces that were read.", registry=self._registry)
        live = "livesum"
        self.admitted = Gauge(
            "mien_admitted", "Requests being received, waiting or worked on.", multiprocess_mode=live,
            registry=self._registry,
        )  # fmt: skip
        self.streams = Gauge(
            "mien_streams", "Open WebSocket connections.", multiprocess_mode=live, registry=self._registry
        )
        for stage in STAGES:
            self.seconds.labels(stage)

    @contextmanager
    def stage(self, name: str) -> Generator[None, None, None]:
        """Time a stage."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds.labels(name).observe(perf_counter() - began)

    def count(self, route: str | None, status: int, reason: str | None) -> None:
        """Count a request.

        Args:
            route: the path as declared; None: there is no such route.
            status: of the reply; 499 where the client left before it.
            reason: the kind of problem, where it is one.
        """
        self.requests.labels(_ENDPOINTS.get(route or "", "other"), f"{status // 100}xx").inc()
        if reason is not None:
            self.refused.labels(reason).inc()

    def text(self) -> bytes:
        """All workers' numbers in Prometheus' text form."""
        if COUNTS_FOLDER not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
