"""``mien ensemble``: average several models, with members and weights chosen on validation."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.options import LedgerFile, Overwrite, Why, check_free, ledger_for
from mien.errors import DataError, require
from mien.files import keep_inputs, write


def ensemble(
    given: Annotated[
        list[str], typer.Argument(metavar="RUN_OR_MODEL...", help="Two or more run folders or models, each once.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="The data table, to score what has no predictions yet.")
    ] = None,
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder for its predictions.")] = Path("ensemble"),
    test: Annotated[bool, typer.Option("--test", help="Also answer the test split, with the same weights.")] = False,
    ledger: LedgerFile = None,
    why: Why = "",
    overwrite: Overwrite = False,
    pack: Annotated[
        Path | None, typer.Option("--pack", help="Write the chosen members into this one model file; needs --data.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the packed model, for its card.")] = "ensemble",
    version: Annotated[str, typer.Option("--version", help="Version of the packed model, for its card.")] = "1",
) -> None:
    """Choose members and weights by the validation loss; write predictions that mien compare takes.

    mien ensemble runs/a runs/b runs/c --data fer2013.parquet -o ensemble

    mien ensemble fast runs/a/small.onnx --data fer2013.parquet --pack both.onnx
    """
    require("torch", "train")
    from mien.evaluate import ensemble as ensembles
    from mien.evaluate import predictions
    from mien.evaluate.metrics import measure
    from mien.report import evidence

    look = ledger_for("test" if test else "validation", ledger, why)
    parts = ("validation", "test") if test else ("validation",)
    written = (out / "ensemble.json", *(out / f"{split}.parquet" for split in parts))
    check_free(*written, overwrite=overwrite, option="-o")
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        raise DataError(f"{', '.join(twice)} is given twice: name each member once, weights are chosen")
    table = evidence.read_table(data)
    keep_inputs([*given, data], pack)
    files = _files(given, pack, table is not None) if pack else {}
    console = Console(highlight=False, markup=False)

    def answers(split: str) -> dict[str, predictions.Predictions]:
        with notices.doing(f"{split}: reading predictions, scoring what is missing"):
            return {name: evidence.entry(name, table, split, look).predictions for name in given}

    validation = answers("validation")
    with notices.doing("choosing members and weights"):
        choices = ensembles.choose(validation)
    for split in parts:
        found = validation if split == "validation" else answers(split)
        combined = ensembles.combine(found, choices)
        measured = [measure(scores) for scores in combined.scores]
        if look and split == "test":  # first: no answer to the test split is kept without its row
            look.record(combined.provenance, combined.scores)
        predictions.write(combined, out / f"{split}.parquet")
        for figures in measured:
            low, high = figures.interval
            console.print(
                f"{split}, {figures.label_set}, n = {figures.n}: top-1 {100 * figures.top1:.2f} %"
                f" [{100 * low:.2f}-{100 * high:.2f}], ECE {figures.ece:.4f}",
                soft_wrap=True,
            )
    for label_set, choice in choices.items():
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in choice.weights.items() if weight)
        console.print(f"{label_set}: {weights}; {choice.calibration}", soft_wrap=True)
    record = {label_set: asdict(choice) for label_set, choice in choices.items()}
    write(out / "ensemble.json", json.dumps(record, indent=2) + "\n")
    print(out)
    if pack and table:
        from mien.export.ensemble_file import package

        with notices.doing("packing"):
            packed = package(files, validation, choices, table, pack, name, version)
        print(packed.path)
    notices.done(f"{counted(len(given), 'model')}")


def _files(given: list[str], pack: Path, has_table: bool) -> dict[str, Path]:
    """Each member's model file; looked for before anything is scored."""
    from mien import models
    from mien.runs import RunFolder

    if not has_table:
        raise DataError("--pack checks the file on validation faces: add --data FILE")
    if not pack.parent.is_dir():
        raise DataError(f"cannot write {pack}: the folder {pack.parent} does not exist")
    files: dict[str, Path] = {}
    for name in given:
        if Path(name).suffix == ".parquet":
            raise DataError(f"{name} holds answers and no network: name its model file to --pack it")
        run = RunFolder(name)
        if run.path.is_dir() and not run.model.exists():
            raise DataError(f"{name} has no model file: mien export {name} --data FILE, or leave it out of --pack")
        files[name] = run.model if run.path.is_dir() else models.find(name)
    return files
