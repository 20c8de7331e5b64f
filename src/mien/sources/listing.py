"""The pictures of a folder and of the folders below it, and what is left out of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mien.errors import PictureError
from mien.sources import formats


def find_pictures(folder: Path, suffixes: frozenset[str] = formats.PICTURES) -> list[Path]:
    """All files with such a suffix in a folder and the folders below it, sorted; hidden ones left out.

    Raises:
        PictureError: the folder, or one below it, cannot be listed.
    """

    return sorted(path for path in _files(folder) if path.suffix.lower() in suffixes)


def left_out(folders: Iterable[Path], suffixes: frozenset[str] = formats.PICTURES) -> str | None:
    """One line on the files of folders that :func:`find_pictures` leaves out; None where there are none.

    Raises:
        PictureError: a folder, or one below it, cannot be listed.
    """
    kinds = (path.suffix for folder in folders for path in _files(folder))
    return formats.left_out(kind for kind in kinds if kind.lower() not in suffixes)


def _files(folder: Path) -> Iterator[Path]:
    """All files in a folder and the folders below it; hidden ones left out."""

    def fail(error: OSError) -> None:
        raise PictureError(f"{error.filename or folder}: cannot be listed: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))
