"""Any data set of class folders into the canonical table.

Grey or colour, any size. Owns what the table says of itself and which pictures show the same person. Refuses to know
how folders are laid out (``class_folders``), and how the table is written (``listed``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.data.class_folders import FoundPicture, find_pictures, label_folders
from mien.data.listed import Deal, Listed, write_listed
from mien.data.partition import Progress, check_shares
from mien.data.writer import TableInfo
from mien.errors import DataError
from mien.expressions import BASIC_SEVEN


def read_groups(path: Path) -> dict[str, str]:
    """The group (person, film, session) of each picture, from a CSV file with the columns path and group.

    Raises:
        DataError: the file cannot be read or a column is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = csv.DictReader(text)
            missing = {"path", "group"} - set(lines.fieldnames or ())
            if missing:
                raise DataError(f"{path} has no column {', '.join(sorted(missing))}: expected path,group")
            return {line["path"].replace("\\", "/"): line["group"] for line in lines}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error


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
        raise DataError(f"the group pattern {pattern!r} is no regular expression: {error}") from error
    if compiled.groups != 1:
        raise DataError(f"the group pattern {pattern!r} has {compiled.groups} capture groups, expected one")
    matches = [compiled.search(picture.path) for picture in found]
    for picture, match in zip(found, matches, strict=True):
        if match is None or not match[1]:
            raise DataError(f"the group pattern {pattern!r} finds no group in {picture.path}")
    return [match[1] for match in matches if match]


def import_folder(
    root: Path,
    out: Path,
    *,
    labels: Sequence[str] | None = None,
    group_pattern: str | None = None,
    groups: Mapping[str, str] | None = None,
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
        groups: the person of each relative path, instead of a pattern.
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
    subjects = _subjects(found, group_pattern, groups)
    name = name or root.resolve().name
    info = TableInfo(
        name=name,
        label_set="fer2013" if names == BASIC_SEVEN else re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        labels=names,
        source={"file": root.resolve().name, "layout": "class folders"},
    )
    listed = [
        Listed(picture.path, label_of[picture.folder], picture.split, subject)
        for picture, subject in zip(found, subjects, strict=True)
    ]
    write_listed(root, out, listed, info, deal=Deal(validation, test, seed), progress=progress)
