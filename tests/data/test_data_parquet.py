"""Parquet files of pictures from elsewhere: their columns, labels and splits, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.data.parquet import Columns, import_parquet
from mien.data.table import Table, read
from mien.errors import DataError, LabelError
from mien.expressions import BASIC_SEVEN


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (9, 8, 3), dtype=np.uint8)


def encoded(count: int) -> list[bytes]:
    return [cv2.imencode(".png", picture(k))[1].tobytes() for k in range(count)]


def source(path: Path, meta: dict[str, str] | None = None, **columns: Any) -> Path:
    """A Parquet file of the columns; 40 pictures, alternating labels and no split unless said."""
    images = columns.pop("image", encoded(40))
    columns = {"image": images, "label": [k % 2 for k in range(len(images))]} | columns
    arrow = pa.table({name: column for name, column in columns.items() if column is not None})
    pq.write_table(arrow.replace_schema_metadata(meta), path, row_group_size=16)
    return path


def imported(path: Path, out: Path | None = None, **options: Any) -> Table:
    out = out or path.with_suffix(".table")
    import_parquet(path, out, **options)
    return read(out)


def test_pictures_labels_and_splits_are_the_sources(tmp_path: Path) -> None:
    splits = ["train"] * 20 + ["Validation"] * 10 + ["test"] * 10
    table = imported(source(tmp_path / "a.parquet", {"classes": "cat,dog"}, split=splits))
    assert (table.pictures() == np.stack([picture(k)[..., ::-1] for k in range(40)])).all()
    assert [data for _, data, _ in table.encoded()] == encoded(40)
    assert table.labels.tolist() == [0, 1] * 20
    assert table.splits.tolist() == [split.lower() for split in splits]
    assert table.rows.tolist() == list(range(40))
    assert (table.info.name, table.info.label_set, table.info.labels) == ("a", "a", ("cat", "dog"))
    assert not table.info.official
    assert table.info.notes == ()
    assert table.info.source["pictures"] == 40


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (("train", "validation", "test"), ("train", "validation", "test")),
        (("training", "valid", "test"), ("train", "validation", "test")),
        (("Training", "PublicTest", "PrivateTest"), ("train", "validation", "test")),
        (("train", "val", "test"), ("train", "validation", "test")),
        (("train", "dev", "testing"), ("train", "validation", "test")),
    ],
)
def test_splits_have_many_names(tmp_path: Path, written: tuple[str, ...], meant: tuple[str, ...]) -> None:
    file = source(tmp_path / "a", {"classes": "a,b"}, image=encoded(3), split=pa.array(written).dictionary_encode())
    assert imported(file).splits.tolist() == list(meant)


def test_further_columns_come_along_and_persons_stay_together(tmp_path: Path) -> None:
    persons = [f"p{k // 4}" for k in range(40)]
    facts = {"person": persons, "age": [20 + k for k in range(40)], "box": [[1, 2]] * 40, "row": list(range(40))}
    facts["skin"] = pa.array(["I", None, "VI", "III"] * 10).dictionary_encode()
    file = source(tmp_path / "a", {"classes": "a,b"}, **facts)
    table = imported(file, columns=Columns(group="person"))
    assert table.column("person") == persons
    assert table.column("age") == facts["age"]
    assert table.column("skin") == ["I", None, "VI", "III"] * 10
    assert set(table.further) == {"person", "age", "skin"}
    assert "neither words nor numbers, or named as mien's own: box, row" in table.info.notes[0]
    assert all(len(set(table.splits[4 * k : 4 * k + 4])) == 1 for k in range(10))
    part = table.split("train")
    assert part.column("person") == [persons[row] for row in part.rows]
    table.write(tmp_path / "b")
    assert read(tmp_path / "b").column("skin") == table.column("skin")
    plain = imported(source(tmp_path / "c", {"classes": "a,b"}))
    assert plain.further == {}
    with pytest.raises(DataError, match="no column 'age'"):
        plain.column("age")


def test_rows_are_chosen_by_conditions(tmp_path: Path) -> None:
    rows = {"set": ["development"] * 30 + ["unlabelled"] * 10, "by": ["x", "y"] * 20, "n": list(range(40))}
    rows["label"] = ["happy" if k % 3 else "sad" for k in range(30)] + [None] * 10
    file = source(tmp_path / "a", **rows)
    options = {"columns": Columns(split="set"), "only": ["set=development", "by!=y"]}
    table = imported(file, **options)
    assert table.column("n") == list(range(0, 30, 2))
    assert set(table.splits) == {"validation"}
    assert (table.pictures() == np.stack([picture(k)[..., ::-1] for k in range(0, 30, 2)])).all()
    assert table.info.notes[0] == "15 of 40 rows read: set=development and by!=y"
    with pytest.raises(DataError, match="'unlabelled' is none of"):
        imported(file, columns=Columns(split="set"))
    for wrong, words in (("set", "expected COLUMN=VALUE"), ("sett=a", "of image, "), ("set=a", "no row of")):
        with pytest.raises(DataError, match=words):
            imported(file, only=[wrong])


def test_a_table_without_test_rows_is_fine(tmp_path: Path) -> None:
    table = imported(source(tmp_path / "a", {"classes": "a,b"}, split=["train"] * 30 + ["validation"] * 10))
    assert set(table.splits.tolist()) == {"train", "validation"}
    with pytest.raises(DataError, match="no 'test' rows"):
        table.split("test")


def test_without_splits_they_are_dealt_and_copies_stay_together(tmp_path: Path) -> None:
    file = source(tmp_path / "a", {"classes": "a,b"}, image=encoded(40) * 2)
    table = imported(file, validation=0.2, test=0.2, seed=3)
    assert {name: int((table.splits == name).sum()) for name in ("train", "validation", "test")} == {
        "train": 48,
        "validation": 16,
        "test": 16,
    }
    assert (table.splits[:40] == table.splits[40:]).all()
    assert table.groups.tolist() == [*range(40), *range(40)]
    assert "from seed 3" in table.info.notes[0]
    assert imported(file, seed=3).fingerprint != imported(file, seed=4).fingerprint


def test_train_rows_alone_give_a_validation_share(tmp_path: Path) -> None:
    table = imported(source(tmp_path / "a", {"classes": "a,b"}, split=["train"] * 40), validation=0.25)
    assert (table.splits == "validation").sum() == 10
    assert "25% of the source's train rows" in table.info.notes[0]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    file = tmp_path / "a"
    pq.write_table(
        pa.table(
            {
                "img": [{"bytes": data, "path": f"{k}.png"} for k, data in enumerate(encoded(4))],
                "emotion": ["Sadness", "joy", "sad", None],
                "part": ["train", "train", "val", "train"],
                "split": ["test"] * 4,
            }
        ),
        file,
    )
    table = imported(file, columns=Columns("img", "emotion", "part"))
    assert table.info.labels == ("happy", "sad")
    assert table.labels.tolist() == [1, 0, 1, -1]
    assert table.splits.tolist() == ["train", "train", "validation", "train"]
    assert [path for _, _, path in table.encoded()] == ["0.png", "1.png", "2.png", "3.png"]


def test_hugging_face_names_its_labels(tmp_path: Path) -> None:
    features = {"label": {"_type": "ClassLabel", "names": ["up", "down"]}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    assert imported(source(tmp_path / "a", meta)).info.labels == ("up", "down")


def test_named_labels_win_and_expressions_come_in_miens_order(tmp_path: Path) -> None:
    names = ["surprise", "fear", "disgust", "happiness", "sad", "anger", "neutral"]
    file = source(tmp_path / "a", {"classes": "a,b"}, label=[k % 7 for k in range(40)])
    table = imported(file, labels=names, label_set=None, name="RAF DB")
    assert (table.info.labels, table.info.label_set) == (BASIC_SEVEN, "fer2013")
    assert table.labels[:7].tolist() == [5, 2, 1, 3, 4, 0, 6]
    own = imported(source(tmp_path / "b"), labels=["no", "yes"], label_set="answers", name="RAF DB")
    assert (own.info.name, own.info.label_set, own.info.labels) == ("RAF DB", "answers", ("no", "yes"))


def test_words_are_a_label_set_of_their_own(tmp_path: Path) -> None:
    words = ["cat", "dog"] * 20
    assert imported(source(tmp_path / "a", label=words)).info.labels == ("cat", "dog")
    turned = imported(source(tmp_path / "b", label=words), labels=["Dog", "Cat"])
    assert (turned.info.labels, turned.labels[:2].tolist()) == (("Dog", "Cat"), [1, 0])


def test_names_that_are_digits_keep_their_places(tmp_path: Path) -> None:
    table = imported(source(tmp_path / "a", label=[0, 1] * 20), labels=["7", "3"])
    assert (table.info.labels, table.labels[:2].tolist()) == (("7", "3"), [0, 1])


def test_negative_numbers_are_no_labels(tmp_path: Path) -> None:
    assert imported(source(tmp_path / "a", {"classes": "a,b"}, label=[-1, 0] * 20)).labels[:2].tolist() == [-1, 0]


def test_progress_runs_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    imported(source(tmp_path / "a", {"classes": "a,b"}), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {80}


@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        (
            {"image": None, "img": encoded(40)},
            {},
            DataError,
            r"no column 'image', only label, img: name it with --image",
        ),
        ({}, {"columns": Columns(split="part")}, DataError, "no column 'part'.*--split"),
        ({"image": ["a"] * 40}, {}, DataError, "column 'image' is string, expected encoded pictures"),
        ({"label": [0.5] * 40}, {}, DataError, "column 'label' is double, expected whole numbers or names"),
        ({"label": [0, 1] * 20}, {}, LabelError, "labels are numbers.*--labels"),
        ({"label": [0, 2] * 20}, {"labels": ["a", "b"]}, LabelError, "row 1: label 2 is none of the 2 labels a, b"),
        ({"label": ["a", "c"] * 20}, {"labels": ["a", "b"]}, LabelError, "row 1: label 'c' is none of the 2"),
        ({"label": ["a"] * 40}, {}, LabelError, "the labels are a: expected two or more"),
        ({"label": ["happy", "joy"] * 20}, {"labels": ["happy", "joy"]}, LabelError, "happy, happy: expected two"),
        (
            {"label": ["a", "b"] * 20, "split": ["train"] * 39 + ["extra"]},
            {},
            DataError,
            "row 39: split 'extra' is none",
        ),
        (
            {"image": [*encoded(39), None], "label": ["a", "b"] * 20},
            {},
            DataError,
            "row 39: the picture cannot be read",
        ),
        ({"label": ["a", "b"] * 20}, {"validation": 0.5, "test": 0.5}, DataError, "leave rows for train"),
        (
            {"image": [], "label": pa.array([], "int8")},
            {"labels": ["a", "b"]},
            DataError,
            "expected encoded|has no rows",
        ),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, columns: Any, options: Any, error: type[Exception], message: str
) -> None:
    made = {"image": encoded(40), "label": [0, 1] * 20} | columns
    arrow = pa.table({name: column for name, column in made.items() if column is not None})
    pq.write_table(arrow, tmp_path / "a")
    with pytest.raises(error, match=message):
        import_parquet(tmp_path / "a", tmp_path / "t", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none does not exist"):
        import_parquet(tmp_path / "none", tmp_path / "t")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match="text is not a whole Parquet file"):
        import_parquet(tmp_path / "text", tmp_path / "t")
    import_parquet(source(tmp_path / "a", {"classes": "a,b"}), tmp_path / "t")
    with pytest.raises(DataError, match="is a mien table already"):
        import_parquet(tmp_path / "t", tmp_path / "u")


@pytest.mark.slow
def test_tiny_imagenet(shared: Path, tmp_path: Path) -> None:
    file = shared / "data" / "tiny-imagenet-gray48.parquet"
    table = imported(file, tmp_path / "t", name="tiny-imagenet")
    assert {name: int((table.splits == name).sum()) for name in ("train", "validation")} == {
        "train": 100_000,
        "validation": 10_000,
    }
    assert len(table.info.labels) == 200
    assert (np.bincount(table.labels) == 550).all()
    assert table.info.label_set == "tiny-imagenet"
    stored = pq.read_table(file, columns=["label"])["label"].to_numpy()
    assert (table.labels == stored).all()
