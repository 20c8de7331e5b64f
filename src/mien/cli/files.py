"""What commands write: files where the user said, with their folders, or one line that says why not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mien.errors import DataError


def write(path: Path, content: bytes) -> None:
    """Write a file, and the folders that lead to it: whole, or as it was before.

    Raises:
        DataError: it cannot be written.
    """
    # What is no file, as /dev/stdout, cannot be replaced by one.
    partial = path if path.exists() and not path.is_file() else path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        if partial != path:
            with suppress(OSError):  # its folder may be what is missing
                partial.unlink()
        raise DataError(f"cannot write {path}: {error.strerror}") from error
