"""Which pictures of a folder are found, and what is said of the rest."""

import os
from pathlib import Path

import pytest

from mien.errors import PictureError
from mien.sources import formats
from mien.sources.listing import find_pictures


def test_folders_are_listed_deep_sorted_and_by_suffix(tmp_path):
    for name in ("b.JPG", "a.png", "deep/er/c.jfif", "notes.txt", ".hidden.jpg", ".git/d.jpg", "e.webp/f.tif"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert found == ["a.png", "b.JPG", "deep/er/c.jfif", "e.webp/f.tif"]


def test_left_out_says_how_many_of_which_kind():
    assert formats.left_out([]) is None
    assert formats.left_out([".xyz", ".heic", ".HEIC"]) == "3 files left out: 2 .heic, 1 .xyz"
    assert formats.left_out(f".{n}" for n in range(10)).endswith("1 .7, 2 more kinds")


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(PictureError, match="gone: cannot be listed"):
        find_pictures(tmp_path / "gone")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_an_error(tmp_path: Path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    with pytest.raises(PictureError, match="locked: cannot be listed"):
        find_pictures(tmp_path)
