"""Pictures inside zip and tar archives, read one at a time and never unpacked to disk.

Owns what an archive is, what its members answer as, and the limits; zipfile and tarfile read the forms. Refuses to
decode pictures, to follow links, and to write anything.

An archive from a stranger may be built to fill the memory or to never end, so :class:`Limits` bounds every member, all
that is unpacked, and the headers. Memory does not grow with a tar; of a zip its directory is held.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, TypeAlias, cast

from mien.errors import PictureError, SourceError, shown
from mien.sources import images

#: How the names of archives end.
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_CHUNK = 2**16
_LONGEST_NAME = 4096
_XZ_MEMORY = 2**28


@dataclass(frozen=True)
class Limits:
    """What an archive may hold, in bytes.

    Attributes:
        member: of a picture, counted while it is read, whatever its header says.
        total: all that is unpacked, skipped members of a compressed tar included, whatever the archive's size,
        growth: and this many times its size beyond that. Pictures are compressed already and hardly grow; bombs grow
            a thousandfold.
        directory: of a zip (half a million members); read at once, about a gigabyte of memory at the very worst.
        header: of a tar, before each member.
    """

    member: int = 2**26
    total: int = 2**30
    growth: int = 100
    directory: int = 2**26
    header: int = 2**16


#: The name of a member, and what reads it or raises a PictureError.
_Entry: TypeAlias = tuple[str, Callable[[], bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name.

    >>> is_archive(Path("faces.tar.GZ")), is_archive(Path("faces.gz"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def members(path: Path, limits: Limits | None = None) -> Iterator[tuple[str, bytes | PictureError]]:
    """The pictures of an archive, in its order.

    Members with another suffix than ``images.SUFFIXES``, hidden ones and those below ``__MACOSX`` are left out.

    Args:
        path: an archive; its suffix says whether it is a zip, its content how a tar is compressed.
        limits: what it may hold.

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
    kind, entries = ("zip", _zip_entries) if path.name.lower().endswith(".zip") else ("tar", _tar_entries)
    count = 0
    with _opened(path) as file:
        try:
            for name, read in entries(file, _Budget(file, limits or Limits())):
                if not _is_picture(name):
                    continue
                shown = _shown(path, name)
                try:
                    found = _allowed(name, read)
                except PictureError as error:
                    found = PictureError(f"{shown}: {error}")
                count += 1
                yield shown, found
        except SourceError:
            raise
        except Exception as error:  # damage shows in many ways, from BadZipFile to struct.error and recursion
            what = f"breaks off or is damaged after {count:,} picture{'s' * (count > 1)}"
            what = what if count else f"cut off, damaged, or no {kind} archive"
            raise SourceError(f"{path}: {what}: {_told(error)}; fetch it again") from error


@contextmanager
def _opened(path: Path) -> Generator[io.FileIO, None, None]:
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
    with file:
        yield file


class _Budget:
    """Counts what an archive has been unpacked to; spending more than it may raises a SourceError."""

    def __init__(self, file: io.FileIO, limits: Limits) -> None:
        self.limits = limits
        self._path = file.name
        self._left = self._whole = limits.total + limits.growth * os.fstat(file.fileno()).st_size

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise SourceError(
                f"{self._path}: unpacks to more than {self._whole:,} bytes, far more than pictures do: perhaps a bomb;"
                " if you trust it, unpack it and read the folder"
            )

    def check_member(self, size: int) -> None:
        if size > self.limits.member:
            raise PictureError(f"refused, {size:,} bytes, mien reads up to {self.limits.member:,}")


def _is_picture(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return not hidden and "__MACOSX" not in parts and PurePosixPath(parts[-1]).suffix.lower() in images.SUFFIXES


def _allowed(name: str, read: Callable[[], bytes]) -> bytes:
    """A member's bytes, unless its name is one that means harm."""
    parts = re.split(r"[/\\]", name)
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise PictureError("refused, its name holds control characters")
    if len(name) > _LONGEST_NAME:
        raise PictureError(f"refused, its name has {len(name):,} characters")
    if not parts[0] or re.match(r"[A-Za-z]:", name):
        raise PictureError("refused, its name is an absolute path")
    if ".." in parts:
        raise PictureError("refused, its name leads out of the archive ('..')")
    return read()


def _shown(path: Path, name: str) -> str:
    """``path/name`` without characters that steer a terminal, reverse the line, or cannot be encoded."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[:200]}…{name[-20:]}"
    steering = ("Cc", "Cf", "Cs", "Zl", "Zp")
    safe = (ascii(letter)[1:-1] if unicodedata.category(letter) in steering else letter for letter in name)
    return f"{path}/{''.join(safe)}"


def _told(error: Exception) -> str:
    """An error's text in one line; it may quote the archive."""
    return shown(str(error) or type(error).__name__, 200)


def _zip_entries(raw: io.FileIO, budget: _Budget) -> Iterator[_Entry]:
    with _Directory(raw, budget.limits.directory) as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            # zipfile cuts names at a NUL character; the original shows what the archive really says.
            yield info.orig_filename, partial(_zip_member, archive, info, budget)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget) -> bytes:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise PictureError("refused, a link or device and no file")
    if info.flag_bits & 0x1:
        raise PictureError("encrypted; unpack the archive with its password and read the folder")
    # zipfile does not bound what bzip2 and LZMA unpack to at once.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PictureError(f"compressed by method {info.compress_type}, mien reads deflate; pack it anew")
    budget.check_member(info.file_size)
    try:
        with archive.open(info) as member:
            data = b"".join(iter(partial(member.read, _CHUNK), b""))  # no more than the header says
    except Exception as error:  # damage, as above
        raise PictureError(f"damaged: {_told(error)}") from error
    budget.spend(len(data))
    if len(data) != info.file_size:
        raise PictureError(f"damaged: {len(data):,} of {info.file_size:,} bytes")
    return data


class _Directory(io.BufferedReader):
    """A file that hands out no more at once than a zip's directory may hold."""

    def __init__(self, raw: io.FileIO, limit: int) -> None:
        super().__init__(raw)
        self._limit = limit

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._limit:
            raise SourceError(f"{self.name}: a zip with too many members; unpack it and read the folder")
        return super().read(size)


def _tar_entries(raw: io.FileIO, budget: _Budget) -> Iterator[_Entry]:
    with io.BufferedReader(raw) as file:
        stream = _Stream(_unpacked(file), budget)
        with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:", encoding="utf-8") as archive:
            kept: Any = archive
            while member := archive.next():
                # tarfile would keep every member, and the words of global headers.
                kept.members.clear()
                kept.pax_headers.clear()
                if not member.isdir():
                    yield member.name, partial(_tar_member, stream, member, budget)
                stream.next_member()
        # tarfile takes a damaged or missing header for the end, which blocks of zeros mark.
        if stream.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("the mark of its end is missing")
        stream.finish()


def _tar_member(stream: _Stream, member: tarfile.TarInfo, budget: _Budget) -> bytes:
    if member.islnk() or member.issym():
        raise PictureError("refused, a link; tar --dereference --hard-dereference packs the files themselves")
    if not member.isreg() or member.issparse():
        raise PictureError("refused, a device, pipe or sparse file and no plain file")
    budget.check_member(member.size)
    return stream.data(member.offset_data, member.size)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _unpacked(file: io.BufferedReader[io.FileIO]) -> _Readable:
    start = file.peek(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return _Xz(file) if start.startswith(b"\xfd7zXZ\0") else file


class _Xz:
    """Unpacks xz with a bound on memory, which ``lzma.open`` has not: a header may ask for 4 GB."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)

    def read(self, size: int, /) -> bytes:
        data = b""
        while not data:
            packed = b""
            if self._decoder.eof:  # zeros may lie between streams, and after the last one
                packed = self._decoder.unused_data.lstrip(b"\0")
                while not packed and (block := self._file.read(_CHUNK)):
                    packed = block.lstrip(b"\0")
                if not packed:
                    return b""
                self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            elif self._decoder.needs_input and not (packed := self._file.read(_CHUNK)):
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            data = self._decoder.decompress(packed, size)
        return data


class _Stream:
    """What tarfile reads headers from: goes forward only, counts every byte, hands out so much per member.

    That keeps headers from asking for gigabytes (long names, pax records) and from sending the reader back, where it
    would go round for ever.
    """

    def __init__(self, file: _Readable, budget: _Budget) -> None:
        self._file = file
        self._budget = budget
        self._place = 0
        self.next_member()
        #: The last header that was read.
        self.last = b""

    def next_member(self) -> None:
        self._header = self._budget.limits.header

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> int:
        if place < self._place:
            raise tarfile.ReadError("a header points backwards")
        while self._place < place:
            if not self._take(min(_CHUNK, place - self._place)):
                raise EOFError("unexpected end of data")
        return self._place

    def read(self, size: int) -> bytes:
        self._header -= size
        if size < 0 or self._header < 0:
            raise tarfile.ReadError("a header is too long")
        self.last = self._exactly(size)
        # Python before 3.11.10 and 3.12.6 spends hours on such headers (CVE-2024-6232).
        if re.search(rb"\d{300}", self.last):
            raise tarfile.ReadError("a header with too many digits")
        return self.last

    def data(self, place: int, size: int) -> bytes:
        """The bytes of a member."""
        self.seek(place)
        data = self._exactly(size)
        if len(data) < size:
            raise EOFError(f"{len(data):,} of {size:,} bytes of a member")
        return data

    def finish(self) -> None:
        """Go to the end of the file, where packed data has its checksum."""
        while self._take(_CHUNK):
            pass

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (block := self._take(min(_CHUNK, size - len(data)))):
            data += block
        return bytes(data)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        self._place += len(data)
        self._budget.spend(len(data))
        return data
