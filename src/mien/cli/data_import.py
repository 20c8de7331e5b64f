"""``mien data import``: one table of any data set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import notices
from mien.files import keep_inputs

app = typer.Typer(help="Make one table of a data set.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--output", "-o", help="The table to write (.parquet).")]
Validation = Annotated[float, typer.Option(help="Share of the rows for validation where the source has none, 0-1.")]
Test = Annotated[float, typer.Option(help="Share of the rows for test where the source has none, 0-1.")]
Seed = Annotated[int, typer.Option(help="Seed for dealing the splits.")]
Size = Annotated[int, typer.Option(help="Largest side of a cut-out face, in pixels.")]


class Detector(StrEnum):
    """What finds faces that are to be cut out."""

    yunet = "yunet"
    haar = "haar"
    mediapipe = "mediapipe"
    mtcnn = "mtcnn"


Faces = Annotated[
    Detector | None,
    typer.Option(
        help="Cut the largest face out of each picture, framed as in FER2013; pictures without a face are left out."
    ),
]


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
    _keep_apart(output, source, ferplus)
    from mien.data import fer2013

    with notices.progress("reading FER2013") as progress:
        fer2013.import_fer2013(
            source, output, ferplus_file=ferplus, validation=validation, seed=seed, progress=progress
        )
    summarise(output)


@app.command("folder")
def import_folder(
    path: Annotated[Path, typer.Argument(help="Folder of class folders, or of train/validation/test.")],
    output: Out,
    labels: Annotated[
        str | None,
        typer.Option(help="For numbered folders: label names in order (a,b,c), or a file with one a line."),
    ] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="Regular expression for paths; its one group captures the person.")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="Instead of a pattern: a CSV file with the columns path and group.")
    ] = None,
    about: Annotated[
        Path | None, typer.Option(help="CSV file with the column path and any others, which are kept in the table.")
    ] = None,
    validation: Validation = 0.1,
    test: Annotated[float, typer.Option(help="Share of the rows for test where no folder is a split.")] = 0.1,
    seed: Seed = 0,
    name: Annotated[str | None, typer.Option(help="The data set's name; else the folder's.")] = None,
) -> None:
    """Import any data set of class folders.

    mien data import folder MMAFEDB --name mma -o mma.parquet

    mien data import folder DATASET --labels surprise,fear,disgust,happy,sad,angry,neutral -o table.parquet
    """
    _keep_apart(output, path, labels, groups)
    from mien.data import class_folders, folder
    from mien.errors import DataError

    if groups and about:
        raise DataError("--groups and --about are one list: put the column group into the CSV file of --about")
    said = folder.read_about(groups, grouped=True) if groups else folder.read_about(about) if about else None
    with notices.progress("reading pictures") as progress:
        folder.import_folder(
            path,
            output,
            labels=class_folders.read_labels(labels) if labels else None,
            group_pattern=group_pattern,
            about=said,
            validation=validation,
            test=test,
            seed=seed,
            name=name,
            progress=progress,
        )
    from mien.cli.folders import say_left_out

    say_left_out([path], videos=False)
    summarise(output)


@app.command("parquet")
def import_parquet(
    source: Annotated[Path, typer.Argument(help="Parquet file with a column of encoded pictures.")],
    output: Out,
    image: Annotated[str, typer.Option(help="Column of the pictures: bytes, or a struct of bytes and path.")] = "image",
    label: Annotated[str, typer.Option(help="Column of the labels: numbers or names.")] = "label",
    split: Annotated[
        str | None, typer.Option(help="Column of the splits; else split, and without one they are dealt.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of persons, films or sessions: each stays on one side of a split.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE or COLUMN!=VALUE: read only such rows; repeatable.")
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
    """Import any Parquet file of labelled pictures, as from Hugging Face; its further columns come along.

    mien data import parquet pictures.parquet -o table.parquet

    mien data import parquet pictures.parquet --split set --only set=development --group person -o table.parquet
    """
    _keep_apart(output, source, labels)
    from mien.data import class_folders, parquet

    with notices.progress("reading pictures") as progress:
        parquet.import_parquet(
            source,
            output,
            columns=parquet.Columns(image, label, split, group),
            only=only or (),
            labels=class_folders.read_labels(labels) if labels else None,
            name=name,
            label_set=label_set,
            validation=validation,
            test=test,
            seed=seed,
            progress=progress,
        )
    summarise(output)


@app.command("ckplus")
def import_ckplus(
    source: Annotated[Path, typer.Argument(help="Folder with cohn-kanade-images and Emotion.")],
    output: Out,
    frames: Annotated[int, typer.Option(help="Frames at the end of a sequence that carry its label.")] = 3,
    faces: Faces = None,
    size: Size = 224,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
) -> None:
    """Import CK+: the last frames of each labelled sequence, and the first as neutral; people stay together.

    mien data import ckplus CK+ --faces yunet -o ckplus.parquet
    """
    _keep_apart(output, source)
    from mien.data import ckplus
    from mien.data.cutting import Cut
    from mien.data.listed import Deal

    deal, cut = Deal(validation, test, seed), Cut(faces, size)
    with notices.progress("reading CK+") as progress:
        ckplus.import_ckplus(source, output, frames=frames, deal=deal, cut=cut, progress=progress)
    summarise(output)


@app.command("jaffe")
def import_jaffe(
    source: Annotated[Path, typer.Argument(help="Folder of pictures such as KA.AN1.39.tiff.")],
    output: Out,
    faces: Faces = None,
    size: Size = 224,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
) -> None:
    """Import JAFFE; people stay together.

    mien data import jaffe jaffe --faces yunet -o jaffe.parquet
    """
    _keep_apart(output, source)
    from mien.data import jaffe
    from mien.data.cutting import Cut
    from mien.data.listed import Deal

    deal, cut = Deal(validation, test, seed), Cut(faces, size)
    with notices.progress("reading JAFFE") as progress:
        jaffe.import_jaffe(source, output, deal=deal, cut=cut, progress=progress)
    summarise(output)


@app.command("kdef")
def import_kdef(
    source: Annotated[Path, typer.Argument(help="Folder of pictures such as AF01/AF01ANS.JPG.")],
    output: Out,
    angles: Annotated[str, typer.Option(help="Of FL,HL,S,HR,FR: from full left by straight to full right.")] = "S",
    faces: Faces = None,
    size: Size = 224,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
) -> None:
    """Import KDEF; people stay together, over both sessions.

    mien data import kdef KDEF --faces yunet -o kdef.parquet
    """
    _keep_apart(output, source)
    from mien.data import kdef
    from mien.data.cutting import Cut
    from mien.data.listed import Deal

    deal, cut = Deal(validation, test, seed), Cut(faces, size)
    with notices.progress("reading KDEF") as progress:
        kdef.import_kdef(source, output, angles=angles.split(","), deal=deal, cut=cut, progress=progress)
    summarise(output)


@app.command("rafdb")
def import_rafdb(
    source: Annotated[Path, typer.Argument(help="Folder with EmoLabel and Image, or the one around it.")],
    output: Out,
    original: Annotated[bool, typer.Option("--original", help="Whole pictures instead of the aligned faces.")] = False,
    faces: Faces = None,
    size: Size = 224,
    validation: Validation = 0.1,
    seed: Seed = 0,
) -> None:
    """Import RAF-DB's basic expressions with the authors' test split; validation is a share of train.

    mien data import rafdb RAF-DB/basic -o rafdb.parquet
    """
    _keep_apart(output, source)
    from mien.data import rafdb
    from mien.data.cutting import Cut
    from mien.data.listed import Deal

    deal, cut = Deal(validation, seed=seed), Cut(faces, size)
    with notices.progress("reading RAF-DB") as progress:
        rafdb.import_rafdb(source, output, original=original, deal=deal, cut=cut, progress=progress)
    summarise(output)


@app.command("affectnet")
def import_affectnet(
    source: Annotated[Path, typer.Argument(help="Folder with training.csv, validation.csv, or with train_set.")],
    output: Out,
    size: Size = 224,
    validation: Validation = 0.1,
    seed: Seed = 0,
) -> None:
    """Import AffectNet's manually annotated faces; its validation split is test here, validation a share of train.

    mien data import affectnet AffectNet -o affectnet.parquet
    """
    _keep_apart(output, source)
    from mien.data import affectnet
    from mien.data.listed import Deal

    with notices.progress("reading AffectNet") as progress:
        affectnet.import_affectnet(source, output, deal=Deal(validation, seed=seed), size=size, progress=progress)
    summarise(output)


@app.command("muxspace")
def import_muxspace(
    source: Annotated[Path, typer.Argument(help="Checkout of muxspace/facial_expressions: data/legend.csv, images.")],
    output: Out,
    everyone: Annotated[bool, typer.Option("--all-annotators", help="Also the labels known to be poor.")] = False,
    faces: Annotated[Detector, typer.Option(help="What cuts the largest face out, framed as FER2013's.")] = (
        Detector.yunet
    ),
    size: Size = 96,
    validation: Validation = 0.3,
    test: Test = 0.0,
    seed: Seed = 0,
) -> None:
    """Import press photographs that are not FER2013's; people stay together.

    git clone https://github.com/muxspace/facial_expressions && git -C facial_expressions checkout 5fb9c13a

    mien data import muxspace facial_expressions -o elsewhere.parquet
    """
    _keep_apart(output, source)
    from mien.data import muxspace
    from mien.data.cutting import Cut
    from mien.data.listed import Deal

    deal, cut = Deal(validation, test, seed), Cut(faces, size)
    with notices.progress("reading muxspace") as progress:
        muxspace.import_muxspace(source, output, everyone=everyone, deal=deal, cut=cut, progress=progress)
    summarise(output)


def _keep_apart(output: Path, *sources: Path | str | None) -> None:
    """Refuse to write the table over a file that is read; no reader looks for tables in a folder."""
    read: list[Path] = []
    for source in sources:
        path = Path(source) if source else None
        if path and path.is_dir():
            read += (file for file in path.rglob("*") if file.suffix.lower() != ".parquet")
        elif path:
            read.append(path)
    keep_inputs(read, output)


def summarise(path: Path) -> None:
    """Print what was written."""
    from mien.cli.data_printing import print_description
    from mien.data import describe as description
    from mien.data import table

    found = description.describe(table.read(path))
    print_description(found)
    typer.echo(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
    notices.done(notices.counted(sum(found.rows.values()), "picture"))
