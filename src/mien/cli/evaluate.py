"""``mien evaluate``: score a model file on a split of a data table."""

from __future__ import annotations

import csv
import datetime
import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from mien.errors import DataError

if TYPE_CHECKING:
    from mien.evaluate.metrics import Figures

LEDGER_COLUMNS = ("date", "model", "graph_sha256", "data_fingerprint", "label_set", "n", "top1", "why")


class Split(StrEnum):
    """The splits that can be scored."""

    train = "train"
    validation = "validation"
    test = "test"


def evaluate(
    model: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    split: Annotated[Split, typer.Option("--split", help="Which faces.")] = Split.validation,
    predictions: Annotated[Path | None, typer.Option("--predictions", help="Where the predictions table goes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Append the test figures to this CSV; needs --why.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why the test split was scored.")] = "",
    record: Annotated[bool, typer.Option("--record", help="Write the figures into the file's card.")] = False,
) -> None:
    """Measure a model file: top-1 with interval, balanced accuracy, macro-F1, per class, calibration error."""
    from mien import models
    from mien.data import table
    from mien.evaluate import metrics
    from mien.evaluate import predictions as tables

    if ledger and (split != Split.test or not why):
        raise DataError("--ledger keeps test figures and their reason: add --split test --why 'REASON'")
    loaded = models.load(model)
    scored = tables.predict(loaded, table.read(data), str(split))
    name = f"{loaded.path.stem}-{scored.provenance['data']}-{split}.parquet"
    target = predictions or Path("predictions") / name
    tables.write(scored, target)
    figures = [metrics.measure(s) for s in scored.scores]
    if record:
        from mien.export.package import record_metrics

        record_metrics(loaded.path, str(split), {f.output: f for f in figures})
    if ledger:
        _append(ledger, scored.provenance, figures, why)
    if as_json:
        print(json.dumps({"split": split, **scored.provenance, "figures": [asdict(f) for f in figures]}, indent=2))
        return
    console = Console()
    for measured in figures:
        _print(console, measured, split)
    console.print(f"predictions: {target}", highlight=False, soft_wrap=True)


def _print(console: Console, figures: Figures, split: str) -> None:
    low, high = figures.interval
    console.print(f"\n[bold]{figures.label_set}[/] ({figures.output}), {split}, n = {figures.n}", highlight=False)
    lines = [
        f"top-1 {_percent(figures.top1)} [95 % interval {_percent(low)}-{_percent(high)}]",
        f"balanced accuracy {_percent(figures.balanced_accuracy)}, macro-F1 {_percent(figures.macro_f1)},"
        f" expected calibration error {figures.ece:.4f}",
        *(f"{name}: top-1 {_percent(top1)}, n = {n}" for name, (n, top1) in figures.also.items()),
    ]
    for line in lines:
        console.print(line, highlight=False)
    grid = Grid("label", "n", "precision", "recall")
    for row in figures.classes:
        grid.add_row(row.label, str(row.n), _percent(row.precision), _percent(row.recall))
    console.print(grid)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _append(ledger: Path, provenance: object, figures: list[Figures], why: str) -> None:
    """One row per output; the ledger shows how often the test split was looked at, and what for."""
    assert isinstance(provenance, dict)
    fresh = not ledger.exists()
    try:
        with ledger.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if fresh:
                writer.writerow(LEDGER_COLUMNS)
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            for f in figures:
                facts = (provenance["model"], provenance["graph_sha256"], provenance["data_fingerprint"])
                writer.writerow([today, *facts, f.label_set, f.n, f"{100 * f.top1:.2f}", why])
    except OSError as error:
        raise DataError(f"cannot write the ledger {ledger}: {error.strerror}") from error
