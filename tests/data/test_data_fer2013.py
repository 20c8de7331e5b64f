"""Every layout of FER2013 gives the same table; every wrong input says where and what was expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.data.fer2013 import import_fer2013
from mien.data.fer2013_layouts import detect_layout, parse_pixels
from mien.data.table import read
from mien.errors import DataError, LabelError
from mien.expressions import BASIC_SEVEN

USAGES = ["Training"] * 32 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
PIXELS = " ".join(["7"] * 2304)


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def test_csv_keeps_pixels_labels_and_splits(tmp_path: Path, faces, write_csv) -> None:
    import_fer2013(write_csv(faces), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet")
    assert (table.pictures(grey=True) == faces).all()
    assert table.labels.tolist() == [row % 7 for row in range(40)]
    assert table.splits.tolist() == ["train"] * 32 + ["validation"] * 4 + ["test"] * 4
    assert table.rows.tolist() == list(range(40))
    assert table.groups.tolist() == [*range(36), 0, 1, 2, 3]
    assert table.info.label_set == "fer2013"
    assert table.info.source["layout"] == "csv"
    assert len(table.info.source["sha256"]) == 64


@pytest.mark.parametrize("header", ["emotion, Usage, pixels", "\ufeffemotion,pixels,Usage", "Usage,Pixels,Emotion"])
def test_other_column_orders_give_the_same_table(tmp_path: Path, faces, write_csv, header: str) -> None:
    import_fer2013(write_csv(faces), tmp_path / "a.parquet")
    if header[0] == "\ufeff":
        source = write_csv(faces)
        source.write_text("\ufeff" + source.read_text(), encoding="utf-8")
    else:
        source = write_csv(faces, header)
    import_fer2013(source, tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet").fingerprint == read(tmp_path / "a.parquet").fingerprint


def test_windows_line_ends_do_not_matter(tmp_path: Path, faces, write_csv) -> None:
    source = write_csv(faces)
    import_fer2013(source, tmp_path / "a.parquet")
    source.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    import_fer2013(source, tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet").fingerprint == read(tmp_path / "a.parquet").fingerprint


def test_parquet_gives_the_same_table_as_csv(tmp_path: Path, faces, write_csv) -> None:
    arrow = pa.table(
        {
            "row": pa.array(range(40), pa.int32()),
            "usage": pa.array(USAGES).dictionary_encode(),
            "emotion": pa.array([row % 7 for row in range(40)], pa.int8()),
            "image": [png(face) for face in faces],
        }
    )
    pq.write_table(arrow, tmp_path / "source")
    assert detect_layout(tmp_path / "source") == "parquet"
    import_fer2013(tmp_path / "source", tmp_path / "a.parquet")
    import_fer2013(write_csv(faces), tmp_path / "b.parquet")
    assert read(tmp_path / "a.parquet").fingerprint == read(tmp_path / "b.parquet").fingerprint


def test_the_challenge_file_gets_a_grouped_validation_share(tmp_path: Path, write_csv) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (140, 48, 48), dtype=np.uint8)
    pictures[70:] = pictures[:70]  # row k + 70 is a copy of row k, with the same label
    source = write_csv(pictures, "emotion,pixels", ["Training"] * 140, "train.csv")
    import_fer2013(source, tmp_path / "t.parquet", validation=0.2)
    table = read(tmp_path / "t.parquet")
    assert set(table.splits.tolist()) == {"train", "validation"}
    assert (table.splits == "validation").sum() == 28
    assert (table.splits[:70] == table.splits[70:]).all()
    assert not table.info.official
    assert any("no test rows" in note for note in table.info.notes)
    assert any("20%" in note for note in table.info.notes)


def test_folders_with_the_usage_in_the_names(tmp_path: Path, faces, write_tree) -> None:
    tree = {f"train/{BASIC_SEVEN[k]}/Training_{k}.png": faces[k] for k in range(7)}
    tree["test/angry/PublicTest_1.png"] = faces[8]
    tree["test/Happiness/PrivateTest_2.png"] = faces[9]
    import_fer2013(write_tree(tree), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet")
    split_of = dict(zip([path for _, _, path in table.encoded()], table.splits.tolist(), strict=True))
    assert split_of["test/angry/PublicTest_1.png"] == "validation"
    assert split_of["test/Happiness/PrivateTest_2.png"] == "test"
    assert not any("told apart" in note for note in table.info.notes)


def test_folders_without_it_are_train_and_test_and_say_so(tmp_path: Path, write_tree) -> None:
    rng = np.random.default_rng(0)
    tree = {
        f"{split}/{label}/{k}.png": rng.integers(0, 256, (48, 48), dtype=np.uint8)
        for split, count in (("train", 10), ("test", 2))
        for label in BASIC_SEVEN
        for k in range(count)
    }
    import_fer2013(write_tree(tree), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet")
    assert {s: int((table.splits == s).sum()) for s in ("train", "validation", "test")} == {
        "train": 63,
        "validation": 7,
        "test": 14,
    }
    assert not table.info.official
    assert any("cannot be told apart" in note for note in table.info.notes)


def test_numbered_folders_have_the_numbers_of_fer2013(tmp_path: Path, faces, write_tree) -> None:
    tree = {"train/3/a.png": faces[0], "validation/0/b.png": faces[1], "test/6/c.png": faces[2]}
    import_fer2013(write_tree(tree), tmp_path / "t.parquet")
    assert sorted(read(tmp_path / "t.parquet").labels.tolist()) == [0, 3, 6]


def test_votes_are_joined_by_row(tmp_path: Path, faces, write_csv, votes_csv) -> None:
    import_fer2013(write_csv(faces), tmp_path / "t.parquet", ferplus_file=votes_csv(USAGES))
    table = read(tmp_path / "t.parquet")
    assert table.truth("ferplus").tolist() == [BASIC_SEVEN.index("happy")] * 40
    assert table.info.source["ferplus"]["file"] == "fer2013new.csv"


def test_the_challenge_file_takes_the_votes_of_training(tmp_path: Path, faces, write_csv, votes_csv) -> None:
    source = write_csv(faces[:32], "emotion,pixels", ["Training"] * 32)
    import_fer2013(source, tmp_path / "t.parquet", ferplus_file=votes_csv(USAGES))
    assert (read(tmp_path / "t.parquet").truth("ferplus") == 3).all()


def line(emotion: object = 0, pixels: str = PIXELS, usage: str = "Training") -> str:
    return f"{emotion},{pixels},{usage}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected the columns emotion, pixels and Usage"),
        ("emotion,pixels,Usage\n", r"no rows: expected 35,887"),
        ("emotion,Usage\n0,Training\n", r"no column pixels in its first line, which reads: emotion, Usage"),
        (f"0,{PIXELS},Training\n", r"no column emotion and pixels"),
        (f"emotion,pixels,Usage\n{line()}\n{line(pixels=PIXELS[2:])}\n", r"line 3: 2,303 pixels, expected 2,304"),
        (f"emotion,pixels,Usage\n{line(pixels='256' + PIXELS[1:])}\n", r"line 2: pixel value 256, expected 0-255"),
        (f"emotion,pixels,Usage\n{line(pixels='-1' + PIXELS[1:])}\n", r"line 2: pixel value '-1'"),
        (f"emotion,pixels,Usage\n{line(pixels='9.5' + PIXELS[1:])}\n", r"line 2: pixel value '9.5'"),
        (f"emotion,pixels,Usage\n{line(pixels='')}\n", r"line 2: pixel value ''"),
        (f"emotion,pixels,Usage\n{line(9)}\n", r"line 2: emotion '9' is not one of 0-6 \(angry"),
        (f"emotion,pixels,Usage\n{line('x')}\n", r"line 2: emotion 'x'"),
        (f"emotion,pixels,Usage\n{line(usage='Test')}\n", r"line 2: usage 'Test' is none of Training, PublicTest"),
        (f"emotion,pixels,Usage\n{line()}\n0,1 2 3", r"line 3: 2 fields, expected 3.*cut off"),
    ],
)
def test_wrong_csv_names_the_line_and_leaves_nothing(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        import_fer2013(tmp_path / "bad.csv", tmp_path / "t.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_a_binary_file_is_no_csv(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + bytes(range(256)) * 4)
    with pytest.raises(DataError, match=r"x\.zip.*not CSV text"):
        import_fer2013(tmp_path / "x.zip", tmp_path / "t.parquet")


def test_a_cut_off_file_of_whole_rows_is_not_official(tmp_path: Path, faces, write_csv) -> None:
    import_fer2013(write_csv(faces), tmp_path / "t.parquet")
    info = read(tmp_path / "t.parquet").info
    assert not info.official
    assert any("40 of FER2013's 35,887" in note for note in info.notes)


def test_a_cut_off_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"row": [1]}), tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-20])
    with pytest.raises(DataError, match="cut is not a whole Parquet file"):
        import_fer2013(tmp_path / "cut", tmp_path / "t.parquet")


def test_parquet_without_a_column_or_with_a_broken_picture_is_refused(tmp_path: Path) -> None:
    columns = {"row": [5], "usage": ["Training"], "emotion": [0], "image": [b"no picture"]}
    pq.write_table(pa.table(columns), tmp_path / "broken")
    with pytest.raises(DataError, match=r"broken, row 5: the picture cannot be read"):
        import_fer2013(tmp_path / "broken", tmp_path / "t.parquet")
    del columns["emotion"]
    pq.write_table(pa.table(columns), tmp_path / "less")
    with pytest.raises(DataError, match="less has no column emotion"):
        import_fer2013(tmp_path / "less", tmp_path / "t.parquet")


def test_a_table_is_not_imported_twice(tmp_path: Path, faces, write_csv) -> None:
    import_fer2013(write_csv(faces), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="is a mien table already"):
        import_fer2013(tmp_path / "t.parquet", tmp_path / "u.parquet")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist: expected fer2013\.csv"):
        import_fer2013(tmp_path / "nowhere.csv", tmp_path / "t.parquet")


def test_wrong_folders_name_the_file(tmp_path: Path, faces, write_tree) -> None:
    def fails(root: Path, message: str, kind: type[DataError] = DataError) -> None:
        with pytest.raises(kind, match=message):
            import_fer2013(root, tmp_path / "t.parquet")
        assert not (tmp_path / "t.parquet").exists()

    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "empty holds no class folders")
    root = write_tree({"train/angry/a.png": faces[0]}, "broken")
    (root / "train/angry/b.png").write_bytes(b"")
    fails(root, r"train/angry/b\.png is not a readable picture")
    fails(write_tree({"train/sad/a.png": faces[0][:40]}, "small"), r"a\.png is 48x40 px, expected 48x48")
    fails(write_tree({"angry/1.png": faces[0]}, "flat"), r"angry/1\.png lies in no train or test folder")
    fails(write_tree({"train/contempt/1.png": faces[0]}, "eight"), "FER2013 has no contempt", LabelError)
    fails(write_tree({"train/bored/1.png": faces[0]}, "other"), "'bored' is not an expression", LabelError)
    fails(
        write_tree({"train/sad/PublicTest_1.png": faces[0]}, "swapped"), "named PublicTest but lies in a train folder"
    )


def test_wrong_votes_name_the_file_or_line(
    tmp_path: Path, faces, write_csv, write_tree, votes_csv: Callable[..., Path]
) -> None:
    source = write_csv(faces)

    def fails(votes: Path, message: str, data: Path = source) -> None:
        with pytest.raises(DataError, match=message):
            import_fer2013(data, tmp_path / "t.parquet", ferplus_file=votes)
        assert not (tmp_path / "t.parquet").exists()

    fails(votes_csv(USAGES[1:]), r"votes for 39 such rows, .*fer2013\.csv has 40")
    fails(votes_csv([*USAGES[1:], "Training"]), r"line 33 is PublicTest, but row 31 of .* is train")
    short = votes_csv(USAGES)
    short.write_text(short.read_text()[:-10])
    fails(short, r"line 41: 8 fields, expected 12")
    short.write_text(short.read_text().replace(",10,", ",ten,"))
    fails(short, r"line 2: votes .*'ten'")
    fails(source, r"fer2013\.csv has no column neutral")
    fails(tmp_path / "none.csv", r"none\.csv is not a readable CSV file")
    folders = write_tree({"train/sad/a.png": faces[0], "test/sad/b.png": faces[1]})
    fails(votes_csv(USAGES), "class folders do not keep", folders)


def test_a_failed_import_leaves_an_older_table_alone(tmp_path: Path, faces, write_csv) -> None:
    out = tmp_path / "t.parquet"
    import_fer2013(write_csv(faces), out)
    before = out.read_bytes()
    (tmp_path / "bad.csv").write_text("emotion,pixels\n0,1 2 3\n")
    with pytest.raises(DataError, match="3 pixels"):
        import_fer2013(tmp_path / "bad.csv", out)
    assert out.read_bytes() == before


def test_progress_is_reported(tmp_path: Path, faces, write_csv) -> None:
    seen: list[tuple[int, int]] = []
    source = write_csv(faces)
    import_fer2013(source, tmp_path / "t.parquet", progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert all(0 <= done <= total == source.stat().st_size for done, total in seen)


def test_pixel_values_do_not_wrap_around() -> None:
    with pytest.raises(DataError, match="pixel value 65541"):
        parse_pixels("65541" + PIXELS[1:], "row 1")


def test_the_table_names_its_classes_for_other_readers(tmp_path: Path, faces, write_csv) -> None:
    import_fer2013(write_csv(faces), tmp_path / "t.parquet")
    features = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == list(BASIC_SEVEN)
