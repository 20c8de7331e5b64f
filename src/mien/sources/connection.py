"""Connections for httpcore2 that lead where they should: to the very address that was checked, and in time.

Owns the clock of a connection and what its faults are called. Refuses to know what is fetched.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import httpcore2

from mien.errors import SourceError
from mien.sources.addresses import look_up


class Clock:
    """How long a step may take: up to the timeout, and no longer than what is left of the whole."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.allow(timeout)

    def allow(self, seconds: float) -> None:
        """From now on all steps together may take so long."""
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @contextmanager
    def step(self) -> Generator[float, None, None]:
        """The seconds that one step on a connection may take."""
        try:
            yield min(self.timeout, self._left())
        except httpcore2.TimeoutException as error:
            self._left()
            raise TimeoutError(f"no answer for {self.timeout:g} s") from error

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done after {self._seconds:g} s")
        return left


class CheckedBackend(httpcore2.NetworkBackend):
    """Connects to the very addresses that were checked, and times every step."""

    def __init__(self, name: str, private: bool, clock: Clock) -> None:
        self._name, self._private, self._clock = name, private, clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to a host; a SourceError where it is unknown or any of its addresses may not be asked."""
        failure: Exception = httpcore2.ConnectError("unknown host")
        for address, number in look_up(host, port, self._name, self._private):
            try:
                with self._clock.step() as seconds:
                    connected = httpcore2.SyncBackend().connect_tcp(address, number, seconds)
                return _Stream(connected, self._clock)
            except (httpcore2.ConnectError, TimeoutError) as error:
                failure = error
        raise failure


class _Stream(httpcore2.NetworkStream):
    """A connection on which every step is timed; a server that sends a byte now and then comes to its end too."""

    def __init__(self, stream: httpcore2.NetworkStream, clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self.close, self.get_extra_info = stream.close, stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._clock.step() as seconds:
            return self._stream.read(max_bytes, seconds)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._clock.step() as seconds:
            self._stream.write(buffer, seconds)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        with self._clock.step() as seconds:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._clock)


@contextmanager
def explained(name: str) -> Generator[None, None, None]:
    """The many faults of the network become SourceErrors of one line."""
    try:
        yield
    except TimeoutError as error:
        raise SourceError(f"{name}: {error}; try again later") from error
    except httpcore2.ProtocolError as error:
        raise SourceError(f"{name}: not an answer that HTTP knows; check the address") from error
    except (httpcore2.NetworkError, OSError) as error:
        reason = next((one for one in error.args if isinstance(one, OSError)), error)  # what httpcore2 wraps
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise SourceError(
                f"{name}: its certificate does not hold: {reason.verify_message}; SSL_CERT_FILE names a file with the"
                " certificate of a server of your own"
            ) from error
        told = getattr(reason, "reason", None) or getattr(reason, "strerror", None) or reason
        raise SourceError(f"{name}: cannot be read: {told}; check the address and the network") from error
