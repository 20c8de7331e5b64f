"""The board: every cell of the list filled with what its run says of itself, or with what it still needs.

Owns the order, the choice of a row's best cell, and the timing of all model files side by side. Refuses to look into
runs, which :mod:`mien.literature.cell` does, and to write, which :mod:`mien.literature.board_page` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mien import models
from mien.benchmark import clock
from mien.errors import ModelError
from mien.literature import cell as board_cell
from mien.literature.cell import Filled, Source
from mien.literature.systems import BoardList

_CALLS = 15


def look(board: BoardList, source: Source) -> list[Filled]:
    """Every cell of a list, in order, with no more than its state: nothing is scored."""
    return [board_cell.look(source, row, cell) for row in board.rows for cell in row.cells]


def fill(board: BoardList, source: Source) -> list[Filled]:
    """Every cell of a list, in order; a run that cannot be read is told as such, and the rest go on.

    Raises:
        RecipeError: a cell names a recipe that there is not, or sets what it does not have.
    """
    filled: list[Filled] = []
    for cell in look(board, source):
        source.say(f"reading {cell.path}")
        filled.append(board_cell.measured(board, source, cell) if cell.state == "finished" else cell)
    return filled


def best(cells: Iterable[Filled]) -> Filled | None:
    """The cell with the highest validation top-1 among those with an honest protocol; None without any."""
    honest = [c for c in cells if c.validation and not c.mark and c.protocol == "official"]
    return max(honest, key=lambda c: c.validation.top1 if c.validation else 0.0, default=None)


def with_times(cells: Sequence[Filled], turns: int, say: Callable[[str], None] = lambda doing: None) -> list[Filled]:
    """The cells with milliseconds a face, of all model files in turn, each as in its quietest turn.

    What else the machine does comes in bursts and only ever adds time, so the least median of the turns is the fairest.

    Args:
        cells: filled.
        turns: how often each file is loaded and timed.
        say: told what is being done.
    """
    files = list(dict.fromkeys(cell.model for cell in cells if cell.model))
    taken: dict[Path, list[float]] = {file: [] for file in files}
    for turn in range(turns):
        for file in files:
            say(f"timing, turn {turn + 1} of {turns}: {file.parent.name}")
            try:
                taken[file].append(clock(models.load(file, threads=1), "", _CALLS).milliseconds)
            except ModelError:  # said where its figures would stand
                continue
    least = {file: min(medians) for file, medians in taken.items() if medians}
    return [replace(cell, milliseconds=least.get(cell.model)) if cell.model else cell for cell in cells]
