"""Small data tables from pictures in memory."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from mien.data.table import Table, read
from mien.data.writer import TableInfo, TableWriter, pixel_digest

Row = tuple[np.ndarray, int | None, str] | tuple[np.ndarray, int | None, str, list[int] | None]


def write_table(path: Path, info: TableInfo, rows: Iterable[Row], *, first_row: int = 0) -> Table:
    """Write rows of picture, label, split and perhaps FER+ votes, and read them back."""
    with TableWriter(path, info) as writer:
        for row, (picture, label, split, *votes) in enumerate(rows, start=first_row):
            writer.add(
                image=cv2.imencode(".png", picture)[1].tobytes(),
                path="",
                label=label,
                split=split,
                row=row,
                group=row,
                digest=pixel_digest(picture),
                votes=votes[0] if votes else None,
            )
    return read(path)
