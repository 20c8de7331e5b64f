"""Write whole or not at all: the one place where a file gets its name.

What is written goes to a temporary name of its own in the same folder, reaches the disk, and then takes the final name
in one step. A full disk, a missing folder or an exception leaves the file that was there before, and nothing else. Two
processes that write the same file do not meet: the one that ends last wins, or the second is refused (``alone``). What
a killed process leaves under a temporary name is removed by the next one that writes in that folder.

A symbolic link is refused, so that nothing outside the folder is changed by a name inside it. Pipes and devices, as
``/dev/stdout``, are written to as they are. Permissions of a file that is replaced are kept.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from mien.errors import WriteError
from mien.locks import Lock, take

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]  # locks may not reach over to other machines
_LEFT = re.compile(rf"\..{{0,40}}-{_HOST}[0-9a-f]{{10}}\.partial(\.[^.]{{1,9}})?", re.DOTALL)
_SWEPT: set[Path] = set()  # folders that this process has looked through for what others left


class AtomicFile:
    """A file on its way: write to ``temporary``, then ``commit()`` or ``discard()``; or use it in ``with``.

    The ``with`` statement gives the temporary path, commits at its end, and discards where an exception leaves it.

    Args:
        path: the file, replaced by the new one when that is whole.
        parents: make the folders that lead to it.
        alone: refuse the file while another process writes it: for what takes long.
        kept: the temporary file is ``NAME.partial``, with what it holds, and stays where it is not committed, to be
            resumed; such a file is written alone.

    Attributes:
        path: as given.
        temporary: an empty file beside it, with its suffix; for pipes and devices the path itself.
        is_stream: whether the path is a pipe or a device.

    Raises:
        WriteError: the folder is missing or cannot be written, the path is a folder or a symbolic link, or another
            process writes it.

    >>> with AtomicFile("figure.png") as temporary:                  # doctest: +SKIP
    ...     figure.savefig(temporary)
    """

    def __init__(self, path: str | Path, *, parents: bool = False, alone: bool = False, kept: bool = False) -> None:
        self.path = Path(path)
        self._kept, self._handle, self._lock = kept, -1, None
        with explained(self.path):
            if parents:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self.is_stream = _is_stream(self.path)
            if self.is_stream:
                self.temporary = self.path
                return
            _check(self.path)
            self._lock = Lock(self.path) if alone or kept else None
            try:
                if kept:
                    self.temporary = self.path.absolute().with_name(f"{self.path.name}.partial")
                    _check(self.temporary)
                else:
                    self.temporary, self._handle = _reserve(self.path)
            except BaseException:
                self._release()
                raise

    def commit(self) -> None:
        """Give the file its name.

        Raises:
            WriteError: that fails; the temporary file is removed, an older file stays.
        """
        if self.is_stream:
            return
        try:
            with explained(self.path):
                _flush(self.temporary)
                if self.path.is_file():
                    shutil.copymode(self.path, self.temporary)
                self.temporary.replace(self.path)
                with suppress(OSError):  # the name is in place; not every file system can flush a folder
                    _flush(self.path.parent)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was written, unless it is to be kept; an older file stays. Does nothing after :meth:`commit`."""
        if not self.is_stream and not self._kept:
            with suppress(OSError):  # its folder may be gone
                self.temporary.unlink()
        self._release()

    def _release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.commit()
            return
        self.discard()
        if isinstance(error, OSError):
            with explained(self.path):
                raise error


def write(path: str | Path, content: bytes | str, *, parents: bool = False) -> None:
    """Write a file whole or not at all.

    Args:
        path: the file; one that is there is replaced.
        content: bytes, or text, which is written as UTF-8.
        parents: make the folders that lead to it.

    Raises:
        WriteError: it cannot be written; an older file stays.
    """
    data = content.encode() if isinstance(content, str) else content
    with AtomicFile(path, parents=parents) as temporary, temporary.open("ab") as file:
        file.write(data)


def keep_inputs(inputs: Iterable[str | Path | None], *outputs: str | Path | None) -> None:
    """Refuse outputs that are files which are read, under whatever name: a hard link, a symbolic link, another path.

    Args:
        inputs: files; words that are none are passed over.
        outputs: that are to be written; those that are not there yet cannot be an input.

    Raises:
        WriteError: one is.
    """
    there = {found: path for path in outputs if path is not None and (found := identity(path))}
    if not there:
        return
    for file in inputs:
        if file is not None and (found := identity(file)) in there:
            raise WriteError(
                f"cannot write {there[found]}: it is {file}, one of the files that are read; name another file"
            )


def identity(path: str | Path) -> tuple[int, int] | None:
    """What a regular file is known by under all its names, links followed; None where there is none."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


@contextmanager
def alone(path: str | Path) -> Generator[None, None, None]:
    """Hold a folder, or a file that is written in pieces, while no other process does; its own folder is made.

    Raises:
        WriteError: another process holds it, or the lock beside it cannot be written.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(path)
    with lock:
        yield


@contextmanager
def scratch(beside: Path | None = None) -> Generator[Path, None, None]:
    """A folder that only this process uses, removed at the end; those that killed processes left are removed first.

    Args:
        beside: where it lies under a hidden name, so that what is made in it is renamed to this; None: where the
            system keeps temporary files.

    Raises:
        OSError: it cannot be made.
    """
    place = Path(tempfile.gettempdir()) if beside is None else beside.absolute().parent
    prefix = f"{'mien' if beside is None else f'.{beside.name[:40]}'}-{_HOST}-"
    _sweep_folders(place, prefix)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        handle = -1 if os.name == "nt" else os.open(folder, os.O_RDONLY)
        if handle < 0 or (take(handle) is not False and folder.exists()):  # else it was swept before it was locked
            break
        os.close(handle)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle >= 0:
            os.close(handle)


def _sweep_folders(place: Path, prefix: str) -> None:
    if os.name == "nt":
        return
    with os.scandir(place) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(prefix)]
    for name in left:
        with suppress(OSError):  # gone, or another user's
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                if os.fstat(handle).st_uid == os.geteuid() and take(handle):
                    shutil.rmtree(name, ignore_errors=True)
            finally:
                os.close(handle)


@contextmanager
def explained(path: str | Path) -> Generator[None, None, None]:
    """Turn an :class:`OSError` inside into a :class:`WriteError` that names the file and the cause."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"cannot write {path}: {_cause(Path(path), error)}") from error


def _cause(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return f"the folder {path.parent} does not exist"
    return str(error.strerror or error).partition("\n")[0]


def _is_stream(path: Path) -> bool:
    """Whether a path takes bytes but no new content under its name: a pipe, a device, standard output."""
    if path.is_symlink() and os.fspath(path.readlink()).startswith("/proc/"):  # /dev/stdout, sent to whatever
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _check(path: Path) -> None:
    """Refuse what no file is put in the place of."""
    if path.is_symlink():
        raise WriteError(
            f"cannot write {path}: it is a symbolic link to {path.readlink()}; remove it, or name another file"
        )
    if path.is_dir():
        raise WriteError(f"cannot write {path}: it is a folder; name a file")


def _reserve(path: Path) -> tuple[Path, int]:
    """An empty file beside a path, under a name that nobody else has, and what shows others that it is in use."""
    suffix = path.suffix if len(path.suffix) <= 10 else ""
    folder = path.absolute().parent
    if folder not in _SWEPT:
        _SWEPT.add(folder)
        sweep(folder)
    while True:
        temporary = folder / f".{path.stem[:40]}-{_HOST}{secrets.token_hex(5)}.partial{suffix}"
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        if os.name == "nt":  # which renames no open file
            os.close(handle)
            return temporary, -1
        if take(handle) is not False and temporary.exists():  # else it was swept before it was locked
            return temporary, handle
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the temporary files of this machine's processes that were killed: those that nobody has locked."""
    if os.name == "nt" or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        left = [entry.path for entry in entries if _LEFT.fullmatch(entry.name)]
    for name in left:
        with suppress(OSError):  # gone, or another user's
            handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if take(handle):
                    Path(name).unlink()
            finally:
                os.close(handle)


def _flush(path: Path) -> None:
    """See that a file's content, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
