"""Ray started for a batch: quietly, here or at a cluster's address; the caller's signals stay as they were."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from mien.errors import MienError


def start(ray: Any, address: str | None, workers: int | None) -> None:
    """Start Ray on this machine, or join a cluster.

    Raises:
        MienError: neither can be done.
    """
    # Ray's core warns of its own actors on stderr; what goes wrong comes as an exception.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")  # which prints its own stack at SIGTERM
    before = signal.getsignal(signal.SIGTERM)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        if address:
            _knock(address)
        with _silent():
            if address:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            else:
                ray.init(
                    num_cpus=workers or os.cpu_count() or 1,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                    object_store_memory=2**28,
                )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise MienError(f"Ray cannot be started{f' at {address}' if address else ''}: {error}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's leaves with 15


@contextmanager
def _silent() -> Generator[None, None, None]:
    """Standard error to nowhere: Ray's core writes there by itself, past Python; what fails is raised."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _knock(address: str) -> None:
    """See that somebody listens there: Ray itself waits minutes for a cluster that is not there."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
