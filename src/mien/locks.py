"""One writer at a time: a lock beside an output that says who holds it.

The operating system's own lock on an open file, which ends with its process however that ends: a lock file that was
left behind stops nobody. Where a file system has no locks, there are none here either.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mien.errors import WriteError, shown

if os.name == "nt":
    import msvcrt
else:
    import fcntl

_PLACE = 2**30  # where Windows locks: beyond the content, which stays readable
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL}


class Lock:
    """Holds an output for this process; use it in ``with``, or ``release()`` it.

    Args:
        output: a file or folder, which need not be there; its own folder must be.

    Raises:
        WriteError: another process holds it; says which.
        OSError: the lock cannot be written.
    """

    def __init__(self, output: Path) -> None:
        self.path = _beside(output)
        while True:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
            try:
                if take(self._handle) is False:
                    raise WriteError(
                        f"cannot write {output}: {_holder(self.path)} is writing it; name another, or wait"
                    )
                if _same(self._handle, self.path):  # not one that its holder has just removed
                    break
            except WriteError:
                os.close(self._handle)
                raise
            except BaseException:  # interrupted: it may be ours already
                if take(self._handle):
                    self.path.unlink(missing_ok=True)
                os.close(self._handle)
                raise
            os.close(self._handle)
        told = {
            "host": platform.node(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        try:
            with suppress(OSError):  # a full disk: it is held all the same
                os.ftruncate(self._handle, 0)
                os.write(self._handle, json.dumps(told).encode() + b"\n")
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write. Does nothing the second time."""
        if self._handle < 0:
            return
        handle, self._handle = self._handle, -1
        with suppress(OSError):  # the folder may be gone; Windows removes no open file, and a free lock stops nobody
            self.path.unlink()
        os.close(handle)

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take(handle: int) -> bool | None:
    """Lock an open file until it is closed; False: another process has it, None: this file system has no locks."""
    try:
        if os.name == "nt":
            os.lseek(handle, _PLACE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else False
    return True


def _beside(output: Path) -> Path:
    name = output.name
    if len(name.encode("utf-8", "surrogateescape")) > 200:
        name = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return output.absolute().with_name(f".{name}.lock")


def _holder(path: Path) -> str:
    """Who wrote a lock, in words."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"process {int(told['pid'])} on {shown(told['host'])}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
