"""``mien evaluate``: score a model file on a split of a data table."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.options import Bins, By, LedgerFile, Overwrite, Persons, Split, Why, check_free, ledger_for
from mien.errors import DataError, require, shown
from mien.files import keep_inputs, write

if TYPE_CHECKING:
    from mien.classical.fitted import Fitted
    from mien.data.table import Table
    from mien.evaluate.metrics import Figures
    from mien.models import Model

#: Besides ``official``, the protocols that a model file can be measured by, and the split each is about.
_PROTOCOLS = (("deduplicated", "test"), ("paper", "validation"))


def evaluate(
    model: Annotated[str, typer.Argument(help="An installed model's name, a model file, or a run folder.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    split: Annotated[Split, typer.Option("--split", help="Which faces.")] = Split.validation,
    protocol: Annotated[
        str, typer.Option("--protocol", help="official, deduplicated (test), or paper (validation).")
    ] = "official",
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Write the predictions table to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    ledger: LedgerFile = None,
    why: Why = "",
    overwrite: Overwrite = False,
    record: Annotated[bool, typer.Option("--record", help="Write the figures into the file's card.")] = False,
    by: By = None,
    bins: Bins = 3,
    persons: Persons = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write accuracy against group size as PNG; needs --by.")
    ] = None,
) -> None:
    """Measure a model file or a run: top-1 with interval, balanced accuracy, macro-F1, per class, calibration error.

    mien evaluate default --data faces.parquet --by camera --by brightness --persons person
    """
    from mien import models
    from mien.data import protocol as protocols
    from mien.data import table
    from mien.evaluate import groups, metrics
    from mien.evaluate import predictions as tables
    from mien.report import grouping

    mark = protocols.mark(protocol)
    _check(protocol, split, record)
    if (plot or persons) and not by:
        raise DataError("--plot and --persons are about groups: add --by COLUMN")
    # The paper's validation faces are test faces too.
    look = ledger_for("test" if protocol == "paper" else str(split), ledger, why)
    if look and protocol != "official":
        look = look.about(protocol)
    loaded = _of_run(Path(model)) if Path(model).is_dir() else models.load(model)
    if record and not isinstance(loaded, models.Model):
        raise DataError(f"--record writes into the card of a model file, and {model} is evaluate-only")
    source = table.read(data)
    applied = protocols.apply(source, protocol)
    divided = grouping.divide(applied.split(str(split)), by or [], bins, persons)
    kind = "" if protocol == "official" else f"-{protocol}"
    stem = Path(model).name if Path(model).is_dir() else loaded.path.stem
    # With the graph's fingerprint: another model of the same file name has another table.
    name = f"{stem}-{loaded.card.graph_sha256[:8]}-{applied.info.name}-{split}{kind}.parquet"
    target = predictions or Path("predictions") / name
    keep_inputs([model, data], target, plot)
    if not predictions and not _is_of(target, applied):
        check_free(target, overwrite=overwrite, option="--predictions")
    about = {"source_fingerprint": source.fingerprint, "protocol": protocol, "mark": mark}
    with notices.progress("scoring faces") as progress:
        scored = tables.predict(loaded, applied, str(split), ledger=look, about=about, progress=progress)
    if record and not {s.label_set for s in scored.scores} <= {o.label_set for o in loaded.card.outputs.values()}:
        raise DataError("--record writes what the card calls the split's figures, not those on other labels")
    figures = [metrics.measure(s) for s in scored.scores]
    compared = [groups.compare(s, one) for s in scored.scores for one in divided]
    tables.write(scored, target)
    if plot:
        from mien.report import plots

        write(plot, plots.groups(compared), parents=True)
    if record:
        from mien.export.revise import record_metrics

        record_metrics(loaded.path, scored)
    if as_json:
        document = {"split": split, **scored.provenance, "figures": [asdict(f) for f in figures]}
        print(json.dumps(document | ({"groups": [asdict(c) for c in compared]} if by else {}), indent=2))
        notices.done(counted(int((applied.splits == str(split)).sum()), "face"), target, plot)
        return
    console = Console(markup=False)
    own = split == "validation" and loaded.card.data.get("fingerprint") == source.fingerprint
    in_sample = " (in sample: the calibration was fitted on these faces)" if own else ""
    for measured in figures:
        _print(console, measured, split if protocol == "official" else f"{split}, {protocol}", mark, in_sample)
    for comparison in compared:
        grouping.show(console, comparison)
    if applied is not source:
        console.print(f"note: {applied.info.notes[-1]}", highlight=False, soft_wrap=True)
    console.print(f"predictions: {target}", highlight=False, soft_wrap=True)
    if plot:
        console.print(f"plot: {plot}", highlight=False, soft_wrap=True)
    notices.done(counted(int((applied.splits == str(split)).sum()), "face"))


def _of_run(folder: Path) -> Model | Fitted:
    """What answers for a run: its model file, or the pipeline of an evaluate-only one."""
    require("torch", "train")
    from mien.classical import fitted
    from mien.runs import RunFolder

    return fitted.load(RunFolder(folder))


def _is_of(file: Path, table: Table) -> bool:
    """Whether a predictions table is there and holds what would be written: answers on the same data."""
    from mien.evaluate.predictions import read

    try:
        return read(file).provenance.get("data_fingerprint") == table.fingerprint
    except DataError:
        return False


def _check(protocol: str, split: Split, record: bool) -> None:
    """Refuse options that would put a figure where it does not belong."""
    if protocol != "official" and (protocol, split) not in _PROTOCOLS:
        wanted = ", ".join(f"--protocol {name} --split {of}" for name, of in _PROTOCOLS)
        raise DataError(
            f"the protocol '{shown(protocol)}' makes no {split} faces that a model file could be measured on; besides"
            f" official there is {wanted}"
        )
    if record and protocol != "official":
        raise DataError("--record writes what the card calls the split's figures: leave --protocol out")


def _print(console: Console, figures: Figures, split: str, mark: str, in_sample: str) -> None:
    import numpy as np

    from mien.data import scarce

    low, high = figures.interval
    title = ("\n", (figures.label_set, "bold"), f" ({figures.output}), {split}, n = {figures.n}")
    console.print(Text.assemble(*title), highlight=False)
    lines = [
        *([mark] if mark else []),
        f"top-1 {_percent(figures.top1)} [95 % interval {_percent(low)}-{_percent(high)}]",
        f"balanced accuracy {_percent(figures.balanced_accuracy)}, macro-F1 {_percent(figures.macro_f1)},"
        f" expected calibration error {figures.ece:.4f}{in_sample}",
        *(f"{name}: top-1 {_percent(top1)}, n = {n}" for name, (n, top1) in figures.also.items()),
    ]
    for line in lines:
        console.print(line, highlight=False)
    counts = [row.n for row in figures.classes]
    few = scarce.warning(np.repeat(np.arange(len(counts)), counts), [row.label for row in figures.classes])
    if few:
        console.print(f"warning: {few}", highlight=False)
    grid = Grid("label", "n", "precision", "recall")
    for row in figures.classes:
        grid.add_row(row.label, str(row.n), _percent(row.precision), _percent(row.recall))
    console.print(grid)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
