"""The processes: one port, workers that share it, time limits that uvicorn lacks, and an orderly end.

Each worker loads its models before it listens, so the port answers only when it can be used. On SIGTERM workers take no
new connections and finish what they have.
"""

from __future__ import annotations

import asyncio
import logging.config
import os
import signal
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from mien import files
from mien.errors import MienError
from mien.serve.logs import configuration, log
from mien.serve.settings import COUNTS_FOLDER, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

#: Connections that one worker keeps.
CONNECTIONS = 1000
#: Of a request that was answered before its body was there, so long and so many bytes are still read and dropped, so
#: that the client sees the answer and not a lost connection.
LINGER_SECONDS, LINGER_BYTES = 5.0, 2**26
HEADER_BYTES = 2**15
#: Seconds without a sign of life after which a worker is replaced.
WORKER_SECONDS = 10
#: Seconds after which an idle connection is closed, and one whose client reads nothing of its reply is cut.
KEEP_ALIVE_SECONDS = 20


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP, with an end to headers that never come and to bodies that nobody reads."""

    #: Until a request's headers must be there.
    header_seconds = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  as uvicorn's own
        """Headers are awaited from now on."""
        self._deadline: asyncio.TimerHandle | None = None
        self._dropped = self._unread = 0
        super().connection_made(transport)
        self._close_after(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._close_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data, and see what is awaited next."""
        super().data_received(data)
        state = self.conn.their_state
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn types it as
        if cycle is not None and not cycle.response_complete:
            self._close_after(None)  # how long a body may take is up to the application
        elif state is h11.IDLE and self._deadline is None:
            self._close_after(self.header_seconds)
        elif state is h11.SEND_BODY:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.abort()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection is another protocol's from now on."""
        self._close_after(None)
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the rest of the body, or for the next request."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._dropped = 0
            self._close_after(LINGER_SECONDS)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; a reply that is still being read may take its time."""
        unread = self.transport.get_write_buffer_size()
        if not unread:
            super().timeout_keep_alive_handler()
        elif unread == self._unread:
            self.transport.abort()
        else:
            self._unread = unread
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _close_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)


class FairLoop(asyncio.SelectorEventLoop):
    """An event loop that takes one connection at a time, so that workers share out those that come at once.

    asyncio takes as many as may wait, before any other worker is awake.
    """

    async def create_server(self, *args: Any, backlog: int = 100, **options: Any) -> asyncio.Server:
        """As asyncio's, of a socket that is given."""
        server = await super().create_server(*args, backlog=1, **options)
        options["sock"].listen(backlog)  # how many may wait is another matter
        return server


class _Workers(Multiprocess):
    """uvicorn's supervisor; of a worker that died no gauges are left."""

    def keep_subprocess_alive(self) -> None:
        """Start anew what died."""
        from prometheus_client.multiprocess import mark_process_dead  # pyright: ignore[reportUnknownVariableType]  untyped

        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            if pid is not None:
                mark_process_dead(pid)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        MienError: the port is taken, a worker cannot start, or TLS files cannot be read.
    """
    logging.config.dictConfig(configuration())
    listening = bind(settings)
    with listening, files.scratch() as folder:
        if settings.workers > 1:  # one worker needs no files to know its own numbers
            os.environ[COUNTS_FOLDER] = str(folder)
        address, port = listening.getsockname()[:2]
        log.info("starting", extra={"fields": {"host": address, "port": port, "workers": settings.workers}})
        config = configured(settings)
        if settings.workers == 1:
            _run_here(config, listening)
        else:
            workers = _Workers(config, [listening])
            workers.run()
            if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
                raise MienError("a worker could not start; its last log line says why")


def _application(settings: Settings) -> FastAPI:
    """The application, whose libraries only the workers load."""
    from mien.serve.app import create_app

    return create_app(settings)


def _pass(number: int, frame: object) -> None:
    """Do nothing about a signal."""


def _run_here(config: uvicorn.Config, listening: socket.socket) -> None:
    server = uvicorn.Server(config)
    signal.signal(signal.SIGTERM, _pass)  # which uvicorn raises once more when all is done
    try:
        server.run([listening])
    except KeyboardInterrupt:
        pass
    except SystemExit as error:
        if error.code:
            raise MienError("the service could not start; its last log line says why") from error


def bind(settings: Settings) -> socket.socket:
    """A socket that has the port but does not listen yet."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        made = socket.socket(found[0][0], socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(found[0][4])
    except OSError as error:
        reason = error.strerror or error
        raise MienError(f"cannot listen on {settings.host} port {settings.port}: {reason}; choose another") from error
    made.set_inheritable(True)
    return made


def configured(settings: Settings) -> uvicorn.Config:
    """How uvicorn is run.

    Raises:
        MienError: the TLS files cannot be used.
    """
    if settings.certificate is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.certificate, settings.private_key
            )
        except (OSError, ValueError) as error:
            raise MienError(f"the TLS files {settings.certificate} and its key cannot be used: {error}") from error
    return uvicorn.Config(
        partial(_application, settings),
        factory=True,
        workers=settings.workers,
        http=TimedProtocol,
        loop=f"{__name__}:{FairLoop.__name__}",
        lifespan="on",
        log_config=configuration(),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
        timeout_worker_healthcheck=WORKER_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws_max_size=settings.max_bytes,
        ws_max_queue=2,
        ws_per_message_deflate=False,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
    )
