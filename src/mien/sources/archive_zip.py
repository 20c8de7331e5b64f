"""Pictures inside a zip archive; by the rules of :mod:`mien.sources.archive`."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mien.errors import PictureError, SourceError
from mien.sources import archive_limits as limits


def members(path: Path) -> Iterator[tuple[str, bytes | PictureError]]:
    """As :func:`mien.sources.archive.members`."""
    with limits.opened(path) as raw, _Directory(raw) as file:
        budget = limits.Budget(path, os.fstat(raw.fileno()).st_size)
        try:
            archive = zipfile.ZipFile(file)
        except SourceError:
            raise
        except Exception as error:  # a damaged directory fails in many ways, from BadZipFile to struct.error
            raise SourceError(
                f"{path}: cut off, damaged, or no zip archive: {limits.told(error)}; fetch it again"
            ) from error
        with archive:
            for info in archive.infolist():
                # zipfile cuts names at a NUL character; the original shows what the archive really says.
                name = info.orig_filename
                if not limits.is_picture(name):  # folders end in a slash and have no suffix
                    continue
                shown = limits.shown(path, name)
                try:
                    yield shown, _zipped(archive, info, budget)
                except PictureError as error:
                    yield shown, PictureError(f"{shown}: {error}")


def _zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: limits.Budget) -> bytes:
    kind = stat.S_IFMT(info.external_attr >> 16)
    reason = limits.refusal(info.orig_filename)
    if reason:
        raise PictureError(reason)
    if kind not in (0, stat.S_IFREG):
        raise PictureError("refused, a link or device and no file")
    if info.flag_bits & 0x1:
        raise PictureError("encrypted; unpack the archive with its password and read the folder")
    # zipfile does not bound what bzip2 and LZMA unpack to at once.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PictureError(f"compressed by method {info.compress_type}, mien reads deflate; pack it anew")
    if info.file_size > limits.MAX_MEMBER:
        raise limits.too_large(info.file_size)
    data = bytearray()
    try:
        with archive.open(info) as member:
            while chunk := member.read(limits.CHUNK):
                budget.spend(len(chunk))
                data += chunk
                if len(data) > limits.MAX_MEMBER:
                    raise limits.too_large(len(data))
    except (PictureError, SourceError):
        raise
    except Exception as error:  # as above
        raise PictureError(f"damaged: {limits.told(error)}") from error
    if len(data) != info.file_size:
        raise PictureError(f"damaged: {len(data):,} of {info.file_size:,} bytes")
    return bytes(data)


class _Directory(io.BufferedReader):
    """A file that hands out no more at once than a zip's directory may hold."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > limits.MAX_DIRECTORY:
            raise SourceError(f"{self.name}: a zip with too many members; unpack it and read the folder")
        return super().read(size)
