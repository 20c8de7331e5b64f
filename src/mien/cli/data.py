"""``mien data``: import, describe, audit, clean and pool data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import data_import, notices
from mien.cli.notices import counted
from mien.files import keep_inputs

app = typer.Typer(help="Import, describe, audit, clean and pool data sets.", no_args_is_help=True)
app.add_typer(data_import.app, name="import")

TableFile = Annotated[Path, typer.Argument(help="A table that mien data import wrote.")]
Folder = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write pictures to.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command("describe")
def describe(file: TableFile, output: Folder = None, as_json: AsJson = False) -> None:
    """Count the pictures per split and class; with -o also draw the distribution and faces of each class."""
    from mien.cli.data_printing import print_description
    from mien.data import describe as description
    from mien.data import table

    data = table.read(file)
    found = description.describe(data)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        print_description(found)
    if output is not None:
        from mien.data import sheets

        with notices.doing("drawing"):
            written = [
                sheets.draw_distribution(found, output / "distribution.png"),
                sheets.draw_samples(data, output / "samples.png"),
            ]
        notices.done(counted(len(data), "picture"), *written)


@app.command("audit")
def audit(file: TableFile, output: Folder = None, as_json: AsJson = False) -> None:
    """Find copies, conflicting labels, blank pictures and non-faces; with -o also write JSON and a sheet."""
    from mien.cli.data_printing import print_audit
    from mien.data import audit as auditing
    from mien.data import table

    data = table.read(file)
    with notices.progress("comparing pictures") as progress:
        found = auditing.audit(data, progress)
    text = json.dumps(found.to_dict(), indent=2)
    if as_json:
        typer.echo(text)
    else:
        print_audit(found)
    written = []
    if output is not None:
        from mien import files
        from mien.data import sheets

        written = [sheets.draw_findings(data, found, output / "findings.png"), output / "audit.json"]
        files.write(output / "audit.json", text + "\n")
    notices.done(counted(len(data), "picture"), *written)


@app.command("clean")
def clean(
    file: TableFile,
    output: data_import.Out,
    step: Annotated[
        list[str] | None,
        typer.Option(
            "--step",
            help="faces, copies, errors or votes; repeatable. [default: the first two, errors with --fold]",
        ),
    ] = None,
    fold: Annotated[
        list[Path] | None,
        typer.Option("--fold", help="For errors: the run folder of a fold (protocol kfold); repeatable."),
    ] = None,
    blend: Annotated[float, typer.Option(help="For votes: the weight of the crowd's votes in the target, 0-1.")] = 0.5,
) -> None:
    """Write a table with cleaner train rows and a reason for each change; rows left out go to a CSV file beside it.

    mien data clean fer2013.parquet -o clean.parquet --step faces --step copies
    """
    from mien.data import clean as cleaning
    from mien.data import table

    keep_inputs([file], output, cleaning.left_out_file(output))
    data = table.read(file)
    outside = None
    if fold:
        from mien.errors import require

        require("torch", "train")
        from mien.report.evidence import out_of_fold

        outside = out_of_fold(fold, data)
    steps = tuple(step) if step else ("faces", "copies", *(["errors"] if fold else []))
    with notices.progress("looking at pictures") as progress:
        cleaned = cleaning.clean(data, steps, outside=outside, blend=blend, progress=progress)
    lost = cleaned.write(output)
    for name, count in cleaned.changed.items():
        typer.echo(f"{name}: {count:,} train rows changed or left out")
    typer.echo(f"{len(cleaned.table):,} of {len(data):,} rows kept, fingerprint {cleaned.table.fingerprint}")
    notices.done(counted(len(data), "picture"), output, lost)


@app.command("pool")
def pool(
    files: Annotated[list[Path], typer.Argument(help="Tables that mien data import wrote.")],
    output: data_import.Out,
    labels: Annotated[
        str | None,
        typer.Option(help="Labels in order (a,b,c) or a file with one a line. [default: the basic seven or eight]"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the pooled table; else the sources' names.")] = None,
) -> None:
    """Make one table of several: labels matched by name, splits and people kept, copies of held-out pictures left out.

    mien data pool fer2013.parquet ckplus.parquet jaffe.parquet -o pooled.parquet
    """
    from mien.data import class_folders, table
    from mien.data import pool as pooling

    keep_inputs([*files, labels], output)
    tables = [table.read(file) for file in files]
    with notices.progress("writing pictures") as progress:
        pooling.pool(
            tables,
            output,
            labels=class_folders.read_labels(labels) if labels else None,
            name=name,
            progress=progress,
        )
    data_import.summarise(output)
