"""``mien matrix``: models against tables, trained on one, tested on another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mien.cli.evaluate import Split, append_to_ledger
from mien.errors import DataError, require
from mien.files import write

if TYPE_CHECKING:
    from mien.data.table import Table
    from mien.report.matrix import Crossing


def matrix(
    given: Annotated[
        list[str], typer.Argument(metavar="MODEL_OR_RUN...", help="Installed models, model files or run folders.")
    ],
    data: Annotated[list[Path], typer.Option("--data", help="A data table; repeated, one column each.")],
    split: Annotated[Split, typer.Option("--split", help="validation or test, of every table.")] = Split.validation,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it there instead of printing it.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write it as a heat map, PNG.")] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="CSV that keeps looks at official test splits; needs --why.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why they were scored.")] = "",
) -> None:
    """Score each model on each table, labels matched by name, whatever data it was trained on.

    mien matrix default runs/hou-2022 --data fer2013.parquet --data ckplus.parquet -o matrix.md --plot matrix.png
    """
    require("torch", "train")
    from mien.data import table as tables
    from mien.report import matrix as crossings

    if split == Split.train:
        raise DataError("--split train would measure faces that models were trained on: validation or test")
    read = [tables.read(path) for path in data]
    names = [table.info.name for table in read]
    if len(set(names)) < len(names):
        names = [f"{table.info.name} ({path.stem})" for table, path in zip(read, data, strict=True)]
    official = [table for table in read if table.info.official and split == Split.test]
    if official and not (ledger and why):
        told = ", ".join(table.info.name for table in official)
        raise DataError(f"the test split of {told} is the published one: add --ledger FILE --why 'REASON'")
    contenders = [crossings.contender(name) for name in given]
    with Console(stderr=True).status("scoring") as status:
        rows = crossings.cross(contenders, read, str(split), status.update)
    if official and ledger:
        _record(ledger, why, read, rows)
    text = crossings.markdown(contenders, names, rows, str(split))
    targets = [(out, text.encode())] if out else []
    targets += [(plot, crossings.plot(contenders, names, rows))] if plot else []
    if not out:
        print(text)
    for path, content in targets:
        write(path, content, parents=True)
        print(path)


def _record(ledger: Path, why: str, read: Sequence[Table], rows: Sequence[Sequence[Crossing]]) -> None:
    """A line for each figure on a published test split."""
    for row in rows:
        for table, crossing in zip(read, row, strict=True):
            if table.info.official and crossing.figures and crossing.answers:
                append_to_ledger(ledger, dict(crossing.answers.provenance), [crossing.figures], f"matrix: {why}")
