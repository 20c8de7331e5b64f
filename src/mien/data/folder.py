"""Any data set of class folders into the canonical table.

Grey or colour, any size. Owns what the table says of itself and which pictures show the same person. Refuses to know
how folders are laid out (``class_folders``), and how the table is written (``listed``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.data.class_folders import FoundPicture, find_pictures, label_folders
from mien.data.listed import Deal, Listed, write_listed
from mien.data.partition import Progress, check_shares
from mien.data.writer import OWN, TableInfo
from mien.errors import DataError, shown
from mien.expressions import BASIC_SEVEN


@dataclass(frozen=True)
class About:
    """What a CSV file says of pictures.

    Attributes:
        groups: relative path to the person, film or session; None where the file has no column ``group``.
        columns: name to relative path to value, of all further columns: numbers where all cells are, else words.
    """

    groups: Mapping[str, str] | None = None
    columns: Mapping[str, Mapping[str, float | str | None]] = field(
        default_factory=dict[str, Mapping[str, float | str | None]]
    )


def read_about(path: Path, *, grouped: bool = False) -> About:
    """What a CSV file with the column path and any further columns, perhaps a group (a person), says of pictures.

    Args:
        path: of the file.
        grouped: refuse a file without the column group.

    Raises:
        DataError: the file cannot be read, a column is missing or has one of mien's own names.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = csv.DictReader(text, restkey="")
            names = [name for name in lines.fieldnames or () if name]
            rows = {(line.get("path") or "").replace("\\", "/"): line for line in lines}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error
    further = [name for name in names if name not in {"path", "group"}]
    wanted = ("path", "group") if grouped else ("path",)
    if missing := [name for name in wanted if name not in names]:
        raise DataError(f"{path} has no column {', '.join(missing)}: expected {','.join(wanted)} and any further ones")
    if taken := sorted(set(further) & set(OWN)):
        raise DataError(
            f"{path} has a column '{shown(taken[0])}', a name that tables use themselves: call it otherwise"
        )
    groups = {picture: line["group"] or "" for picture, line in rows.items()} if "group" in names else None
    return About(groups, {name: _typed({key: line[name] for key, line in rows.items()}) for name in further})


def _typed(cells: Mapping[str, str | None]) -> dict[str, float | str | None]:
    """Numbers where all cells that are not empty are numbers, else words; None where empty."""
    filled = {key: value for key, value in cells.items() if value}
    made: dict[str, float | str | None] = dict.fromkeys(cells)
    try:
        return made | {key: float(value) for key, value in filled.items()}
    except ValueError:
        return made | filled


def _subjects(found: list[FoundPicture], pattern: str | None, groups: Mapping[str, str] | None) -> list[str]:
    """The group of each picture as a word, or empty strings where none was asked for."""
    if groups is not None:
        absent = [picture.path for picture in found if not groups.get(picture.path)]
        if absent:
            raise DataError(f"{absent[0]} has no group: the list names {len(groups)} other pictures")
        return [groups[picture.path] for picture in found]
    if pattern is None:
        return [""] * len(found)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"the group pattern '{shown(pattern)}' is no regular expression: {error}") from error
    if compiled.groups != 1:
        raise DataError(f"the group pattern '{shown(pattern)}' has {compiled.groups} capture groups, expected one")
    matches = [compiled.search(picture.path) for picture in found]
    for picture, match in zip(found, matches, strict=True):
        if match is None or not match[1]:
            raise DataError(f"the group pattern '{shown(pattern)}' finds no group in {picture.path}")
    return [match[1] for match in matches if match]


def import_folder(
    root: Path,
    out: Path,
    *,
    labels: Sequence[str] | None = None,
    group_pattern: str | None = None,
    about: About | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    name: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of a data set of class folders.

    Splits are those of the source's folders. Where it has none, rows are dealt by class from the seed; where
    it has train but no validation folder, that share is dealt from train. Dealing keeps identical pictures,
    and pictures of one group, on one side.

    Args:
        root: the data set's folder.
        out: the table to write.
        labels: names of numbered folders in order, or a label set of one's own.
        group_pattern: regular expression whose one capture group is the person in a picture's relative path.
        about: the person of each relative path, instead of a pattern, and further columns, which come along.
        validation, test: shares to deal, 0-1; a share of 0 makes no such split.
        seed: of the deal.
        name: the data set's name; None takes the folder's.
        progress: called with the pictures read and their number.

    Raises:
        DataError: the folders, a picture, a label, a group or the shares are not what they should be.
    """
    check_shares(validation, test)
    found = find_pictures(root)
    names, label_of = label_folders({picture.folder for picture in found}, labels)
    about = about or About()
    subjects = _subjects(found, group_pattern, about.groups)
    name = name or root.resolve().name
    info = TableInfo(
        name=name,
        label_set="fer2013" if names == BASIC_SEVEN else re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        labels=names,
        source={"file": root.resolve().name, "layout": "class folders"},
    )
    listed = [
        Listed(
            picture.path,
            label_of[picture.folder],
            picture.split,
            subject,
            further={name: values.get(picture.path) for name, values in about.columns.items()},
        )
        for picture, subject in zip(found, subjects, strict=True)
    ]
    write_listed(root, out, listed, info, deal=Deal(validation, test, seed), progress=progress)
