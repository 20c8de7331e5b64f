"""Class folders of any kind: what they mean, how they are split, what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data.class_folders import find_pictures, label_folders, read_labels
from mien.data.folder import About, import_folder, read_about
from mien.data.table import read
from mien.errors import DataError, LabelError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN


def colour(seed: int, height: int = 12, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def many(labels: list[str], each: int) -> dict[str, np.ndarray]:
    return {
        f"{label}/p{k % 5}_{k}.png": colour(1000 * index + k) for index, label in enumerate(labels) for k in range(each)
    }


def test_spellings_are_mapped_and_the_seven_are_fer2013s() -> None:
    folders = {"Anger", "DISGUST", "fearful", "1_happiness", "sadness", "surprised", "Neutral"}
    labels, index_of = label_folders(folders)
    assert labels == BASIC_SEVEN
    assert index_of["1_happiness"] == 3


def test_numbered_folders_take_their_names_in_order() -> None:
    names = ["surprise", "fear", "disgust", "happiness", "sad", "anger", "neutral"]
    labels, index_of = label_folders({"1", "2", "3", "4", "5", "6", "7"}, names)
    assert labels == BASIC_SEVEN
    assert index_of == {"1": 5, "2": 2, "3": 1, "4": 3, "5": 4, "6": 0, "7": 6}
    assert label_folders({"10", "9"}, ["no", "yes"]) == (("no", "yes"), {"9": 0, "10": 1})


def test_a_label_set_of_ones_own_keeps_its_order() -> None:
    labels, index_of = label_folders({"Engaged", "bored"}, ["engaged", "bored", "away"])
    assert labels == ("engaged", "bored", "away")
    assert index_of == {"Engaged": 0, "bored": 1}


def test_labels_without_pictures_may_be_named() -> None:
    assert label_folders({"joy", "sad"}, list(BASIC_SEVEN))[0] == BASIC_SEVEN


@pytest.mark.parametrize(
    ("folders", "names", "message"),
    [
        ({"0", "1"}, None, r"are numbers \(0-1\).*--labels"),
        ({"0", "1"}, ["sad"], r"2 numbered class folders \(0-1\) but 1 --labels"),
        ({"happy", "bored"}, None, r"folder 'bored'.*--labels"),
        ({"happy", "bored"}, ["happy", "sad"], r"folder 'bored'"),
        ({"happy", "neutral"}, ["happy", "sad"], r"folder 'neutral' is none of the labels happy, sad"),
        ({"x", "z"}, ["x", "y"], r"folder 'z' is none of the labels x, y"),
    ],
)
def test_folders_without_a_meaning_are_refused(folders: set[str], names: list[str] | None, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        label_folders(folders, names)


def test_labels_come_from_words_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("sad\n\n happy \n")
    assert read_labels(str(tmp_path / "labels.txt")) == ["sad", "happy"] == read_labels("sad, happy")
    with pytest.raises(LabelError, match="sad more than once"):
        read_labels("sad,sad")
    with pytest.raises(LabelError, match="names 1 labels"):
        read_labels("sad")


def test_pictures_keep_their_bytes_size_and_colour(tmp_path: Path, write_tree) -> None:
    tree = many(["happy", "sad"], 20)
    root = write_tree(tree | {"happy/large.jpg": colour(5, 60, 90)})
    import_folder(root, tmp_path / "t.parquet", name="My faces")
    table = read(tmp_path / "t.parquet")
    stored = {path: data for _, data, path in table.encoded()}
    assert stored["happy/large.jpg"] == (root / "happy/large.jpg").read_bytes()
    assert set(stored) == set(tree) | {"happy/large.jpg"}
    assert table.info.labels == ("happy", "sad")
    assert table.info.label_set == "my-faces"
    assert table.pictures(size=24).shape == (41, 24, 24, 3)
    row = [path for _, _, path in table.encoded()].index("sad/p0_0.png")
    assert (table.take(np.array([row])).pictures()[0] == tree["sad/p0_0.png"][..., ::-1]).all()


def test_dealt_splits_hold_copies_and_persons_together(tmp_path: Path, write_tree) -> None:
    tree = many(["angry", "happy", "sad"], 60)
    tree["sad/p4_9999.png"] = tree["happy/p1_1.png"]  # persons p1 and p4 share a picture
    root = write_tree(tree)
    import_folder(root, tmp_path / "t.parquet", group_pattern=r"/(p\d+)_", validation=0.2, test=0.2)
    table = read(tmp_path / "t.parquet")
    person = np.array([path.split("/")[1].split("_")[0] for _, _, path in table.encoded()])
    splits_of = {name: set(table.splits[person == name].tolist()) for name in set(person.tolist())}
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert splits_of["p1"] == splits_of["p4"]
    assert set(table.splits.tolist()) == {"train", "validation", "test"}
    assert len(set(table.groups.tolist())) == 4


def test_dealing_repeats_with_the_seed(tmp_path: Path, write_tree) -> None:
    root = write_tree(many(["angry", "happy"], 40))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        import_folder(root, tmp_path / name, seed=seed)
    a, b, c = (read(tmp_path / name) for name in "abc")
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert "seed 1" in a.info.notes[0]


def test_a_list_of_groups_does_what_a_pattern_does(tmp_path: Path, write_tree) -> None:
    tree = many(["happy", "sad"], 30)
    root = write_tree(tree)
    lines = ["path,group", *(f"{path},{path.split('/')[1].split('_')[0]}" for path in tree)]
    (tmp_path / "groups.csv").write_text("\n".join(lines))
    import_folder(root, tmp_path / "a", group_pattern=r"/(p\d+)_")
    import_folder(root, tmp_path / "b", about=read_about(tmp_path / "groups.csv"))
    assert (read(tmp_path / "a").groups == read(tmp_path / "b").groups).all()


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Training", "val", "testing")])
def test_splits_of_the_source_are_kept(tmp_path: Path, write_tree, names: tuple[str, str, str]) -> None:
    root = write_tree({f"{name}/happy/{k}.png": colour(k) for k, name in enumerate(names)})
    import_folder(root, tmp_path / "t")
    table = read(tmp_path / "t")
    found = dict(zip([path.split("/")[0] for _, _, path in table.encoded()], table.splits.tolist(), strict=True))
    assert [found[name] for name in names] == ["train", "validation", "test"]
    assert table.info.notes == ()


def test_a_missing_validation_folder_is_dealt_from_train(tmp_path: Path, write_tree) -> None:
    tree = {f"train/{path}": picture for path, picture in many(["happy", "sad"], 20).items()}
    root = write_tree(tree | {"test/happy/1.png": tree["train/happy/p0_0.png"]})
    import_folder(root, tmp_path / "t", validation=0.25)
    table = read(tmp_path / "t")
    counts = {name: int((table.splits == name).sum()) for name in ("train", "validation", "test")}
    assert counts == {"train": 30, "validation": 10, "test": 1}
    assert "1 groups of equal pictures or persons lie in more than one" in table.info.notes[1]


def test_files_of_other_types_are_left_out(tmp_path: Path, write_tree) -> None:
    root = write_tree({"happy/1.png": colour(1), "happy/deep/2.png": colour(2)})
    (root / "happy/notes.txt").write_text("x")
    (root / "happy/.hidden.png").write_text("x")
    (root / ".cache").mkdir()
    (root / "__MACOSX").mkdir()
    assert [picture.path for picture in find_pictures(root)] == ["happy/1.png", "happy/deep/2.png"]


def test_further_columns_of_a_list_come_along(tmp_path: Path, write_tree) -> None:
    root = write_tree({f"happy/{k}.png": colour(k) for k in range(5)} | {"sad/9.png": colour(9)}, "a")
    rows = ["path,camera,age", *(f"happy/{k}.png,{'left' if k % 2 else 'right'},{20 + k}" for k in range(5))]
    (tmp_path / "about.csv").write_text("\n".join(rows))
    import_folder(root, tmp_path / "t", about=read_about(tmp_path / "about.csv"), validation=0, test=0)
    table = read(tmp_path / "t")
    assert table.column("camera") == ["right", "left"] * 2 + ["right", None]
    assert table.column("age") == [20.0, 21.0, 22.0, 23.0, 24.0, None]
    assert table.take(table.labels == table.info.labels.index("sad")).column("age") == [None]
    table.with_splits(table.splits, table.info).write(tmp_path / "again")
    assert read(tmp_path / "again").column("camera") == table.column("camera")
    for content, words in (
        ("path,label\n", "a name that tables use"),
        ("camera\n", "path"),
    ):
        (tmp_path / "about.csv").write_text(content)
        with pytest.raises(DataError, match=words):
            read_about(tmp_path / "about.csv")


def test_wrong_folders_name_what_is_wrong(tmp_path: Path, write_tree) -> None:
    def fails(root: Path, message: str, **options: object) -> None:
        with pytest.raises(DataError, match=message):
            import_folder(root, tmp_path / "t", **options)
        assert not (tmp_path / "t").exists()

    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "empty holds no class folders: expected pictures such as angry/1.png")
    fails(tmp_path / "none", "none is not a folder")
    root = write_tree({"happy/1.png": colour(1), "sad/2.png": colour(2)}, "a")
    fails(root, "shares validation 0.7 and test 0.5", validation=0.7, test=0.5)
    fails(root, "2 pictures in 2 groups cannot be dealt to train and validation and test")
    fails(root, "is no regular expression", group_pattern="(")
    fails(root, "has 0 capture groups, expected one", group_pattern="x")
    fails(root, r"finds no group in happy/1\.png", group_pattern="(x)")
    fails(root, r"sad/2\.png has no group", about=About({"happy/1.png": "Ann"}))
    (root / "sad/2.png").write_bytes((root / "sad/2.png").read_bytes()[:60])
    fails(root, r"sad/2\.png is not a readable picture")
    (root / "sad/2.png").unlink()
    fails(root, "sad holds no pictures")
    fails(write_tree({"train/happy/1.png": colour(1), "sad/2.png": colour(2)}, "b"), "folders beside its splits: sad")
    fails(write_tree({"happy/1.png": colour(1), "2.png": colour(2)}, "c"), r"2\.png lies in no class folder")
    fails(write_tree({"train/happy/1.png": colour(1), "train/2.png": colour(2)}, "d"), r"2\.png lies in no class")


def test_wrong_lists_of_groups_are_refused(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("path,person\na,b\n")
    with pytest.raises(DataError, match=r"g\.csv has no column group: expected path,group"):
        read_about(tmp_path / "g.csv", grouped=True)
    with pytest.raises(DataError, match=r"h\.csv is not a readable CSV file"):
        read_about(tmp_path / "h.csv")


def test_eight_expressions_are_a_label_set_of_their_own(tmp_path: Path, write_tree) -> None:
    root = write_tree({f"{name}/{k}.png": colour(k + 100 * i) for i, name in enumerate(BASIC_EIGHT) for k in range(10)})
    import_folder(root, tmp_path / "t")
    info = read(tmp_path / "t").info
    assert info.labels == BASIC_EIGHT
    assert info.label_set == "faces"


def test_grey_pictures_may_be_pgm(tmp_path: Path, write_tree) -> None:
    grey = cv2.cvtColor(colour(3), cv2.COLOR_BGR2GRAY)
    root = write_tree({"train/happy/1.pgm": grey, "test/happy/2.png": grey, "val/happy/3.png": colour(4)})
    import_folder(root, tmp_path / "t")
    table = read(tmp_path / "t")
    assert len(set(table.digests.tolist())) == 2


def test_no_guess_across_languages() -> None:
    with pytest.raises(LabelError) as caught:
        label_folders({"Angst", "Freude"})
    assert "did you mean" not in str(caught.value)
    with pytest.raises(LabelError, match="did you mean 'surprise'"):
        label_folders({"suprise", "happy"})
