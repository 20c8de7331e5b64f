"""What every archive has to keep to: how much it may unpack to, and what its members may be named.

Owns the limits and the names; :mod:`mien.sources.archive_zip` and :mod:`mien.sources.archive_tar` read members by them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path, PurePosixPath

from mien.errors import PictureError, SourceError
from mien.sources import images

#: A member that unpacks to more bytes is refused.
MAX_MEMBER = 2**26
#: An archive may unpack to this many bytes, whatever its size,
ALLOWANCE = 2**30
#: and to this many times its size beyond that.
MAX_GROWTH = 100
#: Bytes of a zip's directory (half a million members); read at once, about a gigabyte of memory at the very worst.
MAX_DIRECTORY = 2**26
#: Bytes of the headers of one member of a tar.
MAX_HEADER = 2**16

#: Bytes that are read at once.
CHUNK = 2**16
_LONGEST_NAME = 4096


class Budget:
    """Counts what an archive has been unpacked to; spending more than it may raises a SourceError."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._left = self._limit = ALLOWANCE + MAX_GROWTH * size

    def spend(self, count: int) -> None:
        """Add bytes that were unpacked."""
        self._left -= count
        if self._left < 0:
            raise SourceError(
                f"{self._path}: unpacks to more than {self._limit:,} bytes, far more than pictures do: perhaps a bomb;"
                " if you trust it, unpack it and read the folder"
            )


def refusal(name: str) -> str | None:
    """Why a member of this name is refused; None: it is not."""
    parts = re.split(r"[/\\]", name)
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        return "refused, its name holds control characters"
    if len(name) > _LONGEST_NAME:
        return f"refused, its name has {len(name):,} characters"
    if not parts[0] or re.match(r"[A-Za-z]:", name):
        return "refused, its name is an absolute path"
    if ".." in parts:
        return "refused, its name leads out of the archive ('..')"
    return None


def is_picture(name: str) -> bool:
    """Whether a member counts as a picture, by its name."""
    parts = re.split(r"[/\\]", name)
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return not hidden and "__MACOSX" not in parts and PurePosixPath(parts[-1]).suffix.lower() in images.SUFFIXES


def shown(path: Path, name: str) -> str:
    """``path/name`` without characters that steer a terminal, reverse the line, or cannot be encoded."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[:200]}…{name[-20:]}"
    steering = ("Cc", "Cf", "Cs", "Zl", "Zp")
    safe = (ascii(letter)[1:-1] if unicodedata.category(letter) in steering else letter for letter in name)
    return f"{path}/{''.join(safe)}"


def too_large(size: int) -> PictureError:
    """What a member of this many bytes is."""
    return PictureError(f"refused, {size:,} bytes, mien reads up to {MAX_MEMBER:,}")


def told(error: Exception) -> str:
    """An error's text in one line; it may quote the archive."""
    return ascii(str(error) or type(error).__name__)[1:-1]


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """An archive's file, unbuffered; a SourceError where it cannot be opened."""
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
    with file:
        yield file
