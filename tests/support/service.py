"""The service as it is run: in a process of its own, or in a thread of this one where limits are to be changed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import uvicorn

from mien.serve import server
from mien.serve.settings import Settings


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Process:
    """``mien serve`` with options, ready when entered.

    Attributes:
        url: where it is.
        process: of the command.
    """

    def __init__(self, *options, folder, env=None, scheme="http"):
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.log = folder / f"serve-{self.port}.log"
        self._command = [sys.executable, "-m", "mien", "serve", "--port", str(self.port), *map(str, options)]
        # Where YuNet's file is not in the cache nothing is downloaded.
        self._env = {**os.environ, "MIEN_OFFLINE": "1", "OMP_NUM_THREADS": "1", **(env or {})}
        self.workers = int(options[options.index("--workers") + 1]) if "--workers" in options else 1

    def __enter__(self):
        self._file = self.log.open("w")
        self.began = time.monotonic()
        self.process = subprocess.Popen(self._command, stderr=self._file, stdout=self._file, env=self._env)
        deadline = time.monotonic() + 90
        while sum(line["event"] == "ready" for line in self.lines()) < self.workers:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        self.ready_after = time.monotonic() - self.began
        while True:  # the log line comes just before the port
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.01)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._file.close()
        assert self.process.returncode == 0

    def lines(self):
        """The log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def pids(self):
        """The processes that answer requests."""
        if self.workers == 1:
            return [self.process.pid]
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


class Thread:
    """The service in a thread of this process, at ``url``."""

    def __init__(self, **settings):
        self.settings = Settings(**{"host": "127.0.0.1", "port": 0, "detector": "none", **settings})

    def __enter__(self):
        self._socket = server.bind(self.settings)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = server.configured(self.settings)
        config.load()
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)
        app = config.loaded_app
        while not hasattr(app, "state"):
            app = app.app
        self.service = app.state.service
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(30)

    @property
    def connections(self):
        return len(self._server.server_state.connections)

    def until(self, true, seconds=20):
        """Wait for something."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def client(self, **options):
        return httpx2.Client(base_url=self.url, timeout=30, **options)


def memory(pid):
    """Resident megabytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
