"""Pictures inside a tar archive, plain or packed by gzip, bzip2 or xz; by the rules of :mod:`mien.sources.archive`."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from mien.errors import PictureError, SourceError
from mien.sources import archive_limits as limits

_XZ_MEMORY = 2**28


def members(path: Path) -> Iterator[tuple[str, bytes | PictureError]]:
    """As :func:`mien.sources.archive.members`."""
    with limits.opened(path) as raw, io.BufferedReader(raw) as file:
        budget = limits.Budget(path, os.fstat(raw.fileno()).st_size)
        count = 0
        try:
            flow = _Flow(_unpacked(file), budget)
            for name, data in _tarred(flow):
                count += 1
                shown = limits.shown(path, name)
                yield shown, PictureError(f"{shown}: {data}") if isinstance(data, PictureError) else data
        except SourceError:
            raise
        except Exception as error:  # damaged headers and packed data fail in many ways, recursion among them
            what = f"breaks off or is damaged after {count:,} picture{'s' * (count > 1)}"
            what = what if count else "cut off, damaged, or no tar archive"
            raise SourceError(f"{path}: {what}: {limits.told(error)}; fetch it again") from error


def _tarred(flow: _Flow) -> Iterator[tuple[str, bytes | PictureError]]:
    with tarfile.open(fileobj=cast(BinaryIO, flow), mode="r:", encoding="utf-8") as archive:
        kept: Any = archive
        while member := archive.next():
            # tarfile would keep every member, and the words of global headers.
            kept.members.clear()
            kept.pax_headers.clear()
            if not member.isdir() and limits.is_picture(member.name):
                yield member.name, _member(flow, member)
            flow.next_member()
    # tarfile takes a damaged or missing header for the end, which blocks of zeros mark.
    if flow.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("the mark of its end is missing")
    flow.finish()


def _member(flow: _Flow, member: tarfile.TarInfo) -> bytes | PictureError:
    reason = limits.refusal(member.name)
    if reason:
        return PictureError(reason)
    if member.islnk() or member.issym():
        return PictureError("refused, a link; tar --dereference --hard-dereference packs the files themselves")
    if not member.isreg() or member.issparse():
        return PictureError("refused, a device, pipe or sparse file and no plain file")
    return (
        flow.data(member.offset_data, member.size)
        if member.size <= limits.MAX_MEMBER
        else limits.too_large(member.size)
    )


def _unpacked(file: BinaryIO) -> _Readable:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return _Xz(file) if start == b"\xfd7zXZ\0" else file


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
                    block = self._file.read(limits.CHUNK)
                    if not block:
                        return b""
                    packed = block.lstrip(b"\0")
                self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            elif self._decoder.needs_input:
                packed = self._file.read(limits.CHUNK)
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

    def __init__(self, file: _Readable, budget: limits.Budget) -> None:
        self._file = file
        self._budget = budget
        self._place = 0
        self._header = limits.MAX_HEADER
        #: The last header that was read.
        self.last = b""

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> int:
        if place < self._place:
            raise tarfile.ReadError("a header points backwards")
        while self._place < place:
            if not self._take(min(limits.CHUNK, place - self._place)):
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
        self._header = limits.MAX_HEADER

    def finish(self) -> None:
        """Go to the end of the file, where packed data has its checksum."""
        while self._take(limits.CHUNK):
            pass

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (block := self._take(min(limits.CHUNK, size - len(data)))):
            data += block
        return bytes(data)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        self._place += len(data)
        self._budget.spend(len(data))
        return data
