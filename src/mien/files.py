"""Write whole or not at all: the one place where a file gets its name.

What is written goes to a temporary name of its own in the same folder, reaches the disk, and then takes the final name
in one step. A full disk, a missing folder or an exception leaves the file that was there before, and nothing else. Two
processes that write the same file do not meet: the one that ends last wins.

A symbolic link is refused, so that nothing outside the folder is changed by a name inside it. Pipes and devices, as
``/dev/stdout``, are written to as they are. Permissions of a file that is replaced are kept.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from mien.errors import WriteError


class AtomicFile:
    """A file on its way: write to ``temporary``, then ``commit()`` or ``discard()``; or use it in ``with``.

    The ``with`` statement gives the temporary path, commits at its end, and discards where an exception leaves it.

    Args:
        path: the file, replaced by the new one when that is whole.
        parents: make the folders that lead to it.

    Attributes:
        path: as given.
        temporary: an empty file beside it, with its suffix; for pipes and devices the path itself.

    Raises:
        WriteError: the folder is missing or cannot be written, or the path is a folder or a symbolic link.

    >>> with AtomicFile("figure.png") as temporary:                  # doctest: +SKIP
    ...     figure.savefig(temporary)
    """

    def __init__(self, path: str | Path, *, parents: bool = False) -> None:
        self.path = Path(path)
        with explained(self.path):
            if parents:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self.temporary = self.path if _is_stream(self.path) else _reserve(self.path)

    def commit(self) -> None:
        """Give the file its name.

        Raises:
            WriteError: that fails; the temporary file is removed, an older file stays.
        """
        if self.temporary == self.path:
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
        """Remove what was written; an older file stays. Does nothing after :meth:`commit`."""
        if self.temporary != self.path:
            with suppress(OSError):  # its folder may be gone
                self.temporary.unlink()

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
def explained(path: str | Path) -> Iterator[None]:
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


def _reserve(path: Path) -> Path:
    """An empty file beside a path, under a name that nobody else has."""
    if path.is_symlink():
        raise WriteError(
            f"cannot write {path}: it is a symbolic link to {path.readlink()}; remove it, or name another file"
        )
    if path.is_dir():
        raise WriteError(f"cannot write {path}: it is a folder; name a file")
    suffix = path.suffix if len(path.suffix) <= 10 else ""
    temporary = path.absolute().with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}.partial{suffix}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _flush(path: Path) -> None:
    """See that a file's content, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
