"""Pictures inside zip and tar archives, read one at a time and never unpacked to disk.

Owns which members count as pictures, what is refused in an archive, and the limits on what one may unpack to.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, cast

from mien.errors import PictureError, SourceError
from mien.faces import images

#: How the names of archives end.
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

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

_CHUNK = 2**16
_XZ_MEMORY = 2**28
_LONGEST_NAME = 4096


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
    return _of_zip(path) if path.name.lower().endswith(".zip") else _of_tar(path)


class _Budget:
    """Counts what an archive has been unpacked to."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._left = self._limit = ALLOWANCE + MAX_GROWTH * size

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise SourceError(
                f"{self._path}: unpacks to more than {self._limit:,} bytes, far more than pictures do: perhaps a bomb;"
                " if you trust it, unpack it and read the folder"
            )


def _refusal(name: str) -> str | None:
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


def _is_picture(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return not hidden and "__MACOSX" not in parts and PurePosixPath(parts[-1]).suffix.lower() in images.SUFFIXES


def _shown(path: Path, name: str) -> str:
    """``path/name`` without characters that steer a terminal, reverse the line, or cannot be encoded."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[:200]}…{name[-20:]}"
    steering = ("Cc", "Cf", "Cs", "Zl", "Zp")
    safe = (ascii(letter)[1:-1] if unicodedata.category(letter) in steering else letter for letter in name)
    return f"{path}/{''.join(safe)}"


class _Directory(io.BufferedReader):
    """A file that hands out no more at once than a zip's directory may hold."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise SourceError(f"{self.name}: a zip with too many members; unpack it and read the folder")
        return super().read(size)


def _of_zip(path: Path) -> Iterator[tuple[str, bytes | PictureError]]:
    with _opened(path) as raw, _Directory(raw) as file:
        budget = _Budget(path, os.fstat(raw.fileno()).st_size)
        try:
            archive = zipfile.ZipFile(file)
        except SourceError:
            raise
        except Exception as error:  # a damaged directory fails in many ways, from BadZipFile to struct.error
            raise SourceError(f"{path}: cut off, damaged, or no zip archive: {_told(error)}; fetch it again") from error
        with archive:
            for info in archive.infolist():
                # zipfile cuts names at a NUL character; the original shows what the archive really says.
                name = info.orig_filename
                if not _is_picture(name):  # folders end in a slash and have no suffix
                    continue
                shown = _shown(path, name)
                try:
                    yield shown, _zipped(archive, info, budget)
                except PictureError as error:
                    yield shown, PictureError(f"{shown}: {error}")


def _zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget) -> bytes:
    kind = stat.S_IFMT(info.external_attr >> 16)
    reason = _refusal(info.orig_filename)
    if reason:
        raise PictureError(reason)
    if kind not in (0, stat.S_IFREG):
        raise PictureError("refused, a link or device and no file")
    if info.flag_bits & 0x1:
        raise PictureError("encrypted; unpack the archive with its password and read the folder")
    # zipfile does not bound what bzip2 and LZMA unpack to at once.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PictureError(f"compressed by method {info.compress_type}, mien reads deflate; pack it anew")
    if info.file_size > MAX_MEMBER:
        raise _too_large(info.file_size)
    data = bytearray()
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                budget.spend(len(chunk))
                data += chunk
                if len(data) > MAX_MEMBER:
                    raise _too_large(len(data))
    except (PictureError, SourceError):
        raise
    except Exception as error:  # as above
        raise PictureError(f"damaged: {_told(error)}") from error
    if len(data) != info.file_size:
        raise PictureError(f"damaged: {len(data):,} of {info.file_size:,} bytes")
    return bytes(data)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Xz:
    """Unpacks xz with a bound on memory, which ``lzma.open`` has not: a header may ask for 4 GB."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)

    def read(self, size: int, /) -> bytes:
        while True:
            packed = b""
            if self._decoder.eof:  # zeros may lie between streams, and after the last one
                packed = self._decoder.unused_data.lstrip(b"\0")
                while not packed:
                    block = self._file.read(_CHUNK)
                    if not block:
                        return b""
                    packed = block.lstrip(b"\0")
                self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            elif self._decoder.needs_input:
                packed = self._file.read(_CHUNK)
                if not packed:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            data = self._decoder.decompress(packed, size)
            if data:
                return data


class _Flow:
    """What tarfile reads headers from: goes forward only, counts every byte, hands out so much per member.

    That keeps headers from asking for gigabytes (long names, pax records) and from sending the reader back, where it
    would go round for ever.
    """

    def __init__(self, file: _Readable, budget: _Budget) -> None:
        self._file = file
        self._budget = budget
        self._place = 0
        self._header = MAX_HEADER
        #: The last header that was read.
        self.last = b""

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

    def next_member(self) -> None:
        self._header = MAX_HEADER

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


def _of_tar(path: Path) -> Iterator[tuple[str, bytes | PictureError]]:
    with _opened(path) as raw, io.BufferedReader(raw) as file:
        budget = _Budget(path, os.fstat(raw.fileno()).st_size)
        count = 0
        try:
            flow = _Flow(_unpacked(file), budget)
            for name, data in _tarred(flow):
                count += 1
                shown = _shown(path, name)
                yield shown, PictureError(f"{shown}: {data}") if isinstance(data, PictureError) else data
        except SourceError:
            raise
        except Exception as error:  # damaged headers and packed data fail in many ways, recursion among them
            what = f"breaks off or is damaged after {count:,} picture{'s' * (count > 1)}"
            what = what if count else "cut off, damaged, or no tar archive"
            raise SourceError(f"{path}: {what}: {_told(error)}; fetch it again") from error


def _unpacked(file: BinaryIO) -> _Readable:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return _Xz(file) if start == b"\xfd7zXZ\0" else file


def _tarred(flow: _Flow) -> Iterator[tuple[str, bytes | PictureError]]:
    with tarfile.open(fileobj=cast(BinaryIO, flow), mode="r:", encoding="utf-8") as archive:
        kept: Any = archive
        while member := archive.next():
            # tarfile would keep every member, and the words of global headers.
            kept.members.clear()
            kept.pax_headers.clear()
            if not member.isdir() and _is_picture(member.name):
                yield member.name, _member(flow, member)
            flow.next_member()
    # tarfile takes a damaged or missing header for the end, which blocks of zeros mark.
    if flow.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("the mark of its end is missing")
    flow.finish()


def _member(flow: _Flow, member: tarfile.TarInfo) -> bytes | PictureError:
    reason = _refusal(member.name)
    if reason:
        return PictureError(reason)
    if member.islnk() or member.issym():
        return PictureError("refused, a link; tar --dereference --hard-dereference packs the files themselves")
    if not member.isreg() or member.issparse():
        return PictureError("refused, a device, pipe or sparse file and no plain file")
    return flow.data(member.offset_data, member.size) if member.size <= MAX_MEMBER else _too_large(member.size)


def _too_large(size: int) -> PictureError:
    return PictureError(f"refused, {size:,} bytes, mien reads up to {MAX_MEMBER:,}")


def _told(error: Exception) -> str:
    """An error's text in one line; it may quote the archive."""
    return ascii(str(error) or type(error).__name__)[1:-1]


@contextmanager
def _opened(path: Path) -> Iterator[io.FileIO]:
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
    with file:
        yield file
