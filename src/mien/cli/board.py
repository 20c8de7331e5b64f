"""``mien board``: every system of the literature beside what its run here measures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import notices
from mien.cli.notices import counted
from mien.errors import DataError, require
from mien.files import write

if TYPE_CHECKING:
    from mien.literature.cell import Filled, Source
    from mien.literature.systems import BoardList


def board(
    runs: Annotated[
        Path, typer.Argument(metavar="[RUNS_FOLDER]", help="The folder that holds the run folders.")
    ] = Path("runs"),
    data: Annotated[
        Path | None, typer.Option("--data", help="The table that runs were trained on, to score what is not scored.")
    ] = None,
    out: Annotated[Path, typer.Option("--output", "-o", help="The Markdown file.")] = Path("board.md"),
    html: Annotated[Path | None, typer.Option("--html", help="Also write it as one self-contained page.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write accuracy against milliseconds as PNG.")] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="Another list, in the form of mien's board.yaml.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="JSON that keeps what was measured, for cells whose run is not at hand."),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only print the commands of the cells that are not there yet.")
    ] = False,
    turns: Annotated[int, typer.Option("--turns", min=0, help="How often model files are timed; 0: never.")] = 5,
    score_test: Annotated[
        bool, typer.Option("--score-test", help="Score the test split where it was not; needs --ledger and --why.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="CSV file that records every use of the test split.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why the test split was scored.")] = "",
) -> None:
    """Fill the board from runs: published figures beside ours, with speed, cost, and the command of each cell.

    mien board --data fer2013.parquet --record docs/board.json -o docs/board.md --plot docs/board.png
    """
    require("torch", "train")
    from mien.literature import board as filling
    from mien.literature import board_page
    from mien.literature import cell as board_cell
    from mien.literature import record as board_record
    from mien.literature import systems as board_list
    from mien.report import evidence

    if score_test != bool(ledger and why) or (score_test and data is None):
        raise DataError("the test split is scored by --score-test --data FILE --ledger FILE --why 'REASON' together")
    if record and data is None:
        raise DataError("--record keeps what was measured on one table: add --data FILE")
    systems = board_list.read(listed)
    with notices.doing("reading") as tell:
        table = evidence.read_table(data)
        kept = board_record.read(record, table.fingerprint) if record and table else None
        source = board_cell.Source(runs, table, data.name if data else systems.data, tell)
        if missing:
            cells = filling.look(systems, source)
            print("\n".join(board_page.missing(kept.filling(cells) if kept else cells)))
            return
        cells = filling.fill(systems, source)
    if score_test:
        assert data is not None
        assert ledger is not None
        if _score_test(cells, data, ledger, why):
            cells = filling.fill(systems, source)
    with notices.doing("timing") as tell:
        cells = filling.with_times(cells, turns, tell)
    if record and kept:
        write(record, kept.updated(cells).encoded(), parents=True)
        cells = kept.filling(cells)
    _write(systems, cells, source, turns, (out, html, plot), record)
    notices.done(counted(len(cells), "cell"))


def _score_test(cells: list[Filled], data: Path, ledger: Path, why: str) -> int:
    """What ``mien evaluate --split test`` does, for each run whose test figure is missing; returns how many."""
    from mien.cli.evaluate import evaluate
    from mien.cli.options import Split

    wanted = {c.path: c for c in cells if c.state == "finished" and not c.test and c.protocol == "official"}
    scored = 0
    for path, cell in wanted.items():
        if cell.kind == "ensemble" or cell.cell.data or not cell.validation:
            continue
        asked = str(cell.model or path)
        target = path / "predictions" / "test.parquet"
        notices.note(f"scoring the test split of {path}")
        evaluate(asked, data, Split.test, predictions=target, ledger=ledger, why=why)
        scored += 1
    return scored


def _write(
    systems: BoardList,
    cells: list[Filled],
    source: Source,
    turns: int,
    targets: tuple[Path, Path | None, Path | None],
    record: Path | None,
) -> None:
    from mien.literature import board_page
    from mien.literature import plot as board_plot
    from mien.runs import processor

    out, html, plot = targets
    points = [
        board_plot.Point(c.cell.run, c.kind, c.milliseconds, c.validation.top1, c.validation.interval, c.recorded)
        for c in {c.path: c for c in reversed(cells)}.values()
        if c.milliseconds is not None and c.validation and not c.mark
    ]
    named = dict(zip(("--record", "-o", "--html", "--plot"), (record, *targets), strict=True))
    options = [word for name, path in named.items() if path for word in (name, str(path))]
    command = shlex.join(["mien", "board", str(source.runs), "--data", source.data, *options])
    name = source.table.info.name if source.table else Path(source.data).stem
    rows = {split: int((source.table.splits == split).sum()) for split in systems.faces} if source.table else {}
    board = board_page.Board(systems, cells, name, processor() if turns else "", command, rows)
    if board.lacks:
        notices.note(f"a part of the data set: {'; '.join(board.lacks)}")
    drawn = board_plot.tradeoff(points, board.known_as("validation")) if points and (plot or html) else None
    shown = plot if drawn else None
    contents = [(out, board_page.markdown(board, shown, out.parent).encode())]
    contents += [(html, board_page.html(board, drawn).encode())] if html else []
    contents += [(plot, drawn)] if plot and drawn else []
    for path, content in contents:
        write(path, content, parents=True)
        print(path)
