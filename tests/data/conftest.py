"""Small made-up data sets: no real face, every layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Faces = NDArray[np.uint8]
WriteCsv = Callable[..., Path]
WriteTree = Callable[..., Path]


@pytest.fixture
def faces() -> Faces:
    """(40, 48, 48) grey pictures; the last four equal the first four."""
    made = np.random.default_rng(7).integers(0, 256, (40, 48, 48), dtype=np.uint8)
    made[36:] = made[:4]
    return made


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Writes a FER2013 CSV file of (label, picture, usage) rows with the given header."""

    def write(
        pictures: Faces,
        header: str = "emotion,pixels,Usage",
        usages: Sequence[str] | None = None,
        name: str = "fer2013.csv",
    ) -> Path:
        if usages is None:
            usages = ["Training"] * (len(pictures) - 8) + ["PublicTest"] * 4 + ["PrivateTest"] * 4
        lines = [header]
        for index, (picture, usage) in enumerate(zip(pictures, usages, strict=True)):
            fields = {"emotion": str(index % 7), "pixels": " ".join(map(str, picture.ravel())), "usage": usage}
            lines.append(",".join(fields[column.strip().lower()] for column in header.split(",")))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def write_tree(tmp_path: Path) -> WriteTree:
    """Writes pictures to relative paths below a new folder and returns that folder."""

    def write(pictures: dict[str, Faces], root: str = "faces") -> Path:
        for path, picture in pictures.items():
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(file), picture)
        return tmp_path / root

    return write


@pytest.fixture
def votes_csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes a FER+ file with one clear vote a row: everybody says happiness."""

    def write(usages: Sequence[str]) -> Path:
        lines = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
        lines += [f"{usage},fer{row:07}.png,0,10,0,0,0,0,0,0,0,0" for row, usage in enumerate(usages)]
        path = tmp_path / "fer2013new.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write
