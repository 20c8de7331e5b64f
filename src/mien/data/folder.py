"""Any data set of class folders into the canonical table.

Grey or colour, any size; pictures stay in their own encoding. Owns how splits are made where the source has
none and which pictures stay together. Refuses to know how folders are laid out (``class_folders``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mien.data.class_folders import FoundPicture, find_pictures, label_folders, read_picture
from mien.data.partition import Progress, check_shares, settle, together
from mien.data.writer import TableInfo, TableWriter, pixel_digest
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
    label_names, label_of = label_folders({picture.folder for picture in found}, labels)
    subjects = _subjects(found, group_pattern, groups)
    digests = _digests(root, found, progress)
    classes = np.array([label_of[picture.folder] for picture in found])
    together_in = together(digests, subjects)
    source_splits = [picture.split for picture in found if picture.split]
    splits, notes = settle(source_splits or None, classes, together_in, validation, test, seed)
    name = name or root.resolve().name
    info = TableInfo(
        name=name,
        label_set="fer2013" if label_names == BASIC_SEVEN else re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        labels=label_names,
        source={"file": root.resolve().name, "layout": "class folders", "pictures": len(found)},
        notes=tuple(notes),
    )
    with TableWriter(out, info) as writer:
        for row, picture in enumerate(found):
            writer.add(
                image=(root / picture.path).read_bytes(),
                path=picture.path,
                label=int(classes[row]),
                split=str(splits[row]),
                row=row,
                group=int(together_in[row]),
                digest=digests[row],
            )


def _digests(root: Path, found: list[FoundPicture], progress: Progress | None) -> list[str]:
    digests: list[str] = []
    for picture in found:
        digests.append(pixel_digest(read_picture(root, picture)))
        if progress and len(digests) % 64 == 0:
            progress(len(digests), len(found))
    return digests
