"""Class folders: which pictures a data set of folders holds, and what its folder names mean.

Takes ``<label>/…/picture`` or ``<split>/<label>/…/picture``. Refuses to guess what numbered folders mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, LabelError, PictureError, shown
from mien.expressions import BASIC_EIGHT, canonical
from mien.sources.images import SUFFIXES, decode

#: What sources call their splits, in lower case.
SPLIT_OF = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "development": "validation",
    "validation": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A picture in a class folder.

    Attributes:
        path: relative to the data set's folder, with forward slashes.
        split: train, validation or test where the folders say so, else None.
        folder: the name of its class folder.
    """

    path: str
    split: str | None
    folder: str


def _subfolders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _class_folders(root: Path) -> list[tuple[Path, str | None]]:
    """The class folders of a data set with the split that each lies in."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    top = [(folder, SPLIT_OF.get(folder.name.lower())) for folder in _subfolders(root)]
    if not any(split for _, split in top):
        return top
    stray = [folder.name for folder, split in top if split is None]
    if stray:
        raise DataError(f"{root} has folders beside its splits: {', '.join(stray)}; move them elsewhere")
    return [(folder, split) for parent, split in top for folder in _subfolders(parent)]


def find_pictures(root: Path) -> list[FoundPicture]:
    """List the pictures of a data set of class folders, sorted by path; files of other types are left out.

    Raises:
        DataError: there is no class folder, one holds no pictures, or a picture lies in none.
    """
    found: list[FoundPicture] = []
    folders = _class_folders(root)
    for folder, split in folders:
        files = [p for p in folder.rglob("*") if _is_picture(p)]
        if not files:
            raise DataError(f"{folder} holds no pictures: expected files such as {folder.name}/1.png")
        found += [FoundPicture(file.relative_to(root).as_posix(), split, folder.name) for file in files]
    for parent in {root} | {folder.parent for folder, _ in folders}:
        stray = sorted(p for p in parent.iterdir() if _is_picture(p))
        if stray:
            raise DataError(f"{stray[0]} lies in no class folder: expected {parent}/<label>/{stray[0].name}")
    if not found:
        raise DataError(f"{root} holds no class folders: expected pictures such as angry/1.png or train/angry/1.png")
    return sorted(found, key=lambda picture: picture.path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_labels(text: str) -> list[str]:
    """Label names from ``"happy,sad,neutral"`` or from a file with one name a line.

    >>> read_labels("surprise, fear,disgust")
    ['surprise', 'fear', 'disgust']
    """
    file = Path(text)
    words = file.read_text(encoding="utf-8").splitlines() if file.is_file() else text.split(",")
    names = [word.strip() for word in words if word.strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LabelError(f"the labels name {', '.join(twice)} more than once")
    if len(names) < 2:
        raise LabelError(
            f"'{shown(text)}' names {len(names)} labels: expected names,in,order or a file with one a line"
        )
    return names


def label_folders(folders: Iterable[str], names: Sequence[str] | None = None) -> tuple[tuple[str, ...], dict[str, int]]:
    """What the class folders mean: the labels in order, and the label index of each folder.

    Expressions come in mien's order and spelling; a label set of one's own keeps the order of ``names``.
    Numbered folders take ``names`` in the order of their numbers.

    Raises:
        LabelError: a folder has no label; numbered folders came without names or with another number of them.

    >>> label_folders({"Happiness", "anger"})
    (('angry', 'happy'), {'Happiness': 1, 'anger': 0})
    """
    folders = sorted(set(folders))
    numbered = all(folder.isdigit() for folder in folders)
    words = _numbered(sorted(folders, key=int), names) if numbered else {folder: folder for folder in folders}
    if names and not all(_is_expression(name) for name in names):
        own = {name.casefold(): name for name in names}
        unknown = [folder for folder, word in words.items() if word.casefold() not in own]
        if unknown:
            raise LabelError(f"folder '{shown(unknown[0])}' is none of the labels {', '.join(names)}")
        labels, label_of = tuple(names), {folder: own[word.casefold()] for folder, word in words.items()}
    else:
        label_of = {folder: _expression(folder, word) for folder, word in words.items()}
        wanted = {canonical(name) for name in names or label_of.values()}
        unknown = [folder for folder, label in label_of.items() if label not in wanted]
        if unknown:
            raise LabelError(f"folder '{shown(unknown[0])}' is none of the labels {', '.join(names or ())}")
        labels = tuple(name for name in BASIC_EIGHT if name in wanted)
    return labels, {folder: labels.index(label) for folder, label in label_of.items()}


def _is_expression(name: str) -> bool:
    try:
        return bool(canonical(name))
    except LabelError:
        return False


def _expression(folder: str, word: str) -> str:
    try:
        return canonical(word)
    except LabelError as error:
        raise LabelError(
            f"folder '{shown(folder)}': {error}; a label set of its own is named with --labels a,b,c"
        ) from error


def _numbered(folders: list[str], names: Sequence[str] | None) -> dict[str, str]:
    span = f"{folders[0]}-{folders[-1]}"
    if names is None:
        raise LabelError(
            f"the class folders are numbers ({span}), which data sets use differently: name them in order"
            " with --labels, as in --labels surprise,fear,disgust,happy,sad,angry,neutral"
        )
    if len(names) != len(folders):
        raise LabelError(f"{len(folders)} numbered class folders ({span}) but {len(names)} --labels")
    return dict(zip(folders, names, strict=True))


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The pixels of a data set's picture, RGB uint8 (H, W, 3).

    Raises:
        DataError: the file is no readable picture.
    """
    try:
        return decode(path.read_bytes())
    except (OSError, PictureError) as error:
        raise DataError(f"{path} is not a readable picture: {error}") from error
