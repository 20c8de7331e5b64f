"""The canonical data table: one Parquet file, readable by pandas and Hugging Face ``datasets`` without mien.

One row per picture:

==========  ====================================  ====================================================
column      type                                  meaning
==========  ====================================  ====================================================
image       struct<bytes: binary, path: string>   the encoded picture, and the file it came from
label       int64, may be null                    index into the labels of the table's label set
split       string                                train, validation or test
row         int32                                 where the source had it: CSV row or file number
votes       list<int8>, may be null               FER+ votes in the order of ``FERPLUS_VOTES``
group       int32                                 rows of one group (same pixels or same person) stay together
digest      string                                sha256 of the decoded pixels: equal pictures, equal digest
soft        list<float32>, may be null or absent  what to train on instead of ``label``: shares of the own label set
reason      string, may be null or absent         why ``mien data clean`` changed ``label`` or ``soft``
==========  ====================================  ====================================================

Any further column of words, numbers or truth values (age, camera, site, person, ...) stays with its rows; figures can
be split by it. The schema metadata carries :class:`TableInfo` as JSON under ``mien``. Owns reading and the views
that training and evaluation take; ``pictures`` owns fetching and decoding, ``writer`` owns writing, the importers
own the layouts of sources.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import ferplus
from mien.data.pictures import MappedWriter, Pictures, decode_all, mapped_name, open_mapped
from mien.data.writer import FORMAT, OWN, SPLITS, TableInfo, TableWriter, further_type, table_schema
from mien.errors import DataError, require, shown
from mien.expressions import FERPLUS_VOTES, LABEL_SETS

#: Rows of a column that are Python objects at a time.
_BATCH = 65_536


class Table:
    """A data table: its pictures stay encoded, and in its file, until they are asked for.

    Args:
        arrow: the table's columns; without ``image`` if ``pictures`` are given.
        info: what it says of itself.
        pictures: those of its rows.
    """

    def __init__(self, arrow: Any, info: TableInfo, pictures: Pictures | None = None) -> None:
        self.info = info
        self._pictures = Pictures.in_memory(arrow["image"]) if pictures is None else pictures
        self._columns = arrow.drop_columns(["image"]) if pictures is None else arrow

    def __len__(self) -> int:
        return self._columns.num_rows

    @property
    def arrow(self) -> Any:
        """The whole table as a ``pyarrow.Table`` in memory, pictures and all: for small ones."""
        return self._columns.add_column(0, "image", self._pictures.to_arrow())

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) indices into ``info.labels``; -1 where a row has none."""
        return self._columns["label"].cast("int64").fill_null(-1).to_numpy()

    @cached_property
    def splits(self) -> NDArray[np.str_]:
        """(N,) split names."""
        return np.array(self._columns["split"].to_pylist(), dtype=np.str_)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(N,) row numbers in the source."""
        return self._columns["row"].cast("int64").to_numpy()

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(N,) group numbers."""
        return self._columns["group"].cast("int64").to_numpy()

    @cached_property
    def digests(self) -> NDArray[np.str_]:
        """(N,) pixel digests."""
        return np.array(self._columns["digest"].to_pylist(), dtype=np.str_)

    @cached_property
    def votes(self) -> NDArray[np.int64] | None:
        """(N, 10) FER+ votes in FERPLUS_VOTES order, rows of zeros where there are none; None without any."""
        lists = self._columns["votes"].to_pylist()
        if all(votes is None for votes in lists):
            return None
        blank = [0] * len(FERPLUS_VOTES)
        return np.array([votes or blank for votes in lists], dtype=np.int64)

    @cached_property
    def soft(self) -> NDArray[np.float32] | None:
        """(N, K) training targets in place of the labels, rows of zeros where there are none; None without any."""
        lists: list[Any] = self._columns["soft"].to_pylist() if "soft" in self._columns.column_names else []
        if all(row is None for row in lists):
            return None
        blank = [0.0] * len(self.info.labels)
        return np.array([row or blank for row in lists], dtype=np.float32)

    @property
    def reasons(self) -> list[str | None]:
        """Why each row's label or target was changed; None where it was not."""
        present = "reason" in self._columns.column_names
        return self._columns["reason"].to_pylist() if present else [None] * len(self)

    @property
    def further(self) -> dict[str, Any]:
        """The columns besides mien's own: name to Arrow type."""
        return {field.name: field.type for field in self._columns.schema if field.name not in OWN}

    def column(self, name: str) -> list[Any]:
        """A further column: N words, numbers, truth values or None.

        Raises:
            DataError: there is no such column.
        """
        if name not in self.further:
            raise DataError(
                f"the table '{shown(self.info.name)}' has no column '{shown(name)}', only {', '.join(self.further)}"
            )
        return self._columns[name].to_pylist()

    @property
    def label_sets(self) -> dict[str, tuple[str, ...]]:
        """The label sets that rows of this table can be trained and scored on."""
        own = {self.info.label_set: self.info.labels}
        return own if self.votes is None else own | {"ferplus": LABEL_SETS["ferplus"]}

    def truth(self, label_set: str) -> NDArray[np.int64]:
        """(N,) label indices of the named label set; -1 where a row has none.

        Raises:
            DataError: the table has no such label set.
        """
        self._check(label_set)
        return self.labels if label_set == self.info.label_set else ferplus.majority(self._all_votes)

    def unfiltered_truth(self, label_set: str) -> NDArray[np.int64]:
        """(N,) label indices before the label set's filter: for FER+ the most votes, else the same as ``truth``.

        Raises:
            DataError: the table has no such label set.
        """
        self._check(label_set)
        return self.labels if label_set == self.info.label_set else ferplus.plurality(self._all_votes)

    def targets(self, label_set: str) -> NDArray[np.float32]:
        """(N, K) training targets of the named label set; a row of zeros where a picture has none.

        For the table's own labels one-hot, or what ``soft`` says; vote shares for ``ferplus``.

        Raises:
            DataError: the table has no such label set.
        """
        self._check(label_set)
        if label_set != self.info.label_set:
            return ferplus.distribution(self._all_votes)
        one_hot = np.zeros((len(self), len(self.info.labels)), np.float32)
        known = np.flatnonzero(self.labels >= 0)
        one_hot[known, self.labels[known]] = 1
        if self.soft is None:
            return one_hot
        return np.where(self.soft.sum(axis=1, keepdims=True) > 0, self.soft, one_hot)

    def _check(self, label_set: str) -> None:
        if label_set not in self.label_sets:
            raise DataError(
                f"the table '{shown(self.info.name)}' has no labels '{shown(label_set)}', only"
                f" {', '.join(self.label_sets)}"
            )

    @property
    def _all_votes(self) -> NDArray[np.int64]:
        assert self.votes is not None
        return self.votes

    def take(self, which: NDArray[Any]) -> Table:
        """The rows that a boolean mask or an index array names."""
        indices = np.flatnonzero(which) if which.dtype == bool else which
        return Table(self._columns.take(indices), self.info, self._pictures.take(indices))

    def with_splits(self, splits: NDArray[np.str_], info: TableInfo) -> Table:
        """The same rows in other splits, (N,) names, and what the table then says of itself."""
        return self.with_columns(info, split=splits.tolist())

    def with_columns(self, info: TableInfo, **columns: Sequence[Any]) -> Table:
        """The same rows with other values in some columns, and what the table then says of itself."""
        pa = require("pyarrow", "tables")
        schema, changed = table_schema(info), self._columns
        for name, values in columns.items():
            field, place = schema.field(name), changed.schema.get_field_index(name)
            column = pa.array(values, field.type)
            changed = changed.append_column(field, column) if place < 0 else changed.set_column(place, field, column)
        return Table(changed, info, self._pictures)

    def write(self, path: Path) -> None:
        """Write the table to a file, which appears whole or not at all.

        Raises:
            DataError: it cannot be written.
        """
        with TableWriter(path, self.info, self.further) as writer:
            for start in range(0, len(self), _BATCH):
                part = self._columns.slice(start, _BATCH).to_pylist()
                pictures = self._pictures.take(np.arange(start, start + len(part))).in_order()
                for row, (image, source) in zip(part, pictures, strict=True):
                    writer.add(image=image, path=source, **row)

    def split(self, name: str) -> Table:
        """The rows of one split.

        Raises:
            DataError: no row is in that split.
        """
        part = self.take(self.splits == name)
        if not len(part):
            present = ", ".join(f"{s} ({(self.splits == s).sum()})" for s in SPLITS if s in set(self.splits))
            raise DataError(f"the table '{shown(self.info.name)}' has no '{shown(name)}' rows, only {present}")
        return part

    def encoded(self) -> Iterator[tuple[int, bytes, str]]:
        """Row number, encoded picture and source path of each row, in order."""
        for row, (data, path) in zip(self.rows.tolist(), self._pictures.in_order(), strict=True):
            yield row, data, path

    def pictures(self, size: int | None = None, *, grey: bool = False, mapped: Path | None = None) -> NDArray[np.uint8]:
        """Decode all pictures: (N, H, W, 3) RGB uint8, or (N, H, W) luma with ``grey``.

        Args:
            size: pixels a side; None takes the size that all pictures share.
            grey: return ITU-R BT.601 luma.
            mapped: a folder for a file of the decoded pictures, which is mapped read-only instead of held in
                memory, and taken again when the same pictures are asked for at that size and colour.

        Raises:
            DataError: a picture cannot be decoded, the sizes differ and none was asked for, or the file cannot be
                written.
        """
        if not len(self):
            raise DataError(f"the table '{shown(self.info.name)}' has no rows")
        if mapped is None:
            return decode_all(self._pictures, self.rows, size, grey, lambda shape: np.empty(shape, np.uint8))
        path = mapped / mapped_name(self.digests, size, grey)
        stored = open_mapped(path, len(self))
        if stored is None:
            with MappedWriter(path) as writer:
                decode_all(self._pictures, self.rows, size, grey, writer.start)
            stored = open_mapped(path, len(self))
        if stored is None:
            raise DataError(f"{path} is not what was written there: is another program changing it?")
        return stored

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 of what figures depend on: pixels, labels, splits, votes and targets of every row in order."""
        digest = hashlib.sha256(json.dumps([self.info.label_set, *self.info.labels]).encode())
        for column in ("digest", "label", "split", "votes", *(["soft"] if self.soft is not None else [])):
            parts = (json.dumps(batch.to_pylist())[1:-1] for batch in self._batches(column))
            digest.update(b"[")
            for index, part in enumerate(parts):
                digest.update((", " * (index > 0) + part).encode())
            digest.update(b"]")
        return digest.hexdigest()

    def _batches(self, column: str) -> Iterator[Any]:
        for start in range(0, len(self), _BATCH):
            yield self._columns[column].slice(start, _BATCH)


def read(path: str | Path) -> Table:
    """Read a table that an importer wrote.

    Raises:
        DataError: the file is missing, is no Parquet file, or was not written by ``mien data import``.
    """
    parquet, pa = require("pyarrow.parquet", "tables"), require("pyarrow", "tables")
    path = Path(path)
    try:
        with parquet.ParquetFile(path) as file:
            further = {f.name: further_type(f.type) for f in file.schema_arrow if f.name not in OWN}
            names = [name for name in file.schema_arrow.names if name != "image" and further.get(name, name)]
            arrow, about = file.read(columns=names), file.metadata
            for name in (name for name in names if name in further):
                arrow = arrow.set_column(names.index(name), name, arrow[name].cast(further[name]))
            lengths = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    stored: dict[bytes, bytes] = arrow.schema.metadata or {}
    text = stored.get(b"mien")
    if text is None:
        raise DataError(f"{path} is not a mien table; make one: mien data import fer2013 {path} -o table.parquet")
    try:
        meta = json.loads(text)
        if meta.pop("format") != FORMAT:
            raise DataError(f"{path} has another table format than this mien ({FORMAT}): import the data again")
        meta["labels"], meta["notes"] = tuple(meta["labels"]), tuple(meta["notes"])
        info = TableInfo(**meta)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no data table of mien, though mien may have written it: {error!r}") from error
    return Table(arrow, info, Pictures.in_file(path, lengths))
