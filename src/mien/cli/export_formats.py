"""``mien export --format`` and ``--all``: a model file into the formats of other runtimes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from mien.cli import notices
from mien.cli.notices import counted
from mien.errors import ExportError
from mien.files import keep_inputs

if TYPE_CHECKING:
    from mien.export.package import Options, Terms


class FormatName(StrEnum):
    """The formats that a model can be written in."""

    onnx = "onnx"
    ort = "ort"
    openvino = "openvino"
    litert = "litert"
    ncnn = "ncnn"
    c = "c"
    coreml = "coreml"


def write(
    run: Path,
    data: Path | None,
    out: Path | None,
    form: FormatName | None,
    made_by: tuple[Terms, Options] | None,
    *,
    overwrite: bool,
) -> None:
    """Write one format, or all where none is named; print the path, or the table.

    Args:
        run: folder of a run, name of an installed model, or model file.
        data: the table that the gate asks about; needed for a run.
        out: file or folder; None names it after the model, in the working directory.
        form: which; None for all.
        made_by: of the file that a run is exported to first; None where ``run`` is no folder.
        overwrite: replace what is there.

    Raises:
        MienError: it cannot be written, or is not allowed to be.
    """
    from mien import models
    from mien.data import table
    from mien.export.formats import FORMATS, exporting

    given = table.read(data) if data else None
    name = run.name if run.is_dir() else models.find(str(run)).stem
    with notices.doing("exporting, checking"), _model_file(run, data, made_by) as file:
        faces = exporting.dealt(file, given) if given else None
        if form:
            place = out or Path(f"{name}{FORMATS[form.value].suffix}")
            keep_inputs([file, data], place)
            row = exporting.export(file, FORMATS[form.value], place, faces, overwrite=overwrite)
            rows = [row]
        else:
            place = out or Path(f"{name}-formats")
            rows = exporting.export_all(file, FORMATS.values(), place, name, faces, overwrite=overwrite)
        told = exporting.to_markdown(file, rows)
    if form:
        notices.say(told)
        print(place)
    else:
        print(told)
    written = sum(row.status == "written" for row in rows)
    notices.done(counted(written, "file"))
    if any(row.status == "failed" for row in rows):
        raise typer.Exit(1)


@contextmanager
def _model_file(run: Path, data: Path | None, made_by: tuple[Terms, Options] | None) -> Generator[Path, None, None]:
    """The model file; of a run, one that is made for the while."""
    from mien import models

    if made_by is None:
        yield models.find(str(run))
        return
    if data is None:
        raise ExportError(f"{run} is a run: add --data FILE, the table that it was trained on")
    from mien.data import table
    from mien.export import package
    from mien.runs import RunFolder

    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{run.name}.onnx"
        package.package(RunFolder(run), table.read(data), file, *made_by)
        yield file
