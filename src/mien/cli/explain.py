"""``mien explain``: which regions of a face drive a prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import notices
from mien.cli.options import LedgerFile, Overwrite, Split, Why, check_free, ledger_for
from mien.errors import DataError, PictureError, shown
from mien.files import keep_inputs, write

if TYPE_CHECKING:
    from mien.evaluate.ledger import Ledger
    from mien.evaluate.predictions import Predictions, Scores

_PICTURE, _TABLE = "A picture", "A data table"


def explain(
    model: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")],
    picture: Annotated[str | None, typer.Argument(help="The picture with the faces.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The PNG, or with --data the folder, to write. [default: explained]"),
    ] = None,
    face: Annotated[
        int | None,
        typer.Option("--face", min=1, help="Only this face, counted from the left.", rich_help_panel=_PICTURE),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Explain this expression, not the model's answer.", rich_help_panel=_PICTURE),
    ] = None,
    detector: Annotated[
        str,
        typer.Option(
            "--detector", help="As in mien predict; none: the whole picture is one face.", rich_help_panel=_PICTURE
        ),
    ] = "auto",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A data table; draws the mean map of each label.", rich_help_panel=_TABLE),
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which of its faces.", rich_help_panel=_TABLE)] = (
        Split.validation
    ),
    faces: Annotated[
        int, typer.Option("--faces", min=1, help="How many faces to use, balanced over labels.", rich_help_panel=_TABLE)
    ] = 210,
    seed: Annotated[int, typer.Option("--seed", help="Seed for choosing the faces.", rich_help_panel=_TABLE)] = 0,
    patch: Annotated[float, typer.Option("--patch", help="Side of the hiding square, as a share of the face's.")] = 0.2,
    head: Annotated[str | None, typer.Option("--head", help="The output to use; else the first.")] = None,
    ledger: LedgerFile = None,
    why: Why = "",
    overwrite: Overwrite = False,
) -> None:
    """Hide each region of a face in turn and show how far the odds of an expression fall.

    mien explain default photo.jpg -o explained.png

    mien explain default --data fer2013.parquet --split validation -o regions
    """
    if (picture is None) == (data is None):
        raise typer.BadParameter("give a picture, or a data table with --data")
    if data and (face or label):
        raise typer.BadParameter("--face and --label are about a picture; with --data each label has its map")
    if not 0 < patch < 1:
        raise typer.BadParameter("--patch is a share of the face's side, above 0 and below 1")
    if picture is not None:
        target = out or Path("explained.png")
        if out is None:
            check_free(target, overwrite=overwrite, option="-o")
        keep_inputs([model, picture], target)
        with notices.doing("hiding each place of a face"):
            drawn = _picture(model, picture, face, label, detector, head, patch)
        write(target, drawn, parents=True)
        print(target)
    elif data is not None:
        look = ledger_for(str(split), ledger, why)
        folder = out or Path("explained")
        keep_inputs([model, data], folder / "occlusion.png", folder / "occlusion.json")
        check_free(folder / "occlusion.png", folder / "occlusion.json", overwrite=overwrite, option="-o")
        _table(model, data, split, folder, faces, seed, head, patch, look and look.about("explain"))
    notices.done("the maps")


def _picture(
    model: str, source: str, face: int | None, label: str | None, detector: str, output: str | None, patch: float
) -> bytes:
    """The drawing of a picture's faces, as PNG; prints what the model says of each."""
    from mien.explain import occlusion, occlusion_plots
    from mien.recognizer import Recognizer
    from mien.sources.images import read

    recognizer = Recognizer(model, detector)
    explained = occlusion.explain(recognizer, read(source), face=face, label=label, output=output, patch=patch)
    if not explained:
        raise PictureError(f"no face was found in {source}; --detector none takes the whole picture as one")
    for number, one in enumerate(explained, face or 1):
        print(
            f"face {number}: {one.label} {100 * one.probabilities[one.label]:.1f} %; hiding one place divides its odds"
            f" by up to {2 ** max(float(one.falls.max()), 0.0):.2g}"
        )
    return occlusion_plots.draw(explained, f"{recognizer.model.card.name} on {Path(source).name}", first=face or 1)


def _table(
    model: str,
    data: Path,
    split: Split,
    folder: Path,
    faces: int,
    seed: int,
    output: str | None,
    patch: float,
    ledger: Ledger | None,
) -> None:
    """Write the mean maps of a split's labels, drawn and as numbers."""
    from mien import models
    from mien.data import table as tables
    from mien.evaluate.predictions import predict
    from mien.explain import occlusion, occlusion_plots

    loaded, table = models.load(model), tables.read(data)
    with notices.doing("scoring the split") as tell:
        scores = _chosen(predict(loaded, table, str(split), ledger=ledger), table.info.label_set, output)
        part = table.split(str(split))
        maps = occlusion.average(loaded, part, scores, faces=faces, seed=seed, patch=patch, say=tell)
    title = f"{loaded.card.name} on {table.info.name}, {split}: what hiding takes from each label"
    about = {
        "model": f"{loaded.card.name} {loaded.card.version}",
        "graph_sha256": loaded.card.graph_sha256,
        "data": table.info.name,
        "data_fingerprint": table.fingerprint,
        "split": str(split),
        "output": scores.output,
        "seed": seed,
        "patch": patch,
        "labels": [one.to_dict() for one in maps],
    }
    write(folder / "occlusion.png", occlusion_plots.draw_means(maps, title), parents=True)
    write(folder / "occlusion.json", json.dumps(about, indent=1).encode() + b"\n", parents=True)
    for one in maps:
        most = 2 ** max(float(one.falls.max()), 0.0)
        print(f"{one.label}: n = {one.n}, hiding one place divides its odds by up to {most:.2g} on average")
    print(folder / "occlusion.png")
    print(folder / "occlusion.json")


def _chosen(predicted: Predictions, own: str, output: str | None) -> Scores:
    """The output that was asked for; else the one on the data's own label set."""
    found = [s for s in predicted.scores if (s.label_set == own if output is None else s.output == output)]
    if found or output is None:
        return (found or list(predicted.scores))[0]
    scored = ", ".join(s.output for s in predicted.scores)
    raise DataError(f"no output '{shown(output)}' of the model fits the data, only {scored}")
