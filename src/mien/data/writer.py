"""Writing the canonical table: its schema, what it says of itself, and a writer that leaves no half files.

The columns are those that :mod:`mien.data.table` describes. Refuses to read tables and to know sources.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, require, shown
from mien.files import AtomicFile, explained

FORMAT = 1
SPLITS = ("train", "validation", "test")
#: A row group ends at that many rows or bytes of pictures: readers hold one group at a time.
_GROUP_ROWS, _GROUP_BYTES = 4096, 2**26


@dataclass(frozen=True)
class TableInfo:
    """What the table says of itself.

    Attributes:
        name: the data set, as in ``fer2013``.
        label_set: the name of the label set that ``label`` indexes; ``fer2013`` for the seven of FER2013.
        labels: the names of that label set, in order.
        source: where the rows came from: file name, sha256, layout.
        official: the splits are those that the data set's authors published; where they published no validation
            split, a share of their train rows is that, and a note says so.
        notes: what a reader of figures measured on this table has to know.
    """

    name: str
    label_set: str
    labels: tuple[str, ...]
    source: dict[str, Any] = field(default_factory=dict[str, Any])
    official: bool = False
    notes: tuple[str, ...] = ()


def pixel_digest(pixels: NDArray[np.uint8]) -> str:
    """The sha256 of a picture's pixels and shape; a grey picture and its RGB copy have the same digest.

    >>> grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    >>> pixel_digest(grey) == pixel_digest(np.repeat(grey[..., None], 3, axis=2))
    True
    """
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


#: Names that further columns of a table cannot have: mien's own, and what the writer calls a picture's path.
OWN = ("image", "label", "split", "row", "votes", "group", "digest", "soft", "reason", "path")


def further_type(kind: Any) -> Any:
    """What a further column of this Arrow type is stored as: words, numbers or truth values; None: not stored."""
    pa, types = require("pyarrow", "tables"), require("pyarrow.types", "tables")
    if types.is_dictionary(kind):
        return further_type(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind):
        return pa.string()
    if types.is_boolean(kind):
        return pa.bool_()
    if types.is_integer(kind):
        return pa.int64()
    return pa.float64() if types.is_floating(kind) else None


def table_schema(info: TableInfo, further: Mapping[str, Any] | None = None) -> Any:
    """The ``pyarrow.Schema`` of a table that says this of itself.

    Args:
        info: what it says.
        further: name to Arrow type, as :func:`further_type` gives them, of columns besides mien's own.
    """
    pa = require("pyarrow", "tables")
    further = further or {}
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(info.labels), "_type": "ClassLabel"},
        "split": {"dtype": "string", "_type": "Value"},
        "row": {"dtype": "int32", "_type": "Value"},
        "votes": {"feature": {"dtype": "int8", "_type": "Value"}, "_type": "Sequence"},
        "group": {"dtype": "int32", "_type": "Value"},
        "digest": {"dtype": "string", "_type": "Value"},
        "soft": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"},
        "reason": {"dtype": "string", "_type": "Value"},
    }
    names = {"double": "float64"}
    features |= {name: {"dtype": names.get(str(of), str(of)), "_type": "Value"} for name, of in further.items()}
    return pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),  # what Hugging Face's ClassLabel is stored as; else it drops the names
            ("split", pa.string()),
            ("row", pa.int32()),
            ("votes", pa.list_(pa.int8())),
            ("group", pa.int32()),
            ("digest", pa.string()),
            ("soft", pa.list_(pa.float32())),
            ("reason", pa.string()),
            *further.items(),
        ],
        metadata={
            "mien": json.dumps({"format": FORMAT} | asdict(info)),
            "huggingface": json.dumps({"info": {"features": features}}),
        },
    )


class TableWriter:
    """Writes a table row by row in constant memory; the file appears whole at the end or not at all.

    Use it as a context manager. An exception inside the block leaves nothing behind, and an existing file of
    that name stays as it was.

    Args:
        path: of the file.
        info: what the table says of itself.
        further: name to Arrow type of further columns, as :func:`further_type` gives them.
    """

    def __init__(self, path: Path, info: TableInfo, further: Mapping[str, Any] | None = None) -> None:
        self._pa = require("pyarrow", "tables")
        self._path, self._info, self._further = Path(path), info, dict(further or {})
        self._rows: list[dict[str, Any]] = []
        self._count = self._bytes = 0

    def __enter__(self) -> TableWriter:
        parquet = require("pyarrow.parquet", "tables")
        self._file = AtomicFile(self._path, parents=True, alone=True)
        try:
            with explained(self._path):
                schema = table_schema(self._info, self._further)
                self._writer = parquet.ParquetWriter(self._file.temporary, schema, compression="zstd")
        except BaseException:
            self._file.discard()
            raise
        return self

    def add(
        self,
        *,
        image: bytes,
        path: str,
        label: int | None,
        split: str,
        row: int,
        group: int,
        digest: str,
        votes: list[int] | None = None,
        soft: list[float] | None = None,
        reason: str | None = None,
        **further: Any,
    ) -> None:
        """Add one row; the columns are described in :mod:`mien.data.table`, further ones may be left out.

        Raises:
            DataError: the split, the label or a further column does not exist.
        """
        if unknown := sorted(set(further) - set(self._further)):
            raise DataError(f"row {row}: the table has no column {', '.join(unknown)}")
        if split not in SPLITS:
            raise DataError(f"row {row}: split '{shown(split)}' is none of {', '.join(SPLITS)}")
        if label is not None and not 0 <= label < len(self._info.labels):
            raise DataError(f"row {row}: label {label} is outside 0-{len(self._info.labels) - 1}")
        self._rows.append(
            {
                "image": {"bytes": image, "path": path},
                "label": label,
                "split": split,
                "row": row,
                "votes": votes,
                "group": group,
                "digest": digest,
                "soft": soft,
                "reason": reason,
                **further,
            }
        )
        self._count += 1
        self._bytes += len(image)
        if len(self._rows) == _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            with explained(self._path):
                self._writer.write_table(self._pa.Table.from_pylist(self._rows, schema=self._writer.schema))
            self._rows, self._bytes = [], 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._count:
                raise DataError(f"no pictures for {self._path}: the source has no rows")
            if kind is None:
                self._flush()
            with suppress(OSError) if kind else explained(self._path):
                self._writer.close()
            if kind is None:
                self._file.commit()
        finally:
            self._file.discard()
