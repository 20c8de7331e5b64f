"""``mien matrix``: models against tables, trained on one, tested on another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.options import LedgerFile, Split, Why, ledger_for
from mien.errors import DataError, require, shown
from mien.files import keep_inputs, write


def matrix(
    given: Annotated[
        list[str], typer.Argument(metavar="MODEL_OR_RUN...", help="Installed models, model files or run folders.")
    ],
    data: Annotated[list[Path], typer.Option("--data", help="A data table; repeatable.")],
    split: Annotated[Split, typer.Option("--split", help="validation or test, of every table.")] = Split.validation,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table to this file, and do not print it.")
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(
            "--answer",
            metavar="OUTPUT",
            help="The output to use for every table, as in probabilities; else the one that fits each table.",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the table as a heat map, PNG.")] = None,
    ledger: LedgerFile = None,
    why: Why = "",
) -> None:
    """Score each model on each table, labels matched by name, whatever data it was trained on.

    A table with FER+'s votes makes two columns: its own labels, and what most voters saw.

    mien matrix default runs/hou-2022 --data fer2013.parquet --data ckplus.parquet -o matrix.md --plot matrix.png
    """
    require("torch", "train")
    from mien.data import table as tables
    from mien.report import matrix as crossings

    if split == Split.train:
        raise DataError("--split train would measure faces that models were trained on: validation or test")
    keep_inputs([*data, *given], out, plot)
    if out and out == plot:
        raise DataError(f"--output and --plot are both {out}: name two files")
    read = [tables.read(path) for path in data]
    names = [table.info.name for table in read]
    if len(set(names)) < len(names):
        names = [f"{table.info.name} ({path.stem})" for table, path in zip(read, data, strict=True)]
    columns = crossings.columns(dict(zip(names, read, strict=True)))
    look = ledger_for(str(split), ledger, why)
    looks = look and look.about("matrix")
    contenders = [crossings.contender(name) for name in given]
    known = list(dict.fromkeys(name for one in contenders for name in one.scorer.card.outputs))
    if answer is not None and answer not in known:
        raise DataError(f"no model here has the output '{shown(answer)}', only {', '.join(known)}")
    with notices.doing("scoring") as tell:
        rows = crossings.cross(contenders, columns, str(split), output=answer, say=tell, ledger=looks)
    text = crossings.markdown(contenders, columns, rows, str(split))
    targets = [(out, text.encode())] if out else []
    targets += [(plot, crossings.plot(contenders, columns, rows))] if plot else []
    if not out:
        print(text)
    for path, content in targets:
        write(path, content, parents=True)
        print(path)
    notices.done(f"{counted(len(contenders), 'model')} on {counted(len(read), 'table')}")
