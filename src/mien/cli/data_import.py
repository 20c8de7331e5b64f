"""``mien data import``: one table of any data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make one table of a data set.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--output", "-o", help="The table to write (.parquet).")]
Validation = Annotated[float, typer.Option(help="Share of the rows for validation where the source has none, 0-1.")]
Seed = Annotated[int, typer.Option(help="Seed of that choice.")]


@app.command("fer2013")
def import_fer2013(
    source: Annotated[Path, typer.Argument(help="fer2013.csv, a Parquet copy, or class folders.")],
    output: Out,
    ferplus: Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, for the crowd's votes.")] = None,
    validation: Validation = 0.1,
    seed: Seed = 0,
) -> None:
    """Import FER2013; its layout is detected.

    mien data import fer2013 fer2013.csv --ferplus fer2013new.csv -o fer2013.parquet
    """
    from mien.cli.data_printing import progress_bar
    from mien.data import fer2013

    with progress_bar("reading FER2013") as progress:
        fer2013.import_fer2013(
            source, output, ferplus_file=ferplus, validation=validation, seed=seed, progress=progress
        )
    _summarise(output)


@app.command("folder")
def import_folder(
    path: Annotated[Path, typer.Argument(help="Folder of class folders, or of train/validation/test.")],
    output: Out,
    labels: Annotated[
        str | None,
        typer.Option(help="Names in order (a,b,c) or a file with one a line; for numbered folders."),
    ] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="Regular expression; its one group is the person in a picture's path.")
    ] = None,
    groups: Annotated[Path | None, typer.Option(help="CSV file with the columns path,group instead.")] = None,
    validation: Validation = 0.1,
    test: Annotated[float, typer.Option(help="Share of the rows for test where no folder is a split.")] = 0.1,
    seed: Seed = 0,
    name: Annotated[str | None, typer.Option(help="The data set's name; else the folder's.")] = None,
) -> None:
    """Import any data set of class folders.

    mien data import folder RAF-DB --labels surprise,fear,disgust,happy,sad,angry,neutral -o raf-db.parquet
    """
    from mien.cli.data_printing import progress_bar
    from mien.data import class_folders, folder

    with progress_bar("reading pictures") as progress:
        folder.import_folder(
            path,
            output,
            labels=class_folders.read_labels(labels) if labels else None,
            group_pattern=group_pattern,
            groups=folder.read_groups(groups) if groups else None,
            validation=validation,
            test=test,
            seed=seed,
            name=name,
            progress=progress,
        )
    _summarise(output)


@app.command("parquet")
def import_parquet(
    source: Annotated[Path, typer.Argument(help="Parquet file with a column of encoded pictures.")],
    output: Out,
    image: Annotated[str, typer.Option(help="Column of the pictures: bytes, or a struct of bytes and path.")] = "image",
    label: Annotated[str, typer.Option(help="Column of the labels: numbers or names.")] = "label",
    split: Annotated[
        str | None, typer.Option(help="Column of the splits; else split, and without one they are dealt.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Names in order (a,b,c) or a file with one a line; else those that the file carries."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The data set's name; else the file's.")] = None,
    label_set: Annotated[str | None, typer.Option(help="Its label set's name; else the data set's.")] = None,
    validation: Validation = 0.1,
    test: Annotated[float, typer.Option(help="Share of the rows for test where the file has no splits.")] = 0.1,
    seed: Seed = 0,
) -> None:
    """Import any Parquet file of labelled pictures, as from Hugging Face.

    mien data import parquet pictures.parquet -o table.parquet
    """
    from mien.cli.data_printing import progress_bar
    from mien.data import class_folders, parquet

    with progress_bar("reading pictures") as progress:
        parquet.import_parquet(
            source,
            output,
            columns=parquet.Columns(image, label, split),
            labels=class_folders.read_labels(labels) if labels else None,
            name=name,
            label_set=label_set,
            validation=validation,
            test=test,
            seed=seed,
            progress=progress,
        )
    _summarise(output)


def _summarise(path: Path) -> None:
    """What an import wrote."""
    from mien.cli.data_printing import print_description
    from mien.data import describe as description
    from mien.data import table

    print_description(description.describe(table.read(path)))
    typer.echo(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
