"""AffectNet's manually annotated part as its authors give it out, in either of their two layouts.

Mollahosseini, Hasani and Mahoor 2017, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in
the Wild". The first release has lists and pictures from the web, of which the face box in the list is cut out::

    Manually_Annotated_file_lists/training.csv, validation.csv    subDirectory_filePath, face_x, …, expression, …
    Manually_Annotated_Images/689/737d….jpg

The later one has cut-out faces of 224x224 px with the label in a file each::

    train_set/images/0.jpg   train_set/annotations/0_exp.npy   val_set/…

Expressions 0 to 7 are labels, 8 to 10 (none, uncertain, no face) are left out. The authors kept their test set: papers
test on the validation list, which is mien's test here, and a share of the training rows is validation. The first
release holds some files that cannot be read; they are left out and listed. Refuses the automatically annotated part.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.data.cutting import Cut
from mien.data.listed import Deal, Listed, write_listed
from mien.data.partition import Progress
from mien.data.writer import TableInfo
from mien.errors import DataError, shown
from mien.expressions import BASIC_EIGHT
from mien.results import Box

#: The labels in the order of their codes.
CODES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
#: Codes that are no expression: none, uncertain, no face.
OTHERS = (8, 9, 10)
#: Rows with an expression in the first release, and in the later one.
PUBLISHED = ({"train": 287_651, "test": 4_000}, {"train": 287_651, "test": 3_999})
_COLUMNS = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "expression")
_LISTS = {"train": "training.csv", "test": "validation.csv"}
_SETS = {"train": "train_set", "test": "val_set"}
_EXPECTED = "AffectNet with training.csv and validation.csv, or with train_set/images and val_set/images"


def import_affectnet(
    root: Path, out: Path, *, deal: Deal | None = None, size: int | None = None, progress: Progress | None = None
) -> None:
    """Write the canonical table of AffectNet's eight expressions; the layout is detected.

    Args:
        root: the folder with the lists and pictures, in it or one or two folders below, or with the sets.
        out: the table to write.
        deal: share of the train rows that is validation, and seed.
        size: pixels a side that a face cut out of a picture has at most.
        progress: called with the pictures read and their number.

    Raises:
        DataError: the folders are not laid out so, a line or label is damaged, or many pictures are.
    """
    lists = {split: _first(root, name) for split, name in _LISTS.items()}
    if all(lists.values()):
        listed, codes = _from_lists(root, {split: file for split, file in lists.items() if file})
        layout = "AffectNet lists"
    elif all((root / name / "images").is_dir() for name in _SETS.values()):
        listed, codes = _from_sets(root)
        layout = "AffectNet sets"
    else:
        raise DataError(f"{root} is not AffectNet as it is given out: expected {_EXPECTED}")
    if not listed:
        raise DataError(f"{root} lists no picture with an expression from 0 to {len(CODES) - 1}")
    notes = ["test is the authors' validation split, since their test split was not published"]
    if codes:
        notes.append(f"{codes:,} rows left out, whose label is none, uncertain or no face")
    source = {"file": root.resolve().name, "layout": layout}
    info = TableInfo("affectnet", "affectnet", BASIC_EIGHT, source, notes=tuple(notes))
    cut = Cut(size=size) if size is not None else Cut()
    write_listed(root, out, listed, info, deal=deal, cut=cut, published=PUBLISHED, tolerant=True, progress=progress)


def _first(root: Path, name: str) -> Path | None:
    """A file of that name in the folder, or one or two folders below."""
    for place in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/"))):
        if (place / name).is_file():
            return place / name
    return None


def _from_lists(root: Path, lists: dict[str, Path]) -> tuple[list[Listed], int]:
    """The rows of both lists that have an expression, and how many have none."""
    listed: list[Listed] = []
    others = 0
    images: Path | None = None
    for split, file in lists.items():
        for where, record in _records(file):
            code = _code(record["expression"], where)
            if code in OTHERS:
                others += 1
                continue
            path = record["subDirectory_filePath"].replace("\\", "/")
            images = images or _images(root, path, where)
            label = BASIC_EIGHT.index(CODES[code])
            listed.append(Listed((images / path).relative_to(root).as_posix(), label, split, box=_box(record, where)))
    return listed, others


def _records(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The place and the columns of each line of a list."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            lines = csv.DictReader(text)
            missing = [name for name in _COLUMNS if name not in (lines.fieldnames or ())]
            if missing:
                raise DataError(f"{file} has no column {', '.join(missing)} in its first line")
            for line in lines:
                if any(line[name] is None for name in _COLUMNS):
                    raise DataError(f"{file}, line {lines.line_num} is cut off: expected {', '.join(_COLUMNS)}")
                yield f"{file}, line {lines.line_num}", line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a readable CSV file: {error}") from error


def _images(root: Path, path: str, where: str) -> Path:
    """The folder that the paths of the lists begin in."""
    found = _first(root, path)
    if found is None:
        raise DataError(f"{where}: {path} is not in {root} nor in a folder of it: is everything unpacked?")
    return found.parents[len(Path(path).parts) - 1]


def _code(text: str, where: str) -> int:
    if not (text.strip().isdecimal() and int(text) <= max(OTHERS)):
        raise DataError(f"{where}: expression '{shown(text, 20)}', expected a number from 0 to {max(OTHERS)}")
    return int(text)


def _box(record: dict[str, str], where: str) -> Box:
    try:
        box = Box(*(float(record[name]) for name in _COLUMNS[1:5]))
    except ValueError as error:
        raise DataError(f"{where}: the face box is no four numbers") from error
    if not (box.width > 0 and box.height > 0):
        raise DataError(f"{where}: the face box is {box.width:g}x{box.height:g} pixels")
    return box


def _from_sets(root: Path) -> tuple[list[Listed], int]:
    """The pictures of both sets that have an expression, and how many have none."""
    listed: list[Listed] = []
    others = 0
    for split, name in _SETS.items():
        folder = root / name
        files = [file for file in (folder / "images").glob("*.jpg") if file.stem.isdecimal()]
        for file in sorted(files, key=lambda file: int(file.stem)):
            code = _stored_code(folder / "annotations" / f"{file.stem}_exp.npy")
            if code in OTHERS:
                others += 1
                continue
            listed.append(Listed(file.relative_to(root).as_posix(), BASIC_EIGHT.index(CODES[code]), split))
    return listed, others


def _stored_code(file: Path) -> int:
    """The label in a file: a single number, as a number or as text."""
    try:
        stored = np.load(file, allow_pickle=False)
        text = str(stored.item())
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} holds no label: expected a number from 0 to {max(OTHERS)}") from error
    return _code(text, str(file))
