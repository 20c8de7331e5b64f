"""Pictures inside zip and tar archives, read one at a time and never unpacked to disk.

Owns what an archive is and what its members answer as; the limits are in :mod:`mien.sources.archive_limits`.
Refuses to decode pictures, to follow links, and to write anything.

An archive from a stranger may be built to fill the memory or to never end, so:

- a member holds at most ``MAX_MEMBER`` bytes, counted while it is read, whatever its header says;
- all that is unpacked, skipped members of a compressed tar included, is at most ``ALLOWANCE`` bytes and
  ``MAX_GROWTH`` times the archive's own size. Pictures are compressed already and hardly grow; bombs grow a
  thousandfold;
- a zip's directory holds at most ``MAX_DIRECTORY`` bytes, a tar's headers at most ``MAX_HEADER`` before each member.

Memory does not grow with a tar; of a zip its directory is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mien.errors import PictureError, SourceError
from mien.sources import archive_tar, archive_zip

#: How the names of archives end.
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name.

    >>> is_archive(Path("faces.tar.GZ")), is_archive(Path("faces.gz"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def members(path: Path) -> Iterator[tuple[str, bytes | PictureError]]:
    """The pictures of an archive, in its order.

    Members with another suffix than ``images.SUFFIXES``, hidden ones and those below ``__MACOSX`` are left out.

    Args:
        path: an archive; its suffix says whether it is a zip, its content how a tar is compressed.

    Yields:
        For each picture its name, ``archive.zip/folder/member.jpg``, with what a terminal should not be sent
        escaped, and its bytes as they are; or, where it is damaged or refused (a link, encrypted, too large, a
        name that leads out of the archive), a PictureError.

    Raises:
        SourceError: the archive cannot be opened, is none, breaks off (after what was whole has been yielded), or
            unpacks to more than it may.
    """
    if not is_archive(path):
        raise SourceError(f"{path}: not an archive that mien reads, expected {', '.join(SUFFIXES)}")
    kind = archive_zip if path.name.lower().endswith(".zip") else archive_tar
    return kind.members(path)
