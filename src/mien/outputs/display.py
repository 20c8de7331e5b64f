"""What a frame shows of itself: its annotated picture on screen, in a file and in a notebook, and its table.

The functions behind :meth:`mien.Frame.show`, ``save``, ``to_df`` and ``_repr_html_``. Owns where the pixels of a frame
come from when it is shown later. Refuses to draw and to recognize.
"""

from __future__ import annotations

import base64
import html
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MienError, PictureError, require
from mien.files import AtomicFile
from mien.outputs.draw import annotate
from mien.results import COLUMNS, Frame
from mien.sources.images import Color, Picture, read

#: File names that :func:`save` takes, and how Pillow writes them.
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}

_TEXT = frozenset(("source", "expression", "smoothed", "error", "note"))
_WHOLE = frozenset(("frame", "face", "track", "x", "y", "width", "height"))
_NOTEBOOK = 640  # pixels of the longest side of a picture in a notebook


def pixels_of(frame: Frame, picture: Picture | None = None, color: Color | None = None) -> NDArray[np.uint8]:
    """The picture a frame was made from, RGB uint8 (H, W, 3).

    Args:
        frame: what recognition returned.
        picture: the picture; None: the one that was passed to ``predict``, or the file at ``frame.source``.
        color: "rgb" or "bgr", of a color array.

    Raises:
        MienError: the picture cannot be had again, or is not the one the frame was made from.
    """
    if frame.error is not None:
        raise MienError(f"{frame.source or 'the picture'} could not be read, so there is nothing to draw on")
    if picture is None and frame.origin is not None:
        picture, color = frame.origin
    if picture is None:
        if frame.index is not None or frame.source is None or not Path(frame.source).is_file():
            raise MienError(f"{_name(frame)} keeps no pixels: pass its picture too, as in frame.save(path, picture)")
        picture = Path(frame.source)
    pixels = read(picture, color=color)
    if pixels.shape[:2] != (frame.height, frame.width):
        height, width = pixels.shape[:2]
        raise MienError(
            f"{_name(frame)} was made from a picture of {frame.width}x{frame.height} pixels, this one has"
            f" {width}x{height}"
        )
    return pixels


def show(frame: Frame, picture: Picture | None = None, color: Color | None = None) -> None:
    """Show the annotated picture in the system's viewer."""
    from PIL import ImageShow

    if not ImageShow.show(Image.fromarray(annotate(pixels_of(frame, picture, color), frame)), title=_name(frame)):
        raise MienError("this system has no program that shows pictures: write a file with frame.save(path)")


def save(
    frame: Frame, path: str | os.PathLike[str], picture: Picture | None = None, color: Color | None = None
) -> Path:
    """Write the annotated picture, whole or not at all; the picture itself is never written over."""
    path = Path(path)
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise MienError(f"{path}: an annotated picture is written as {', '.join(FORMATS)}")
    if frame.source is not None and path.exists() and Path(frame.source).exists() and path.samefile(frame.source):
        raise MienError(f"{path} is the picture itself: choose another name")
    drawn = Image.fromarray(annotate(pixels_of(frame, picture, color), frame))
    with AtomicFile(path) as temporary:
        drawn.save(temporary, form, quality=92)
    return path


def to_df(frame: Frame) -> Any:
    """``frame.to_rows()`` as a pandas DataFrame; whole numbers stay whole where cells are empty."""
    pandas = require("pandas", "pandas")
    rows = frame.to_rows()
    table = pandas.DataFrame(rows, columns=list(dict.fromkeys((*COLUMNS, *(name for row in rows for name in row)))))
    kinds = {name: "string" if name in _TEXT else "Int64" if name in _WHOLE else "Float64" for name in table.columns}
    return table.astype(kinds)


def to_html(frame: Frame) -> str:
    """What a notebook shows: the annotated picture, where it can be had, above a line for each face."""
    parts: list[str] = []
    try:
        image = Image.fromarray(annotate(pixels_of(frame), frame))
        image.thumbnail((_NOTEBOOK, _NOTEBOOK))
        parts.append(f'<img alt="" style="max-width:100%" src="{data_address(image)}">')
    except (MienError, PictureError):
        pass  # the table remains
    cells = [
        f"<tr><td>{number}</td><td>{html.escape(face.steadiest[0])}</td><td>{face.steadiest[1]:.1%}</td>"
        f"<td>{face.box.to_list()}</td></tr>"
        for number, face in enumerate(frame.faces, start=1)
    ]
    if cells:
        head = "<tr><th>face</th><th>expression</th><th>probability</th><th>x, y, width, height</th></tr>"
        parts.append(f"<table>{head}{''.join(cells)}</table>")
    if frame.note is not None:
        parts.append(f"<div>note: {html.escape(frame.note)}</div>")
    return f"<div><div>{html.escape(repr(frame))}</div>{''.join(parts)}</div>"


def data_address(image: Image.Image, quality: int = 85) -> str:
    """A picture as a ``data:`` address, JPEG."""
    held = io.BytesIO()
    image.convert("RGB").save(held, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"


def _name(frame: Frame) -> str:
    source = frame.source or "the picture"
    return source if frame.index is None else f"frame {frame.index} of {source}"
