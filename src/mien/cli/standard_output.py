"""Standard output that is closed, full, or read by nobody: one line or the signal that other tools end by."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Output(io.FileIO):
    """Standard output that remembers why it took nothing."""

    error: OSError | None = None

    def write(self, data: Buffer, /) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


class Watched:
    """Stands behind ``sys.stdout`` from now on; where that is no file of its own, as in a notebook, does nothing."""

    def __init__(self) -> None:
        if os.name != "nt":
            _fill_gaps()
        self._raw: _Output | None = None
        out: Any = sys.stdout  # whatever stands there: a file, or what a notebook puts in its place
        buffer = getattr(out, "buffer", None)
        unbuffered = isinstance(buffer, io.FileIO)  # by PYTHONUNBUFFERED
        if isinstance(out, io.TextIOWrapper) and isinstance(getattr(buffer, "raw", buffer), io.FileIO):
            self._raw = _Output(out.fileno(), "w", closefd=False)
            below: Any = self._raw if unbuffered else io.BufferedWriter(self._raw)
            sys.stdout = io.TextIOWrapper(
                below,
                encoding=out.encoding,
                errors=out.errors,
                line_buffering=out.line_buffering,
                write_through=unbuffered,
            )

    @property
    def failed(self) -> bool:
        """Whether it took less than was printed."""
        return self._raw is not None and self._raw.error is not None

    def finish(self, code: int) -> int:
        """See that everything is out.

        Args:
            code: the exit code so far.

        Returns:
            The exit code. A pipe that nobody reads any more ends the process by SIGPIPE.
        """
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        if self._raw is None or self._raw.error is None:
            return code
        error = self._raw.error
        with suppress(OSError):
            sys.stderr.flush()
        if isinstance(error, BrokenPipeError) and hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)
        with suppress(OSError):
            print(f"mien: cannot write to standard output: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._raw.fileno())  # Python would try again, and say more
        return code or 1


def _fill_gaps() -> None:
    """Give numbers 0 to 2 to nothing, where they were closed: else the next file that is opened is printed into."""
    while (handle := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(handle)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # takes nothing, and says so
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  it stays open; no path
