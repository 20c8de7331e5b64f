"""``mien export``: a finished run into one model file, or a model file into another format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli import export_formats, notices
from mien.cli.export_formats import FormatName
from mien.cli.options import Overwrite, check_free
from mien.errors import ExportError, require
from mien.files import keep_inputs


class Look(StrEnum):
    """The test-time views that a file can have inside."""

    none = "none"
    flip = "flip"
    ten_crop = "ten-crop"


class Precision(StrEnum):
    """What a file computes or stores in."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def export(
    run: Annotated[
        Path,
        typer.Argument(help="The run folder of a finished training, or a model: a file, or an installed one's name."),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The table it was trained on; not needed to convert a model to another format."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file. [default: model.onnx in the run folder, or named by format]"),
    ] = None,
    form: Annotated[FormatName, typer.Option("--format", help="Format of which runtime; see docs/devices.md.")] = (
        FormatName.onnx
    ),
    every: Annotated[
        bool, typer.Option("--all", help="Write every format into a folder, with a table of the results.")
    ] = False,
    views: Annotated[
        Look,
        typer.Option(
            "--views", help="Answer with the mean over the face and its mirror image (flip), or over ten crops."
        ),
    ] = Look.none,
    crop: Annotated[
        int | None, typer.Option("--crop", min=1, help="Pixels a side of the ten crops. [default: 5/6 of the face]")
    ] = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="fp16: half the size, same speed. int8: a quarter, and faster.")
    ] = Precision.fp32,
    calibration_faces: Annotated[
        int, typer.Option("--calibration-faces", min=1, help="Number of training faces for finding the 8-bit ranges.")
    ] = 1000,
    reduce_range: Annotated[
        bool,
        typer.Option(
            "--reduce-range/--full-range", help="int8: 7-bit weights, which give the same results on every processor."
        ),
    ] = True,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the model, for its card. [default: the recipe's]")
    ] = None,
    version: Annotated[str, typer.Option("--version", help="Of the model, for its card.")] = "1",
    licence: Annotated[str, typer.Option("--licence", help="Licence of the weights, an SPDX name.")] = "Apache-2.0",
    data_terms: Annotated[
        str | None, typer.Option("--data-terms", help="What the data's terms mean for users of the weights.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Pack the best weights of a run into one .onnx file, calibrated on validation.

    mien export runs/default --data fer2013.parquet --precision int8 -o small.onnx

    Given a model, its answer is fitted again: the heads stay, and so do their figures.

    mien export default --data fer2013.parquet -o default.onnx

    Other formats are written only if they answer as the model file does.

    mien export fast --format litert --data fer2013.parquet -o fast.tflite
    """
    if crop is not None and views != Look.ten_crop:
        raise ExportError("--crop is the size of the windows of --views ten-crop: leave it out, or add that")
    if (every or form != FormatName.onnx) and not run.is_dir():
        require("onnx", "formats" if every else form.value)
        export_formats.write(run, data, out, None if every else form, None, overwrite=overwrite)
        return
    require("torch", "train")
    from mien import models
    from mien.data import table
    from mien.export import package, revise
    from mien.runs import RunFolder

    terms = package.Terms(name, version, licence, data_terms)
    options = package.Options(views.value, crop, precision.value, calibration_faces, reduce_range)
    if every or form != FormatName.onnx:
        export_formats.write(run, data, out, None if every else form, (terms, options), overwrite=overwrite)
        return
    if data is None:
        raise ExportError(f"{run} needs --data FILE, the table that it was trained on")
    if not run.is_dir() and (run.suffix == ".onnx" or str(run) in models.installed()):
        if out is None:
            raise ExportError(f"{run} is renewed into another file: add -o FILE")
        keep_inputs([models.find(run), data], out)
        with notices.doing("fitting the answer again, checking"):
            renewed = revise.renew(models.find(run), table.read(data), out)
        print(renewed.path)
        notices.done("1 file")
        return
    folder = RunFolder(run)
    if out is None:
        check_free(folder.model, overwrite=overwrite, option="-o")
    keep_inputs([data, folder.recipe, folder.run, folder.history, folder.last, folder.best, folder.pipeline], out)
    with notices.doing("exporting, checking"):
        model = package.package(folder, table.read(data), out or folder.model, terms, options)
    for line in _told(model.card.training["export"]):
        notices.say(line)
    print(model.path)
    notices.done("1 file")


def _told(facts: dict[str, Any]) -> list[str]:
    """What the gate found, for whoever made the file."""
    if "parity" in facts:
        parity = facts["parity"]
        return [f"largest difference from the network {parity['largest_difference']:.1e} on {parity['faces']} faces"]
    return [
        f"{gate['output']}: {100 * gate['agreement']:.2f} % agreement with the 32-bit file on {gate['faces']} faces"
        f" ({' and '.join(gate['splits'])}), accuracy loss {gate['accuracy_loss']:.2f} points, n = {gate['labelled']}"
        for gate in facts["gate"]
    ]
