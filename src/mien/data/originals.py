"""Where things lie in originals of data sets: folders that archives wrap, pictures whose names say what they show.

Owns finding them and the message where they are not. Refuses to know what the names mean (each importer does).
"""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.listed import some
from mien.errors import DataError, PictureError
from mien.sources.listing import find_pictures


def inner_folder(root: Path, name: str, expected: str) -> Path:
    """The folder ``name`` in ``root``, or in a folder of it, where archives often put it.

    Raises:
        DataError: there is none; ``expected`` says what should lie there.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    for folder in (root / name, *sorted(root.glob(f"*/{name}"))):
        if folder.is_dir():
            return folder
    raise DataError(f"{root} holds no folder {name}: expected {expected}")


def match_names(root: Path, form: str, example: str) -> tuple[list[tuple[str, re.Match[str]]], tuple[str, ...]]:
    """The pictures anywhere below a folder whose names are of a form, and a note on pictures that are not.

    Args:
        root: the data set's folder.
        form: regular expression for the whole name without its suffix; case does not matter.
        example: such a name, for messages.

    Returns:
        Relative path and match of each, sorted by path; the note, if there is anything to say.

    Raises:
        DataError: there is no such folder, or no such picture in it.

    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    try:
        paths = [file.relative_to(root) for file in find_pictures(root)]
    except PictureError as error:
        raise DataError(str(error)) from error
    matches = [(path.as_posix(), re.fullmatch(form, path.stem, re.IGNORECASE)) for path in paths]
    named = [(path, match) for path, match in matches if match]
    if not named:
        raise DataError(f"{root} holds no picture with a name such as {example}: is this the original's folder?")
    others = [path for path, match in matches if not match]
    note = f"{len(others):,} pictures left out, whose names are not such as {example}: {some(others)}"
    return named, ((note,) if others else ())
