"""Originals of data sets in small: what is read of each layout, and what is said of layouts that are not it."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data.affectnet import import_affectnet
from mien.data.ckplus import import_ckplus
from mien.data.folder import import_folder
from mien.data.jaffe import import_jaffe
from mien.data.kdef import import_kdef
from mien.data.listed import Deal
from mien.data.rafdb import import_rafdb
from mien.data.table import Table, read
from mien.errors import DataError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN


def noise(seed: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def paths(table: Table) -> list[str]:
    return [path for _, _, path in table.encoded()]


def labelled(table: Table) -> dict[str, str]:
    names = [table.info.labels[label] for label in table.labels]
    return dict(zip(paths(table), names, strict=True))


def fails(make, message: str, out: Path) -> None:
    with pytest.raises(DataError, match=message):
        make()
    assert not out.exists()
    assert not list(out.parent.glob(".*partial"))


CK_CODES = {"005": 3, "010": 1, "011": 2, "014": 5, "022": 6, "026": 7, "028": 4, "032": 0}


@pytest.fixture
def ckplus(tmp_path: Path, write_tree) -> Path:
    """Eight people with two sequences of five frames each; the second ones have no label."""
    tree = {}
    for person in CK_CODES:
        for sequence in ("001", "002"):
            for frame in range(1, 6):
                name = f"S{person}_{sequence}_{frame:08}.png"
                tree[f"cohn-kanade-images/S{person}/{sequence}/{name}"] = noise(int(person + sequence) * 10 + frame)
    root = write_tree(tree, "CK+")
    for person, code in CK_CODES.items():
        folder = root / "Emotion" / f"S{person}"
        (folder / "002").mkdir(parents=True)
        (folder / "001").mkdir()
        (folder / "001" / f"S{person}_001_00000005_emotion.txt").write_text(f"   {code}.0000000e+00\n")
    return root


def test_ckplus_takes_the_last_frames_and_the_first_as_neutral(ckplus: Path, tmp_path: Path) -> None:
    import_ckplus(ckplus, tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet")
    assert table.info.labels == BASIC_EIGHT
    assert (table.info.name, table.info.official) == ("ckplus", False)
    assert len(table) == 8 * 4
    found = labelled(table)
    expected = ("neutral", "disgust", "disgust", "disgust")
    frames = [f"cohn-kanade-images/S005/001/S005_001_{frame:08}.png" for frame in (1, 3, 4, 5)]
    assert tuple(found[frame] for frame in frames) == expected
    names = {"010": "angry", "011": "contempt", "014": "happy", "022": "sad", "026": "surprise", "028": "fear"}
    for person, name in names.items():
        assert found[f"cohn-kanade-images/S{person}/001/S{person}_001_00000005.png"] == name
    people = np.array([path.split("/")[1] for path in paths(table)])
    for person in set(people.tolist()):
        assert len(set(table.splits[people == person].tolist())) == 1
        assert len(set(table.groups[people == person].tolist())) == 1
    assert set(table.splits.tolist()) == {"train", "validation", "test"}
    assert "8 of CK+'s 327 labelled sequences: a part" in table.info.notes
    assert (ckplus / frames[0]).read_bytes() == next(data for _, data, path in table.encoded() if path == frames[0])


def test_ckplus_with_other_frames_and_wrapped_folders(ckplus: Path, tmp_path: Path) -> None:
    (ckplus / "Emotion_labels").mkdir()
    (ckplus / "Emotion").rename(ckplus / "Emotion_labels" / "Emotion")
    import_ckplus(ckplus, tmp_path / "a", frames=1)
    assert len(read(tmp_path / "a")) == 16
    import_ckplus(ckplus, tmp_path / "b", frames=99)  # the first frame stays neutral
    table = read(tmp_path / "b")
    assert len(table) == 40
    assert (table.labels == BASIC_EIGHT.index("neutral")).sum() == 8 + 4


def test_what_is_not_ckplus_is_refused(ckplus: Path, tmp_path: Path, write_tree) -> None:
    out = tmp_path / "t"
    fails(lambda: import_ckplus(ckplus, out, frames=0), "0 frames of each sequence", out)
    fails(lambda: import_ckplus(tmp_path / "none", out), "none is not a folder", out)
    other = write_tree({"happy/1.png": noise(1)}, "other")
    fails(lambda: import_ckplus(other, out), r"no folder cohn-kanade-images: expected CK\+ with cohn-kanade", out)
    file = ckplus / "Emotion/S010/001/S010_001_00000005_emotion.txt"
    for text in ("", "x", "8.0", "2.5", "nan", "-1"):
        file.write_text(text)
        fails(lambda: import_ckplus(ckplus, out), "S010_001_00000005_emotion.txt.*from 0 to 7", out)
    file.write_text("1.0")
    picture = ckplus / "cohn-kanade-images/S010/001/S010_001_00000005.png"
    picture.write_bytes(picture.read_bytes()[:40])
    fails(lambda: import_ckplus(ckplus, out), r"S010_001_00000005\.png is not a readable picture", out)
    for frame in picture.parent.iterdir():
        frame.unlink()
    fails(lambda: import_ckplus(ckplus, out), "S010/001 holds 0 frames, though .* labels it", out)
    for label in ckplus.glob("Emotion/*/*/*.txt"):
        label.unlink()
    fails(lambda: import_ckplus(ckplus, out), "Emotion holds no labels", out)


JAFFE = ("AN1.39", "DI1.42", "FE2.46", "HA3.31", "NE1.26", "SA1.33", "SU2.37")


def test_jaffe_reads_people_and_expressions_in_names(tmp_path: Path, write_tree) -> None:
    people = ("KA", "KL", "KM", "KR", "MK")
    tree = {f"{p}.{code}.tiff": noise(10 * i + j) for i, p in enumerate(people) for j, code in enumerate(JAFFE)}
    root = write_tree(tree | {"cover.png": noise(99)}, "jaffe")
    (root / "README").write_text("x")
    import_jaffe(root, tmp_path / "t", deal=Deal(0.2, 0.2, seed=3))
    table = read(tmp_path / "t")
    assert (table.info.label_set, table.info.labels) == ("fer2013", BASIC_SEVEN)
    found = labelled(table)
    own = [found[f"KA.{code}.tiff"] for code in JAFFE]
    assert own == ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    person = np.array([path[:2] for path in paths(table)])
    assert Counter(table.splits.tolist()) == {"train": 21, "validation": 7, "test": 7}
    assert all(len(set(table.splits[person == p].tolist())) == 1 for p in people)
    assert "1 pictures left out, whose names are not such as KA.AN1.39.tiff: cover.png" in table.info.notes
    assert "35 pictures, where JAFFE has 213" in table.info.notes
    assert "seed 3" in table.info.notes[-1]


def test_what_is_not_jaffe_is_refused(tmp_path: Path, write_tree) -> None:
    out = tmp_path / "t"
    fails(lambda: import_jaffe(tmp_path / "none", out), "none is not a folder", out)
    root = write_tree({"KA.XX1.39.tiff": noise(1), "a.png": noise(2)}, "a")
    fails(lambda: import_jaffe(root, out), r"no picture with a name such as KA\.AN1\.39\.tiff", out)


@pytest.fixture
def kdef(write_tree) -> Path:
    codes = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
    every = product("AB", ("F01", "F02", "M01", "M31"), codes, ("S", "FL", "HR"))
    tree = {
        f"KDEF/{session}{person}/{session}{person}{code}{angle}.JPG": noise(seed)
        for seed, (session, person, code, angle) in enumerate(every)
    }
    return write_tree(tree | {"KDEF/AM31/AM31H.JPG": noise(901), "AKDEF/AFANS.png": noise(902)}, "kdef")


def test_kdef_reads_names_and_keeps_people_together_over_sessions(kdef: Path, tmp_path: Path) -> None:
    import_kdef(kdef, tmp_path / "t", deal=Deal(0.25, 0.25))
    table = read(tmp_path / "t")
    assert len(table) == 4 * 2 * 7
    assert all(path.endswith("S.JPG") for path in paths(table))
    found = labelled(table)
    codes = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
    own = [found[f"KDEF/AF01/AF01{code}S.JPG"] for code in codes]
    assert own == ["fear", "angry", "disgust", "happy", "neutral", "sad", "surprise"]
    person = np.array([path.rpartition("/")[2][1:4] for path in paths(table)])
    assert {p: len(set(table.splits[person == p].tolist())) for p in set(person.tolist())} == dict.fromkeys(
        ("F01", "F02", "M01", "M31"), 1
    )
    assert "56 of 168 pictures: those from the angles S" in table.info.notes
    assert any("KDEF/AM31/AM31H.JPG" in note and "AKDEF/AFANS.png" in note for note in table.info.notes)


def test_kdef_angles(kdef: Path, tmp_path: Path) -> None:
    import_kdef(kdef, tmp_path / "t", angles=("fl", "S"))
    assert len(read(tmp_path / "t")) == 112
    out = tmp_path / "u"
    fails(lambda: import_kdef(kdef, out, angles=("X",)), "angles 'X' are not among KDEF's FL, HL, S, HR, FR", out)
    fails(lambda: import_kdef(kdef, out, angles=("HL",)), "no picture from the angles HL", out)


@pytest.fixture
def rafdb(write_tree) -> Path:
    tree, lines = {}, []
    for split, count in (("train", 70), ("test", 14)):
        for k in range(count):
            seed = k + 1000 * (split == "test")
            tree[f"basic/Image/aligned/{split}_{k:05}_aligned.jpg"] = noise(seed)
            tree[f"basic/Image/original/{split}_{k:05}.jpg"] = noise(seed, 12, 16)
            lines.append(f"{split}_{k:05}.jpg {k % 7 + 1}")
    root = write_tree(tree, "RAF-DB")
    (root / "basic/EmoLabel").mkdir()
    (root / "basic/EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def test_rafdb_keeps_the_authors_test_split(rafdb: Path, tmp_path: Path) -> None:
    import_rafdb(rafdb, tmp_path / "t", deal=Deal(0.2))
    table = read(tmp_path / "t")
    assert table.info.labels == BASIC_SEVEN
    assert Counter(table.splits.tolist()) == {"train": 56, "validation": 14, "test": 14}
    assert not table.info.official  # 84 of 15,339 pictures
    found = labelled(table)
    own = [found[f"basic/Image/aligned/train_{k:05}_aligned.jpg"] for k in range(7)]
    assert own == ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]
    of_test = [path for path, split in zip(paths(table), table.splits, strict=True) if split == "test"]
    assert all("/test_" in path for path in of_test)
    import_rafdb(rafdb / "basic", tmp_path / "u", original=True)
    assert read(tmp_path / "u").take(np.arange(1)).pictures().shape == (1, 12, 16, 3)


def test_rafdb_is_official_only_as_published(rafdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.rafdb.PUBLISHED", {"train": 70, "test": 14})
    import_rafdb(rafdb, tmp_path / "t")
    table = read(tmp_path / "t")
    assert table.info.official
    assert "validation is 10% of the source's train rows" in table.info.notes[0]


def test_what_is_not_rafdb_is_refused(rafdb: Path, tmp_path: Path) -> None:
    out = tmp_path / "t"
    labels = rafdb / "basic/EmoLabel/list_patition_label.txt"
    whole = labels.read_text()
    for line in ("train_00001.jpg 8", "train_00001.jpg", "valid_00001.jpg 1", "train_00001 1", "train_00001.jpg x"):
        labels.write_text("train_00000.jpg 1\n" + line)
        fails(lambda: import_rafdb(rafdb, out), "line 2 reads .*a code from 1 to 7", out)
    labels.write_text("\n")
    fails(lambda: import_rafdb(rafdb, out), "has no lines", out)
    labels.write_text(whole + "train_99999.jpg 1\n")
    fails(lambda: import_rafdb(rafdb, out), r"train_99999_aligned\.jpg is not a readable picture", out)
    labels.unlink()
    fails(lambda: import_rafdb(rafdb, out), "is no readable list: expected RAF-DB with EmoLabel", out)
    fails(lambda: import_rafdb(rafdb / "basic/Image", out), "holds no folder EmoLabel", out)
    labels.write_text(whole)
    (rafdb / "basic/Image/aligned").rename(rafdb / "basic/Image/other")
    fails(lambda: import_rafdb(rafdb, out), "aligned is not there: expected .* --original", out)


HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
IMAGES = "Manually_Annotated/Manually_Annotated_Images"


@pytest.fixture
def affectnet(write_tree) -> Path:
    """22 training rows and 11 validation rows with all eleven codes; faces of 6x6 px at (4, 2) of the pictures."""
    tree, lists = {}, {}
    for name, count in (("training", 22), ("validation", 11)):
        lines = [HEADER]
        for k in range(count):
            path = f"{k % 3}/{name}{k}.png"
            tree[f"{IMAGES}/{path}"] = noise(k + 1000 * (name == "training"), 20, 16)
            box = "NULL,NULL,NULL,NULL,NULL" if k % 11 == 10 else "4,2,6,6,1.5;2.5;3;4"
            lines.append(f"{path},{box},{k % 11},0.1,-2")
        lists[name] = "\n".join(lines)
    root = write_tree(tree, "AffectNet")
    (root / "Manually_Annotated_file_lists").mkdir()
    for name, text in lists.items():
        (root / "Manually_Annotated_file_lists" / f"{name}.csv").write_text(text + "\n")
    return root


def test_affectnet_lists(affectnet: Path, tmp_path: Path) -> None:
    import_affectnet(affectnet, tmp_path / "t", deal=Deal(0.25))
    table = read(tmp_path / "t")
    assert table.info.labels == BASIC_EIGHT
    assert Counter(table.splits.tolist()) == {"train": 12, "validation": 4, "test": 8}
    names = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"]
    found = labelled(table)
    assert [found[f"{IMAGES}/{k % 3}/validation{k}.png"] for k in range(8)] == names
    place = paths(table).index(f"{IMAGES}/0/training0.png")
    face = table.take(np.array([place])).pictures()[0]
    assert np.array_equal(face, noise(1000, 20, 16)[2:8, 4:10, ::-1])
    assert any(note.startswith("9 rows left out") for note in table.info.notes)
    assert "test is the authors' validation split, since their test split was not published" in table.info.notes
    import_affectnet(affectnet, tmp_path / "small", size=3)
    assert read(tmp_path / "small").pictures().shape == (24, 3, 3, 3)


def test_affectnet_is_official_only_as_published(affectnet: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mien.data.affectnet.PUBLISHED", ({"train": 1, "test": 1}, {"train": 16, "test": 8}))
    import_affectnet(affectnet, tmp_path / "t")
    assert read(tmp_path / "t").info.official


def test_a_few_damaged_pictures_of_affectnet_are_left_out(affectnet: Path, tmp_path: Path, monkeypatch) -> None:
    (affectnet / IMAGES / "1/training1.png").write_bytes(b"no picture")
    (affectnet / IMAGES / "2/training2.png").unlink()
    lists = affectnet / "Manually_Annotated_file_lists/training.csv"
    text = lists.read_text().replace("0/training3.png,4,2", "0/training3.png,400,200")
    lists.write_text(text)
    import_affectnet(affectnet, tmp_path / "t")
    table = read(tmp_path / "t")
    assert len(table) == 21
    lost = [f"{IMAGES}/1/training1.png", f"{IMAGES}/2/training2.png", f"{IMAGES}/0/training3.png"]
    assert table.info.source["left_out"] == {"damaged": lost}
    assert any(note.startswith("3 of 24 pictures left out, which are missing") for note in table.info.notes)
    assert table.rows.tolist() == [row for row in range(24) if row not in (1, 2, 3)]
    monkeypatch.setattr("mien.data.listed._DAMAGED_AT_LEAST", 2)
    fails(lambda: import_affectnet(affectnet, tmp_path / "u"), "more than 2 of 24 pictures are missing", tmp_path / "u")


def test_affectnet_sets(tmp_path: Path, write_tree) -> None:
    tree = {f"train_set/images/{k}.jpg": noise(k) for k in range(20)}
    root = write_tree(tree | {f"val_set/images/{k}.jpg": noise(100 + k) for k in range(10)}, "AffectNet")
    for name, count in (("train_set", 20), ("val_set", 10)):
        (root / name / "annotations").mkdir()
        for k in range(count):
            value = str(k % 10) if k % 2 else k % 10  # the release has text
            np.save(root / name / "annotations" / f"{k}_exp.npy", np.array(value))
    import_affectnet(root, tmp_path / "t")
    table = read(tmp_path / "t")
    assert len(table) == 16 + 8
    assert labelled(table)["val_set/images/7.jpg"] == "contempt"
    assert paths(table)[8:10] == ["train_set/images/10.jpg", "train_set/images/11.jpg"]
    assert (table.splits == "test").sum() == 8
    out = tmp_path / "u"
    np.save(root / "val_set/annotations/3_exp.npy", np.array([1, 2]))
    fails(lambda: import_affectnet(root, out), r"3_exp\.npy holds no label", out)
    (root / "val_set/annotations/3_exp.npy").unlink()
    fails(lambda: import_affectnet(root, out), r"3_exp\.npy holds no label", out)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (HEADER, HEADER.replace("face_x", "x"), "training.csv has no column face_x in its first line"),
        ("0/training0.png,4,2,6,6,1.5;2.5;3;4,0,0.1,-2", "0/training0.png,4,2", "line 2 is cut off"),
        ("1.5;2.5;3;4,1,", "1.5;2.5;3;4,11,", "line 3: expression '11', expected a number from 0 to 10"),
        ("1.5;2.5;3;4,1,", "1.5;2.5;3;4,,", "line 3: expression ''"),
        ("1/training1.png,4,2,6,6", "1/training1.png,4,2,6,NULL", "line 3: the face box is no four numbers"),
        ("1/training1.png,4,2,6,6", "1/training1.png,4,2,0,6", "line 3: the face box is 0x6 pixels"),
        ("0/training0.png", "0/absent.png", "line 2: 0/absent.png is not in .*unpacked"),
    ],
)
def test_damaged_lists_of_affectnet_are_refused(
    affectnet: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = affectnet / "Manually_Annotated_file_lists/training.csv"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    fails(lambda: import_affectnet(affectnet, tmp_path / "t"), message, tmp_path / "t")


def test_what_is_not_affectnet_is_refused(affectnet: Path, tmp_path: Path) -> None:
    (affectnet / "Manually_Annotated_file_lists/validation.csv").unlink()
    out = tmp_path / "t"
    fails(lambda: import_affectnet(affectnet, out), r"is not AffectNet as it is given out: expected .*train_set", out)


def test_mma_is_a_folder_of_class_folders(tmp_path: Path, write_tree) -> None:
    words = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    every = product(("train", "valid", "test"), words, range(2))
    tree = {f"{split}/{word}/{k}.jpg": noise(seed) for seed, (split, word, k) in enumerate(every)}
    import_folder(write_tree(tree, "MMAFEDB"), tmp_path / "t", name="mma")
    table = read(tmp_path / "t")
    assert (table.info.name, table.info.labels, table.info.official) == ("mma", BASIC_SEVEN, False)
    assert Counter(table.splits.tolist()) == {"train": 14, "validation": 14, "test": 14}


def test_jpeg_names_in_any_case(tmp_path: Path) -> None:
    root = tmp_path / "kdef"
    root.mkdir()
    for k, name in enumerate(("af01ans.jpg", "bm02has.JPG", "AF03NES.jpeg")):
        cv2.imwrite(str(root / name), noise(k))
    import_kdef(root, tmp_path / "t", deal=Deal(0, 0))
    assert sorted(labelled(read(tmp_path / "t")).values()) == ["angry", "happy", "neutral"]
