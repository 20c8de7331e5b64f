"""``mien compare``: rank runs, models or predictions tables, with paired significance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.options import LedgerFile, Split, Why, ledger_for
from mien.errors import require

if TYPE_CHECKING:
    from mien.report.comparison import Ranked

_HEAD = (
    "",
    "n",
    "top-1, %",
    "95 % interval",
    "macro-F1, %",
    "balanced, %",
    "ECE",
    "parameters",
    "training",
    "against the best",
    "p (Holm)",
)
_STACKED = ((2, 3), (4, 5), (1, 6), (7, 8), (9, 10))


def compare(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_PREDICTIONS_OR_MODEL...", help="Two or more runs, predictions tables or models."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="The data table, to score what has no predictions yet.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which faces.")] = Split.validation,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    ledger: LedgerFile = None,
    why: Why = "",
) -> None:
    """Rank by top-1; the exact McNemar test against the best, corrected after Holm, on the faces both answered.

    mien compare runs/a runs/b --data fer2013.parquet --markdown
    """
    require("torch", "train")
    from mien.report import comparison, evidence

    table = evidence.read_table(data)
    look = ledger_for(str(split), ledger, why) if ledger or why else None  # stored answers need none
    with notices.doing("reading predictions, scoring what is missing"):
        entries = [evidence.entry(name, table, str(split), look and look.about("compare")) for name in given]
        rankings = comparison.rank(entries)
    first = entries[0].predictions
    console = Console(markup=False)
    for label_set, ranked in rankings.items():
        title = f"{first.provenance.get('data')}, {split}, {label_set} labels"
        lines = [_line(line) for line in ranked]
        if markdown:
            print("\n".join(_markdown(title, lines)))
        else:
            _draw(console, title, lines)
    notices.done(f"{counted(len(entries), 'model')} compared")


def _line(line: Ranked) -> list[str]:
    """The cells of one line; a dash where something is not known."""
    f, entry = line.figures, line.entry
    low, high = f.interval
    test = f"+{line.test.only_second} / -{line.test.only_first} of {line.paired:,}" if line.test else "best"
    return [
        entry.name,
        f"{f.n:,}",
        f"{100 * f.top1:.2f}",
        f"{100 * low:.2f}-{100 * high:.2f}",
        f"{100 * f.macro_f1:.2f}",
        f"{100 * f.balanced_accuracy:.2f}",
        f"{f.ece:.4f}",
        f"{entry.parameters / 1e6:.2f} M" if entry.parameters else "-",
        f"{entry.seconds / 3600:.2f} h" if entry.seconds is not None else "-",
        test,
        f"{line.p_holm:.3g}" if line.p_holm is not None else "",
    ]


def _draw(console: Console, title: str, lines: list[list[str]]) -> None:
    """For terminals of 80 columns: what belongs together in one cell, names, which may be long paths, in a list."""
    console.print(f"\n{title}", highlight=False)
    for place, line in enumerate(lines, 1):
        console.print(f"{place:>3}  {line[0]}", highlight=False, soft_wrap=True)
    grid = Grid(show_lines=True)
    for cells in (("",), *([_HEAD[cell] for cell in cells] for cells in _STACKED)):
        grid.add_column("\n".join(cells), justify="right", no_wrap=True)
    for place, line in enumerate(lines, 1):
        grid.add_row(str(place), *("\n".join(line[cell] for cell in cells) for cells in _STACKED))
    console.print(grid)


def _markdown(title: str, lines: list[list[str]]) -> list[str]:
    """A heading and a table; a pipe in a name would end its cell."""
    rows = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    rule = ["---", *["---:"] * (len(_HEAD) - 1)]
    return [f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in (list(_HEAD), rule, *rows)), ""]
