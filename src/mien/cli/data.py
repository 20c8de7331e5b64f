"""``mien data``: import, describe and audit data sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mien.data.audit import Audit
    from mien.data.describe import Description

app = typer.Typer(help="Import, describe and audit data sets.", no_args_is_help=True)
imports = typer.Typer(help="Make one table of a data set.", no_args_is_help=True)
app.add_typer(imports, name="import")

Out = Annotated[Path, typer.Option("--output", "-o", help="The table to write (.parquet).")]
TableFile = Annotated[Path, typer.Argument(help="A table that mien data import wrote.")]
Folder = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write pictures to.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Validation = Annotated[float, typer.Option(help="Share of the rows for validation where the source has none, 0-1.")]
Seed = Annotated[int, typer.Option(help="Seed of that choice.")]


@imports.command("fer2013")
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
    from mien.data import fer2013

    with _progress("reading FER2013") as progress:
        fer2013.import_fer2013(
            source, output, ferplus_file=ferplus, validation=validation, seed=seed, progress=progress
        )
    _summarise(output)


@imports.command("folder")
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
    from mien.data import class_folders, folder

    with _progress("reading pictures") as progress:
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


@imports.command("parquet")
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
    from mien.data import class_folders, parquet

    with _progress("reading pictures") as progress:
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


@app.command("describe")
def describe(file: TableFile, output: Folder = None, as_json: AsJson = False) -> None:
    """Count the pictures per split and class; with -o also draw the distribution and faces of each class."""
    from mien.data import describe as description
    from mien.data import table

    data = table.read(file)
    found = description.describe(data)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _print_description(found)
    if output is not None:
        from mien.data import sheets

        written = [
            sheets.draw_distribution(found, output / "distribution.png"),
            sheets.draw_samples(data, output / "samples.png"),
        ]
        _say_written(written)


@app.command("audit")
def audit(file: TableFile, output: Folder = None, as_json: AsJson = False) -> None:
    """Find copies, conflicting labels, blank pictures and non-faces; with -o also write JSON and a sheet."""
    from mien.data import audit as auditing
    from mien.data import table

    data = table.read(file)
    with _progress("comparing pictures") as progress:
        found = auditing.audit(data, progress)
    text = json.dumps(found.to_dict(), indent=2)
    if as_json:
        typer.echo(text)
    else:
        _print_audit(found)
    if output is not None:
        from mien.data import sheets

        sheet = sheets.draw_findings(data, found, output / "findings.png")
        (output / "audit.json").write_text(text + "\n", encoding="utf-8")
        _say_written([sheet, output / "audit.json"])


@contextmanager
def _progress(task: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, gone when the work is done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        number = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(number, completed=done, total=total)


def _say_written(paths: list[Path]) -> None:
    for path in paths:
        typer.echo(f"wrote {path}", err=True)


def _summarise(path: Path) -> None:
    """What an import wrote."""
    from mien.data import describe as description
    from mien.data import table

    _print_description(description.describe(table.read(path)))
    typer.echo(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")


def _print_description(found: Description) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    for label_set, splits in found.counts.items():
        grid = Table(title=f"{found.name}: {label_set} labels", title_justify="left")
        grid.add_column("")
        for split in (*splits, "all"):
            grid.add_column(split, justify="right")
        for label in next(iter(splits.values())):
            numbers = [counts[label] for counts in splits.values()]
            grid.add_row(label, *(f"{number:,}" for number in (*numbers, sum(numbers))))
        missing = list(found.unlabelled[label_set].values())
        if any(missing):
            grid.add_row("(none)", *(f"{number:,}" for number in (*missing, sum(missing))))
        grid.add_section()
        rows = list(found.rows.values())
        grid.add_row("all", *(f"{number:,}" for number in (*rows, sum(rows))))
        console.print(grid)
    for note in (*found.notes, *found.remarks):
        console.print(f"note: {note}", soft_wrap=True)
    official = "official splits" if found.official else "not the official splits"
    console.print(f"{found.source.get('file', '')}: {official}, fingerprint {found.fingerprint}", soft_wrap=True)


def _print_audit(found: Audit) -> None:
    from rich.console import Console
    from rich.table import Table

    from mien.data.audit import NEAR, NOT_A_FACE

    console = Console(highlight=False, markup=False)
    total = sum(found.rows.values())
    console.print(
        f"{found.name}: {total:,} pictures, {found.unique:,} different ones; {found.redundant:,} redundant"
        f" copies in {len(found.groups):,} groups, {len(found.conflicting):,} of them with conflicting labels",
        soft_wrap=True,
    )
    for title, copies in (("identical copies", found.exact), (f"near copies (cosine >= {NEAR})", found.near)):
        grid = Table(title=f"rows with {title}, in brackets with another label", title_justify="left")
        grid.add_column("rows of", no_wrap=True)
        for split in next(iter(copies.between.values())):
            grid.add_column("another split" if split == "elsewhere" else f"in {split}", justify="right")
        grid.add_column("share", justify="right")
        for split, counts in copies.between.items():
            cells = [f"{n:,} ({copies.relabelled[split][other]:,})" for other, n in counts.items()]
            grid.add_row(f"{split}, {found.rows[split]:,}", *cells, f"{copies.share[split]:.1%}")
        console.print(grid)
    console.print(f"blank pictures: {len(found.blank)}, {found.constant} of them of one grey throughout")
    if found.not_a_face is not None:
        console.print(f"{NOT_A_FACE} or more votes for not a face: {len(found.not_a_face)}")
    if found.ferplus:
        grid = Table(title="labels that agree with the FER+ majority", title_justify="left")
        grid.add_column("")
        for split, agreement in found.ferplus.items():
            grid.add_column(f"{split}\nn = {agreement.n:,}", justify="right")
        agreements = list(found.ferplus.values())
        for label in agreements[0].per_label:
            grid.add_row(label, *(_percent(agreement.per_label[label]) for agreement in agreements))
        grid.add_section()
        grid.add_row("all", *(_percent(agreement.agreement) for agreement in agreements))
        most = [f"{_percent(agreement.agreement_all)} of {agreement.n_all:,}" for agreement in agreements]
        grid.add_row("most votes", *most)
        console.print(grid)


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"
