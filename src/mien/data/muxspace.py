"""The public repository muxspace/facial_expressions: press and web photographs, labelled one by one by students.

A checkout, or an unpacked archive, of https://github.com/muxspace/facial_expressions::

    data/legend.csv    user.id,image,emotion      dwdii,Some_Name_0002.jpg,happiness
    images/Some_Name_0002.jpg                      whole photographs

Emotions are spelt in several ways and cases; a few lines are separated by tabs. The person is the name of the file
without its number. Nine tenths of the labels are neutral or happiness, and there is label noise: the labels of one
annotator are poor. Owns the layout; refuses to download anything.

mien's figures of faces from elsewhere are of commit :data:`COMMIT`: 30 % of its persons, drawn once by a rule that is
not known, so another draw gives like figures, not the same.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

from mien.data.cutting import Cut
from mien.data.listed import Deal, Listed, some, write_listed
from mien.data.originals import inner_folder
from mien.data.partition import Progress
from mien.data.writer import TableInfo
from mien.errors import DataError, LabelError, shown
from mien.expressions import BASIC_SEVEN, canonical

#: What the repository is pinned to.
COMMIT = "5fb9c13a"
#: Annotators whose labels are left out unless they are asked for.
POOR = ("jhamski",)
_LIST = "data/legend.csv"
_COLUMNS = ["user.id", "image", "emotion"]
_EXPECTED = f"a checkout of muxspace/facial_expressions, with {_LIST} and images/"
# A number at the end of a name, with what joins it and a letter behind it: Some_Name_0002, SomeName0003, some_2868k.
_NUMBER = re.compile(r"[_-]?\d+[a-z]?$", re.IGNORECASE)


class _Line(NamedTuple):
    annotator: str
    image: str
    expression: str


def import_muxspace(
    root: Path,
    out: Path,
    *,
    everyone: bool = False,
    deal: Deal | None = None,
    cut: Cut | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of the repository's labelled pictures.

    Columns ``annotator`` and ``person`` come along; a person stays on one side of a split. A picture with two labels
    that contradict each other is left out, and so are the few of contempt, which is none of the basic seven.

    Args:
        root: the checkout.
        out: the table to write.
        everyone: take the labels of the poor annotator too.
        deal: shares and seed; by default 30 % of the faces are validation and none are test.
        cut: how faces are cut out; by default by YuNet, at most 96 pixels a side.
        progress: called with the pictures read and their number.

    Raises:
        DataError: it is not laid out so, a line names no expression, or more than a few pictures are missing.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """
    images = inner_folder(root, "images", _EXPECTED)
    lines = _lines(images.parent / _LIST)
    used = [line for line in lines if everyone or line.annotator not in POOR]
    labels: dict[str, set[str]] = {}
    for line in used:
        labels.setdefault(line.image, set()).add(line.expression)
    listed: list[Listed] = []
    for line in {line.image: line for line in used}.values():
        if len(labels[line.image]) == 1 and line.expression in BASIC_SEVEN:
            person, path = person_of(line.image), (images / line.image).relative_to(root).as_posix()
            further = {"annotator": line.annotator, "person": person}
            listed.append(Listed(path, BASIC_SEVEN.index(line.expression), subject=person, further=further))
    if not listed:
        raise DataError(f"{images.parent / _LIST} labels no picture: expected {_EXPECTED}")
    found = commit_of(images.parent)
    info = TableInfo(
        name="muxspace",
        label_set="muxspace",
        labels=BASIC_SEVEN,
        source={"file": root.resolve().name, "layout": "muxspace/facial_expressions", "commit": found or "unknown"},
        notes=_notes(lines, used, labels, found),
    )
    deal, cut = deal or Deal(0.3, 0.0), cut or Cut("yunet", 96)
    write_listed(root, out, listed, info, deal=deal, cut=cut, tolerant=True, progress=progress)


def person_of(image: str) -> str:
    """Whose picture it is, by its name.

    >>> [person_of(n) for n in ("Some_Name_0002.jpg", "SomeName0003.jpg", "some_2868k.jpg")]
    ['Some_Name', 'SomeName', 'some']
    """
    stem = Path(image).stem
    return _NUMBER.sub("", stem) or stem


def commit_of(checkout: Path) -> str | None:
    """The commit that a checkout's ``.git`` names, or that an unpacked archive's folder is called after."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        if head.startswith("ref: "):
            head = (git / head.removeprefix("ref: ")).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        head = checkout.resolve().name.rpartition("-")[2]
    return head if re.fullmatch(r"[0-9a-f]{8,40}", head) else None


def _lines(file: Path) -> list[_Line]:
    """What the list says."""
    try:
        rows = [re.split("\t", row[0]) if len(row) == 1 else row for row in csv.reader(_text(file))]
    except csv.Error as error:
        raise DataError(f"{file} is not a readable CSV file: {error}") from error
    if not rows or [cell.strip() for cell in rows[0]] != _COLUMNS:
        raise DataError(f"{file} does not begin with {','.join(_COLUMNS)}: expected {_EXPECTED}")
    return [_line(row, f"{file}, line {number}") for number, row in enumerate(rows[1:], 2) if row]


def _text(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is no readable list: expected {_EXPECTED}") from error


def _line(row: list[str], where: str) -> _Line:
    if len(row) != len(_COLUMNS) or not all(cell.strip() for cell in row):
        raise DataError(f"{where} is cut off: expected {','.join(_COLUMNS)}")
    annotator, image, emotion = (cell.strip() for cell in row)
    if Path(image).name != image or "\\" in image:
        raise DataError(f"{where}: the picture '{shown(image, 60)}' is not the name of a file in images/")
    try:
        return _Line(annotator, image, canonical(emotion))
    except LabelError as error:
        raise DataError(f"{where}: {error}") from error


def _notes(lines: list[_Line], used: list[_Line], labels: dict[str, set[str]], found: str | None) -> tuple[str, ...]:
    notes: list[str] = []
    if found is None or not found.startswith(COMMIT):
        notes.append(f"the checkout is at commit {found or 'unknown'}; mien's figures are of {COMMIT}")
    if left := len(lines) - len(used):
        notes.append(f"{left:,} labels left out, of {', '.join(POOR)}, which are poor")
    if torn := [image for image, said in labels.items() if len(said) > 1]:
        notes.append(f"{len(torn):,} pictures left out, whose labels contradict each other: {some(torn)}")
    if other := sum(said == {"contempt"} for said in labels.values()):
        notes.append(f"{other:,} pictures left out, of contempt")
    notes.append("single annotators' labels with noise; the photographs are under no licence that mien knows of")
    return tuple(notes)
