"""What the command line says of folders it was given: which of their files are not read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mien.cli import notices


def say_left_out(words: Iterable[str | Path], *, videos: bool = True) -> None:
    """One line on stderr on the files that are no pictures, or videos, where there are any."""
    from mien.errors import PictureError
    from mien.sources import formats, listing

    suffixes = formats.PICTURES | formats.VIDEOS if videos else formats.PICTURES
    try:
        line = listing.left_out([Path(word) for word in words if Path(word).is_dir()], suffixes)
    except (PictureError, OSError, ValueError):
        return  # whoever reads the folder says what is wrong
    if line:
        notices.note(line)
