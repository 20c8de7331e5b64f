"""``mien sheet``: faces with true label, predicted label and confidence, right and wrong marked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.options import LedgerFile, Overwrite, Split, Why, check_free, ledger_for
from mien.errors import DataError, shown
from mien.files import keep_inputs, scratch, write

if TYPE_CHECKING:
    from mien.data.table import Table
    from mien.evaluate.predictions import Predictions, Scores


def sheet(
    model: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")],
    data: Annotated[
        Path, typer.Option("--data", help="The data table, from mien data import, or a folder of classes.")
    ],
    split: Annotated[Split, typer.Option("--split", help="Which faces.")] = Split.validation,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="The PNG to write. [default: sheet.png]")] = None,
    faces: Annotated[
        int, typer.Option("--faces", min=1, max=400, help="How many faces to show, balanced over labels.")
    ] = 24,
    seed: Annotated[int, typer.Option("--seed", help="Seed for choosing the faces.")] = 0,
    head: Annotated[
        str | None, typer.Option("--head", help="The output to use; else the one that fits the labels.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="Names of numbered class folders in order (a,b,c).")
    ] = None,
    ledger: LedgerFile = None,
    why: Why = "",
    overwrite: Overwrite = False,
) -> None:
    """Show what a model says of faces it was not trained on, and print its top-1 on the whole split.

    mien sheet default --data mma.parquet -o sheet.png

    mien sheet default --data pictures -o sheet.png   # pictures/happy/1.jpg, pictures/sad/2.jpg, ...
    """
    from mien import models
    from mien.evaluate import sampling
    from mien.evaluate.metrics import measure
    from mien.evaluate.predictions import predict
    from mien.report import sheet as sheets

    look = ledger_for(str(split), ledger, why)
    if out is None:
        out = Path("sheet.png")
        check_free(out, overwrite=overwrite, option="-o")
    keep_inputs([model, data], out)
    loaded = models.load(model)
    with _opened(data, labels) as read:
        with notices.progress("scoring faces") as progress:
            predicted = predict(loaded, read, str(split), ledger=look and look.about("sheet"), progress=progress)
        scores = _chosen(predicted, read.info.label_set, head)
        figures = measure(scores)
        chosen = sampling.choose(scores.truth, faces, seed)
        pixels = read.split(str(split)).take(chosen).pictures(max(loaded.card.width, 96))
    title = f"{loaded.card.name} on {read.info.name}, {split}: {100 * figures.top1:.2f} % right of {figures.n:,}"
    picture = sheets.draw(sheets.mark(scores, chosen, pixels), title)
    write(out, picture, parents=True)
    low, high = figures.interval
    print(
        f"{loaded.card.name} ({scores.output}) on {read.info.name}, {split}, n = {figures.n}:"
        f" top-1 {100 * figures.top1:.2f} % [95 % interval {100 * low:.2f}-{100 * high:.2f} %]"
    )
    print(out)
    notices.done(counted(figures.n, "face"))


@contextmanager
def _opened(data: Path, labels: str | None) -> Generator[Table, None, None]:
    """The table of ``--data``, or one made of its class folders; a folder without splits is validation as a whole."""
    from mien.data import class_folders, folder
    from mien.data import table as tables

    if not data.is_dir():
        if labels:
            raise DataError("--labels names the classes of a folder: leave it out with a table")
        yield tables.read(data)
        return
    with scratch() as place:
        file, words = place / "table.parquet", class_folders.read_labels(labels) if labels else None
        folder.import_folder(data, file, labels=words, validation=0, test=0)
        made = tables.read(file)
        whole = set(made.splits.tolist()) == {"train"}
        import numpy as np

        yield made.with_splits(np.full(len(made), "validation"), made.info) if whole else made


def _chosen(predicted: Predictions, own: str, output: str | None) -> Scores:
    """The output that was asked for; else the one on the data's own label set."""
    if output is not None:
        found = [s for s in predicted.scores if s.output == output]
        if not found:
            scored = ", ".join(s.output for s in predicted.scores)
            raise DataError(f"no output '{shown(output)}' of the model fits the data, only {scored}")
        return found[0]
    return next((s for s in predicted.scores if s.label_set == own), predicted.scores[0])
