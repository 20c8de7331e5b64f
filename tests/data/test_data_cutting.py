"""Faces cut out of the pictures of a data set on the way into the table."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data.cutting import Cut, Cutter
from mien.data.jaffe import import_jaffe
from mien.data.listed import Deal
from mien.data.table import read
from mien.detection.base import Detection
from mien.detection.detectors import build
from mien.detection.framing import FER2013_FRAMING, crop
from mien.errors import DataError, DetectorError
from mien.results import Box
from mien.sources.images import read as read_picture

PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"


class TwoFaces:
    """Finds a small and a large face in pictures that are not dark."""

    name = "yunet"
    notice = None

    def detect(self, picture, *, longest=800):
        if picture.mean() < 50:
            return []
        return [Detection(Box(0, 0, 4, 4)), Detection(Box(6, 5, 20, 20))]


@pytest.fixture
def two_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.cutting.build", lambda name: TwoFaces())


def picture(seed: int, dark: bool = False) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 40 if dark else 256, (40, 40, 3), dtype=np.uint8)


@pytest.mark.usefixtures("two_faces")
def test_the_largest_face_is_framed_as_fer2013s(tmp_path: Path, write_tree) -> None:
    root = write_tree({f"KA.AN1.{k}.png": picture(k, dark=k == 2) for k in range(4)})
    import_jaffe(root, tmp_path / "t", deal=Deal(0, 0), cut=Cut("yunet"))
    table = read(tmp_path / "t")
    assert table.rows.tolist() == [0, 1, 3]
    framing = FER2013_FRAMING["yunet"]
    expected = crop(picture(3)[..., ::-1], Box(6, 5, 20, 20), framing, 21, 21)
    assert np.array_equal(table.pictures()[2], expected)
    assert "1 of 4 pictures left out, in which yunet finds no face: KA.AN1.2.png" in table.info.notes
    assert table.info.source["faces"] == "yunet"
    assert table.info.source["left_out"] == {"without a face": ["KA.AN1.2.png"]}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["t"]


@pytest.mark.usefixtures("two_faces")
def test_large_faces_are_shrunk_and_grey_ones_stay_grey(tmp_path: Path, write_tree) -> None:
    grey = cv2.cvtColor(picture(1), cv2.COLOR_BGR2GRAY)
    root = write_tree({"KA.AN1.1.png": grey, "KA.AN1.2.png": grey})
    import_jaffe(root, tmp_path / "t", deal=Deal(0, 0), cut=Cut("yunet", 10))
    table = read(tmp_path / "t")
    assert table.pictures().shape == (2, 10, 10, 3)
    stored = [data for _, data, _ in table.encoded()]
    assert cv2.imdecode(np.frombuffer(stored[0], np.uint8), cv2.IMREAD_UNCHANGED).ndim == 2
    assert table.groups.tolist() == [0, 0]


@pytest.mark.usefixtures("two_faces")
def test_pictures_without_any_face_make_no_table(tmp_path: Path, write_tree) -> None:
    root = write_tree({f"KA.AN1.{k}.png": picture(k, dark=True) for k in range(3)})
    with pytest.raises(DataError, match="3 pictures are listed, and in none of them a face is found"):
        import_jaffe(root, tmp_path / "t", cut=Cut("yunet"))
    assert not (tmp_path / "t").exists()


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at most 0 pixels a side"):
        Cutter(tmp_path / "t", Cut(size=0))
    with pytest.raises(DetectorError, match="no face detector is called 'eyes'"):
        Cutter(tmp_path / "t", Cut("eyes"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="cannot write"):
        Cutter(tmp_path / "file" / "t", Cut())


def test_a_real_detector_cuts_a_real_face(tmp_path: Path) -> None:
    root = tmp_path / "jaffe"
    root.mkdir()
    shutil.copy(PORTRAIT, root / "KA.HA1.1.jpg")
    import_jaffe(root, tmp_path / "t", deal=Deal(0, 0), cut=Cut("haar", 48))
    face = read(tmp_path / "t").pictures()[0]
    pixels = read_picture(PORTRAIT)
    largest = max((found.box for found in build("haar").detect(pixels)), key=lambda box: box.width)
    assert abs(largest.x + largest.width / 2 - 224) < 40  # the astronaut's face, not her patch
    assert np.array_equal(face, crop(pixels, largest, FER2013_FRAMING["haar"], 48, 48))
