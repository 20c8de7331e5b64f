"""No process of Ray outlives the job that started it, also where that was killed and could end nothing.

A small process notes what descends from the job, and reads from a pipe that the job holds open. When the pipe ends
without a word, the job is gone, and what it started is killed. Linux only: elsewhere Ray's own ways must do.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_EVERY = 0.5  # seconds between two looks
_Process = tuple[int, int]  # its number, and when it began: numbers are used again


@contextmanager
def guarded() -> Generator[None, None, None]:
    """Processes that are started inside end with this one at the latest."""
    if not sys.platform.startswith("linux"):
        yield
        return
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not meant for it
    )
    try:
        yield
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            watcher.communicate(b"done", timeout=10)


def _watch(job: int) -> None:
    """Wait for the end of a job; kill what it started where it could not say that it ended."""
    started: set[_Process] = set()
    while not select.select([0], [], [], _EVERY)[0]:
        started |= _descendants(job, started)
    if os.read(0, 1):
        return
    for _ in range(3):  # what is started meanwhile, too
        started |= _descendants(job, started)
        there = {(pid, began) for pid, _, began in _processes()}
        for process in started & there:
            with suppress(OSError):
                os.kill(process[0], signal.SIGKILL)


def _descendants(job: int, known: set[_Process]) -> set[_Process]:
    """Processes that descend from a job, or from those that do."""
    found, parents, before = set(known), {job, *(pid for pid, _ in known)}, -1
    rows = [row for row in _processes() if row[0] != os.getpid()]
    while len(found) != before:
        before = len(found)
        found |= {(pid, began) for pid, parent, began in rows if parent in parents}
        parents |= {pid for pid, _ in found}
    return found


def _processes() -> list[tuple[int, int, int]]:
    """Number, parent and beginning of every process."""
    rows: list[tuple[int, int, int]] = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            fields = (process / "stat").read_text(encoding="latin-1").rpartition(")")[2].split()
            rows.append((int(process.name), int(fields[1]), int(fields[19])))
    return rows


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
