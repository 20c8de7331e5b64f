"""``mien export``: a finished run into one model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.errors import require


def export(
    run: Annotated[Path, typer.Argument(help="The run folder of a finished training.")],
    data: Annotated[Path, typer.Option("--data", help="The table that it was trained on.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The model file. [default: model.onnx in the run folder]"),
    ] = None,
    version: Annotated[str, typer.Option("--version", help="Of the model, for its card.")] = "1",
    licence: Annotated[str, typer.Option("--licence", help="Of the weights, an SPDX name.")] = "Apache-2.0",
    data_terms: Annotated[
        str | None, typer.Option("--data-terms", help="What the data's terms mean for users of the weights.")
    ] = None,
) -> None:
    """Pack the best weights of a run into one .onnx file, with temperatures fitted on validation."""
    require("torch", "train")
    from mien.data import table
    from mien.export import package
    from mien.train.folder import RunFolder

    folder = RunFolder(run)
    terms = package.Terms(version, licence, data_terms)
    package.package(folder, table.read(data), out or folder.model, terms)
    print(out or folder.model)
