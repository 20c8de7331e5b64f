"""Rows to columns at the least cost, for a handful of each; base installs have no library that does it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Rows to columns at the least sum of costs, as many as are finite: (row, column) pairs.

    The Hungarian method with potentials, O(n³), after Kuhn 1955 and Munkres 1957. No pair of infinite cost is made.

    >>> assign(np.array([[1.0, 2.0], [1.0, 9.0]]))
    [(0, 1), (1, 0)]
    >>> assign(np.array([[np.inf, 1.0]]))
    [(0, 1)]
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return []
    finite = costs[np.isfinite(costs)]
    if not finite.size:
        return []
    # A pair that may not be costs more than all others together, so it is made only where nothing else is left.
    barred = (float(np.abs(finite).max()) + 1) * (min(rows, columns) + 1)
    square = np.full((max(rows, columns),) * 2, barred)
    square[:rows, :columns] = np.where(np.isfinite(costs), costs, barred)
    owner = _shortest_paths(square)
    return sorted(
        (row, column)
        for column, row in enumerate(owner)
        if row < rows and column < columns and np.isfinite(costs[row, column])
    )


def _shortest_paths(costs: NDArray[np.float64]) -> list[int]:
    """The row that each column of a square matrix belongs to."""
    size = len(costs)
    of_row, of_column = np.zeros(size + 1), np.zeros(size + 1)  # potentials; index 0 is no row or column
    owner = np.zeros(size + 1, int)
    for row in range(1, size + 1):
        owner[0], column = row, 0
        least, came_from = np.full(size + 1, np.inf), np.zeros(size + 1, int)
        done = np.zeros(size + 1, bool)
        while owner[column]:
            done[column] = True
            reduced = costs[owner[column] - 1] - of_row[owner[column]] - of_column[1:]
            better = ~done[1:] & (reduced < least[1:])
            least[1:][better], came_from[1:][better] = reduced[better], column
            nearest = 1 + int(np.argmin(np.where(done[1:], np.inf, least[1:])))
            step = least[nearest]
            of_row[owner[done]] += step
            of_column[done] -= step
            least[~done] -= step
            column = nearest
        while column:
            owner[column] = owner[came_from[column]]
            column = came_from[column]
    return [int(row) - 1 for row in owner[1:]]
