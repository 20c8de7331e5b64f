"""What figures can be split by: the further columns of a table, and what can be measured of its pictures.

What is measured needs no guess about persons. Owns the measures. Refuses to infer age, gender, skin or origin from a
face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.table import Table
from mien.detection.framing import resize
from mien.detection.quality import edges
from mien.errors import DataError, MienError, shown
from mien.sources.images import decode, luma

_SIDE = 48

#: Name to a measure of one picture, RGB uint8 (H, W, 3).
MEASURES: Mapping[str, Callable[[NDArray[np.uint8]], float]] = {
    # Mean luma, 0-255.
    "brightness": lambda pixels: float(luma(pixels).mean()),
    # Standard deviation of the luma, 0-127.5.
    "contrast": lambda pixels: float(luma(pixels).std()),
    # Edge strength at 48 px, contrast taken out, as mien.detection.quality measures it.
    "sharpness": lambda pixels: edges(resize(pixels, _SIDE, _SIDE)),
    # Pixels of the shorter side, as stored.
    "size": lambda pixels: float(min(pixels.shape[:2])),
}


def values(table: Table, column: str) -> list[Any]:
    """The value of a column in each row: of the table's own further columns, else measured of the pictures.

    Args:
        table: with N rows.
        column: a further column, or one of ``brightness``, ``contrast``, ``sharpness`` and ``size``.

    Returns:
        N words, numbers or None.

    Raises:
        DataError: there is no such column, or a picture cannot be decoded.
    """
    if column in table.further:
        return table.column(column)
    measure = MEASURES.get(column)
    if measure is None:
        own = ", ".join(table.further) or "none"
        raise DataError(
            f"the table '{shown(table.info.name)}' has no column '{shown(column)}'; its own: {own}; measured of the"
            " pictures:"
            f" {', '.join(MEASURES)}"
        )
    found: list[float] = []
    for row, data, path in table.encoded():
        try:
            found.append(measure(decode(data)))
        except MienError as error:
            raise DataError(f"row {row} ({path}): {error}") from error
    return found


def clusters(table: Table, column: str | None = None) -> NDArray[np.int64]:
    """(N,) numbers that are equal for rows of one person: by a column, else by the table's groups.

    Rows where the column says nothing are persons of their own.

    Raises:
        DataError: the table has no such column.
    """
    if column is None:
        return table.groups
    if column not in table.further:
        raise DataError(
            f"the table '{shown(table.info.name)}' has no column '{shown(column)}', only {', '.join(table.further)}"
        )
    said = table.column(column)
    names = [f"of {value}" if value not in {None, ""} else f"row {row}" for row, value in enumerate(said)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
