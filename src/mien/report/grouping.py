"""Figures by group in words: the groups of ``--by``, and how a comparison is printed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mien.data import attributes
from mien.data.table import Table
from mien.evaluate import dividing
from mien.evaluate.dividing import Grouping
from mien.evaluate.groups import Comparison, Estimate, Gap, Group

NAMES = {"top1": "top-1", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1", "ece": "ECE"}

HEAD = ("top-1, %", "balanced, %", "macro-F1, %", "ECE, %")


def divide(part: Table, by: Sequence[str], bins: int, persons: str | None) -> list[Grouping]:
    """The groups of a split by each column.

    Raises:
        DataError: the table has no such column, or it makes too few or too many groups.
    """
    if not by:
        return []
    clusters = attributes.clusters(part, persons)
    return [dividing.divide(column, part.rows, attributes.values(part, column), clusters, bins) for column in by]


def show(console: Console, compared: Comparison) -> None:
    """Print the figures of each group, the largest gaps, and warnings, to a console that takes no markup."""
    title = ("\n", (compared.label_set, "bold"), f" ({compared.output}) by {compared.column}")
    console.print(Text.assemble(*title), highlight=False)
    grid = Grid(compared.column, "n", "clusters", *HEAD)
    for group in (*compared.groups, compared.whole):
        values = [cell.replace(" [", "\n[") for cell in cells(group)]
        grid.add_row(group.name, f"{group.n:,}", f"{group.clusters:,}", *values)
    console.print(grid)
    lines = [said(gap, compared) for gap in compared.gaps] + [f"warning: {warning}" for warning in compared.warnings]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def cells(group: Group) -> list[str]:
    """Each figure of a group with its interval, in percent; empty without faces."""
    return [_estimate(group.figures[name]) if group.figures else "" for name in NAMES]


def _estimate(found: Estimate) -> str:
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def said(gap: Gap, compared: Comparison) -> str:
    """A gap in words."""
    p = f"p = {gap.p:.3g}"
    if gap.p_same_labels is not None:
        p += f", among the same true labels p = {gap.p_same_labels:.3g}"
    return (
        f"largest gap in {NAMES[gap.figure]}: {100 * gap.size:.1f} points, {gap.high} against {gap.low}; {p}"
        f" (permutation of {compared.permuted}, corrected for all pairs of groups)"
    )
