"""Processes of a case: started, watched, stopped, and looked for once they should be gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
LONGEST = 240.0  # seconds that a command may take, on a busy machine
_GRACE = 6.0  # seconds for what a command started to end, too


class Starter:
    """The process that forks commands, see ``starter``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(_HERE / "starter.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        assert self._read() == "ready"

    def ask(self, **asked: Any) -> Any:
        """One question, one answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asked) + "\n")
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the process that starts commands has ended")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


class Running:
    """A command that runs.

    Args:
        starter: forks it; None: started as a user starts it.
        asked: words, folder, environment, stdout, stderr, hook, inputs.
        mark: what its processes are known by.
    """

    def __init__(self, starter: Starter | None, asked: dict[str, Any], mark: str) -> None:
        self._starter, self._mark = starter, f"MIEN_FAULT_CASE={mark}".encode()
        asked["environment"]["MIEN_FAULT_CASE"] = mark
        self._process: subprocess.Popen[bytes] | None = None
        if starter:
            self.pid = int(starter.ask(start=asked))
            return
        with Path(asked["stdout"]).open("wb") as out, Path(asked["stderr"]).open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "import sys; from mien.__main__ import run; sys.exit(run())", *asked["words"]],
                cwd=asked["folder"], env=os.environ | asked["environment"], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, once there is one."""
        return self._process.poll() if self._process else self._starter.ask(poll=self.pid)

    def wait(self) -> int:
        """Wait for the end; one that takes too long is killed, which shows."""
        began = time.monotonic()
        while (code := self.poll()) is None:
            if time.monotonic() - began > LONGEST:
                self.send(signal.SIGKILL)
                return -99
            time.sleep(0.01)
        return code

    def send(self, number: int) -> None:
        """Send a signal: Ctrl-C to all of its session's group, as a terminal does."""
        with suppress(ProcessLookupError):
            if number == signal.SIGINT:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def left(self, grace: float = _GRACE) -> list[str]:
        """Names of processes of this case that are there after a while."""
        until = time.monotonic() + grace
        while (found := list(self._others())) and time.monotonic() < until:
            time.sleep(0.2)
        return [name for _, name in found]

    def end_all(self) -> None:
        """Kill what is left."""
        for pid, _ in list(self._others()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _others(self) -> Any:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] == "Z":
                    continue
                if int(fields[3]) == self.pid or self._mark in (entry / "environ").read_bytes().split(b"\0"):
                    name = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    yield int(entry.name), name[:80]


def until(condition: Callable[[], bool], running: Running, most: float = LONGEST) -> bool:
    """Wait until something holds or a command has ended; whether it holds."""
    began = time.monotonic()
    while not condition():
        if running.poll() is not None or time.monotonic() - began > most:
            return False
        time.sleep(0.002)
    return True
