"""What commands write: files where the user said, with their folders, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

from mien.errors import DataError


def write(path: Path, content: bytes) -> None:
    """Write a file, and the folders that lead to it.

    Raises:
        DataError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error
