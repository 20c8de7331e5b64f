"""The pictures of a table: encoded ones fetched from its file when asked for, decoded ones in memory or mapped.

A table may be far larger than memory: of the encoded pictures, at most ``_HELD`` bytes and one row group of the file
are held, and decoded ones can go to a file that is mapped. Refuses to know labels and splits.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from mien.detection.framing import resize
from mien.errors import DataError, MienError, require
from mien.files import AtomicFile, explained
from mien.sources.images import decode, luma

#: Bytes of row groups that stay in memory: small tables are read once, of large ones a part is.
_HELD = 2**27
#: Pictures of a table out of its file's order are fetched that many at a time.
_OUT_OF_ORDER = 256
#: Changes with the way pictures are decoded, so that no mapped file of another way is taken.
_DECODING = 1


class _Groups:
    """Row groups by number; ``load`` gives one as an Arrow struct array of bytes and path."""

    def __init__(self, lengths: Sequence[int], load: Callable[[int], Any]) -> None:
        self.starts = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))])
        self._load = load
        self._held: OrderedDict[int, Any] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Without the pictures that are held: another process fetches its own."""
        return self.__dict__ | {"_held": OrderedDict()}

    def __getitem__(self, group: int) -> Any:
        held = self._held.pop(group, None)
        pictures = self._load(group) if held is None else held
        self._held[group] = pictures
        while len(self._held) > 1 and sum(kept.nbytes for kept in self._held.values()) > _HELD:
            self._held.popitem(last=False)
        return pictures


class Pictures:
    """Encoded pictures of the rows of a table, in the order of its rows; of a file, or of an Arrow column."""

    def __init__(self, groups: _Groups, numbers: NDArray[np.int64]) -> None:
        self._groups, self._numbers = groups, numbers

    @classmethod
    def in_file(cls, path: Path, lengths: Sequence[int]) -> Pictures:
        """The column ``image`` of a Parquet file whose row groups have these lengths; nothing is read yet."""
        groups = _Groups(lengths, partial(_read_group, path, _stamp(path)))
        return cls(groups, np.arange(sum(lengths), dtype=np.int64))

    @classmethod
    def in_memory(cls, column: Any) -> Pictures:
        """An Arrow chunked array of structs of bytes and path."""
        groups = _Groups([len(chunk) for chunk in column.chunks], column.chunk)
        return cls(groups, np.arange(len(column), dtype=np.int64))

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self, indices: NDArray[np.integer]) -> Pictures:
        """The pictures at these indices, in their order; they may repeat."""
        return Pictures(self._groups, self._numbers[indices])

    def fetch(self) -> Iterator[tuple[int, bytes, str]]:
        """Index, encoded picture and source path of each, in the order of the file: each row group is read once."""
        order = np.argsort(self._numbers, kind="stable")
        bounds = np.searchsorted(self._numbers[order], self._groups.starts)
        for group, (low, high) in enumerate(pairwise(bounds.tolist())):
            if low == high:
                continue
            own = self._groups[group].take(self._numbers[order[low:high]] - self._groups.starts[group])
            data, paths = own.field("bytes"), own.field("path")
            for place, index in enumerate(order[low:high].tolist()):
                yield index, data[place].as_py(), paths[place].as_py() or ""

    def in_order(self) -> Iterator[tuple[bytes, str]]:
        """Encoded picture and source path of each, in the order of the rows."""
        if (np.diff(self._numbers) >= 0).all():
            for _, data, path in self.fetch():
                yield data, path
            return
        for start in range(0, len(self), _OUT_OF_ORDER):
            part = self.take(np.arange(start, min(start + _OUT_OF_ORDER, len(self))))
            found = {index: (data, path) for index, data, path in part.fetch()}
            yield from (found[index] for index in range(len(part)))

    def to_arrow(self) -> Any:
        """All of them as one Arrow column, in memory."""
        pa = require("pyarrow", "tables")
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        return pa.chunked_array([pa.array([{"bytes": d, "path": p} for d, p in self.in_order()], kind)])


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read any more: {error.strerror}") from error
    return about.st_size, about.st_mtime_ns


def _read_group(path: Path, stamp: tuple[int, int], group: int) -> Any:
    """The pictures of one row group; opened anew each time, so that a table can be sent to other processes."""
    parquet, pa = require("pyarrow.parquet", "tables"), require("pyarrow", "tables")
    if _stamp(path) != stamp:
        raise DataError(f"{path} was changed while it was in use: start again")
    try:
        with parquet.ParquetFile(path) as file:
            return file.read_row_group(group, columns=["image"])["image"].combine_chunks()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read any more: {str(error).splitlines()[0]}") from error


def decode_all(
    pictures: Pictures, rows: NDArray[np.int64], size: int | None, grey: bool, out: Callable[[tuple[int, ...]], Any]
) -> Any:
    """Decode every picture into what ``out(shape)`` returns, (N, H, W, 3) or, if ``grey``, (N, H, W) uint8.

    Args:
        pictures: N of them.
        rows: (N,) their row numbers, for messages.
        size: pixels a side; None takes the size that all share.
        grey: ITU-R BT.601 luma instead of RGB.
        out: makes something whose items can be set.

    Raises:
        DataError: a picture cannot be decoded, or the sizes differ and none was asked for.
    """
    made: Any = None
    first: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
    for index, data, path in pictures.fetch():
        try:
            pixels = decode(data)
        except MienError as error:
            raise DataError(f"row {rows[index]} ({path}): {error}") from error
        if size is not None:
            pixels = resize(pixels, size, size)
        if grey:
            pixels = luma(pixels)
        if made is None:
            first = pixels
            made = out((len(pictures), *first.shape))
        if pixels.shape != first.shape:
            raise DataError(
                f"row {rows[index]} ({path}) is {pixels.shape[1]}x{pixels.shape[0]} px, the first is"
                f" {first.shape[1]}x{first.shape[0]}: say which size to resize to"
            )
        made[index] = pixels
    return made


def mapped_name(digests: NDArray[np.str_], size: int | None, grey: bool) -> str:
    """The name of the file that holds these pictures decoded: other pictures, size or colour, another name."""
    key = hashlib.sha256(f"{_DECODING} {size} {grey} {len(digests)}".encode())
    for start in range(0, len(digests), 4096):
        key.update(",".join(digests[start : start + 4096].tolist()).encode())
    return f"pixels-{key.hexdigest()[:24]}.npy"


def open_mapped(path: Path, count: int) -> NDArray[np.uint8] | None:
    """A mapped file of ``count`` decoded pictures, read-only; None where there is no whole one."""
    try:
        stored: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not _is_mapped(stored):
        return None
    return stored if stored.dtype == np.uint8 and len(stored) == count else None


def _is_mapped(stored: object) -> TypeGuard[NDArray[np.uint8]]:
    return isinstance(stored, np.memmap)


class MappedWriter:
    """A ``.npy`` file of uint8 pictures, set one by one in constant memory; it appears whole or not at all.

    Written, not mapped, while it grows: a full disk is then an error and not the end of the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole: AtomicFile | None = None
        self._file: Any = None

    def start(self, shape: tuple[int, ...]) -> MappedWriter:
        """Begin a file of that shape."""
        self._whole = AtomicFile(self._path, parents=True)
        self._file = self._whole.temporary.open("wb")
        facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, facts)
        self._first, self._each = self._file.tell(), int(np.prod(shape[1:]))
        return self

    def __setitem__(self, index: int, pixels: NDArray[np.uint8]) -> None:
        place = self._first + index * self._each
        if self._file.tell() != place:
            self._file.seek(place)
        self._file.write(np.ascontiguousarray(pixels).data)

    def __enter__(self) -> MappedWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            with explained(self._path):
                if self._file is not None:
                    self._file.close()
                if isinstance(error, OSError):
                    raise error
            if self._whole is not None and kind is None:
                self._whole.commit()
        finally:
            if self._whole is not None:
                self._whole.discard()
