"""``mien predict``: the expressions in pictures, as a table, JSON, CSV, or drawn onto copies of them.

What was found goes to stdout, and nothing else does; notices, faults and where copies were put go to stderr.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.errors import MienError, PictureError

if TYPE_CHECKING:
    from mien.results import Face, Frame


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, one object a picture.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line a face.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put copies with the results drawn on them here.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many expressions the table shows per face.")] = 3,
    detector: Annotated[str, typer.Option(help="auto, yunet, haar, or none: the whole picture is one face.")] = "auto",
    model: Annotated[str | None, typer.Option(help="An installed model or a model file; see mien models.")] = None,
) -> None:
    """Read the expressions of the faces in pictures.

    Exit code 0: all read, with or without faces; 1: some could not be read; 2: none could.
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    from mien.recognizer import Recognizer

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be valid text
    recognizer = Recognizer(model, detector=detector)
    if recognizer.notice:
        _say(f"note: {recognizer.notice}")
    copies = _Copies(annotate, paths) if annotate else None
    frames: list[Frame] = []
    failed = 0
    for found in _pictures(paths):
        try:
            if isinstance(found, PictureError):
                raise found
            frame = recognizer.predict(found)
            frames.append(frame)
            if copies:
                _say(f"annotated: {copies.write(found, frame)}")
        except MienError as error:
            failed += 1
            _say(str(error))
    if as_json:
        print(json.dumps([frame.to_dict() for frame in frames], indent=1))
    elif as_csv:
        _print_csv(frames, list(next(iter(recognizer.model.card.outputs.values())).labels))
    elif frames:
        _print_table(frames, top)
    if failed:
        raise typer.Exit(1 if frames else 2)


def _say(message: str) -> None:
    print(f"mien: {message}", file=sys.stderr)


def _pictures(paths: list[Path]) -> Iterator[Path | PictureError]:
    """Files as they are named, folders by their pictures; a folder without any yields an error."""
    from mien.faces.images import find_pictures

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        try:
            found = find_pictures(path)
        except PictureError as error:
            yield error
            continue
        yield from found
        if not found:
            yield PictureError(f"{path}: no pictures in this folder")


class _Copies:
    """Writes annotated copies into a folder: ``photo-mien.jpg`` for ``photo.png``.

    No file among this run's pictures is written over, and no two copies of one run get the same name.
    """

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MienError(f"cannot make the folder {folder}: {error.strerror}") from error
        self._folder = folder
        self._kept = {found.resolve() for found in _pictures(sources) if isinstance(found, Path)}

    def write(self, source: Path, frame: Frame) -> Path:
        from PIL import Image

        from mien.draw import annotate
        from mien.faces.images import read

        path, number = self._folder / f"{source.stem}-mien.jpg", 2
        while path.resolve() in self._kept:
            path, number = self._folder / f"{source.stem}-mien-{number}.jpg", number + 1
        self._kept.add(path.resolve())
        try:
            Image.fromarray(annotate(read(source), frame)).save(path, quality=92)
        except OSError as error:
            raise MienError(f"cannot write {path}: {error.strerror or error}") from error
        return path


def _print_csv(frames: list[Frame], labels: list[str]) -> None:
    columns = [
        "source",
        "face",
        "x",
        "y",
        "width",
        "height",
        "confidence",
        "expression",
        "probability",
        *labels,
    ]
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for frame in frames:
        # A picture without faces keeps its line, so that it can be told from one that was not looked at.
        writer.writerows(frame.to_rows() or [{"source": frame.source}])


def _print_table(frames: list[Frame], top: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("picture", overflow="fold")
    table.add_column("face", justify="right")
    table.add_column("x y w h")
    table.add_column("expression")
    for frame in frames:
        source = Text(frame.source or "")
        for number, face in enumerate(frame.faces, start=1):
            table.add_row(source, *_cells(number, face, top))
        if not frame.faces:
            table.add_row(source, "-", "", "no face found")
    Console().print(table)


def _cells(number: int, face: Face, top: int) -> list[str]:
    box = " ".join(str(value) for value in face.box.to_list())
    return [str(number), box, ", ".join(f"{label} {value:.0%}" for label, value in face.top(top))]
