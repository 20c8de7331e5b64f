"""Standard output that is closed, full, or read by nobody: one line or the signal that other tools end by."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress


class _Output(io.FileIO):
    """Standard output that remembers why it took nothing."""

    error: OSError | None = None

    def write(self, data: object) -> int | None:
        try:
            return super().write(data)  # pyright: ignore[reportArgumentType]
        except OSError as error:
            self.error = error
            raise


class Watched:
    """Stands behind ``sys.stdout`` from now on; where that is no file of its own, as in a notebook, does nothing."""

    def __init__(self) -> None:
        if os.name != "nt":
            _fill_gaps()
        self._raw: _Output | None = None
        buffer = getattr(sys.stdout, "buffer", None)
        unbuffered = isinstance(buffer, io.FileIO)  # by PYTHONUNBUFFERED
        if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(getattr(buffer, "raw", buffer), io.FileIO):
            self._raw = _Output(sys.stdout.fileno(), "w", closefd=False)
            sys.stdout = io.TextIOWrapper(
                self._raw if unbuffered else io.BufferedWriter(self._raw),  # pyright: ignore[reportArgumentType]
                encoding=sys.stdout.encoding,
                errors=sys.stdout.errors,
                line_buffering=sys.stdout.line_buffering,
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
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
