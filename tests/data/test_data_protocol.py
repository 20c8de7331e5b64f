"""Protocols make the splits they promise, and say so."""

from __future__ import annotations

from collections import Counter
from gc import collect
from pathlib import Path
from weakref import ref

import cv2
import numpy as np
import pytest

from mien.data import protocol
from mien.data.audit import audit
from mien.data.fer2013 import import_fer2013
from mien.data.table import Table, read
from mien.data.writer import TableInfo, TableWriter, pixel_digest
from mien.errors import DataError
from support.made_table import write_table


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (48, 48), dtype=np.uint8)


def make(path: Path, rows: list[tuple[np.ndarray, int | None, str]]) -> Table:
    return write_table(path, TableInfo("made", "made", ("a", "b"), official=True, notes=("noted",)), rows)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """40 train rows, 3 of class b for 1 of a, 32-39 copies of 0-7; 4 validation rows; test rows, some with copies."""
    train = [(noise(k % 32), int(k % 4 > 0), "train") for k in range(40)]
    validation = [(noise(100 + k), k % 2, "validation") for k in range(4)]
    test = [
        (noise(0), 0, "test"),  # 44: identical to train
        (noise(100), 0, "test"),  # 45: identical to validation
        (noise(1) + 20, 0, "test"),  # 46: near copy of train
        (noise(200), 0, "test"),  # 47: copied within test only
        (noise(200), 0, "test"),  # 48
        (noise(201), 1, "test"),  # 49
    ]
    return make(tmp_path / "t.parquet", train + validation + test)


def test_official_changes_nothing(table: Table) -> None:
    assert protocol.apply(table, "official") is table


def test_deduplicated_leaves_test_rows_with_copies_elsewhere_out(table: Table) -> None:
    made = protocol.apply(table, "deduplicated")
    assert made.split("test").rows.tolist() == [47, 48, 49]
    assert made.split("train").rows.tolist() == list(range(40))
    assert made.split("validation").rows.tolist() == list(range(40, 44))
    assert "3 of 6 test rows left out: 2 with an identical copy" in made.info.notes[-1]
    assert "1 more with a near one" in made.info.notes[-1]
    identical, copied = protocol.copied_test_rows(table)
    assert np.flatnonzero(identical).tolist() == [44, 45]
    assert np.flatnonzero(copied).tolist() == [44, 45, 46]


def test_paper_selects_on_its_test_rows(table: Table) -> None:
    made = protocol.apply(table, "paper")
    assert made.split("validation").rows.tolist() == list(range(40, 50))
    assert "test" not in made.splits
    assert "optimistic" in made.info.notes[-1]


def test_folds_share_out_the_train_rows_and_keep_copies_together(table: Table) -> None:
    made = [protocol.apply(table, "kfold", folds=4, fold=fold, seed=5) for fold in range(4)]
    held_out = [fold.split("validation").rows.tolist() for fold in made]
    assert sorted(row for rows in held_out for row in rows) == list(range(40))
    for fold, rows in zip(made, held_out, strict=True):
        assert protocol.share_trained_on(fold) == 0
        assert len(rows) == pytest.approx(10, abs=2)
        assert {row % 32 for row in rows if row < 8} == {row - 32 for row in rows if row >= 32}
        assert (fold.split("validation").labels == 0).sum() == pytest.approx(2.5, abs=1.5)
    assert "part 3 of 4 of the 40 train rows" in made[3].info.notes[-1]


def test_folds_keep_near_copies_together(tmp_path: Path) -> None:
    rows = [(noise(k // 2) + 20 * (k % 2), 0, "train") for k in range(40)]
    table = make(tmp_path / "t.parquet", [(picture.astype(np.uint8), label, split) for picture, label, split in rows])
    for fold in range(4):
        made = protocol.apply(table, "kfold", folds=4, fold=fold)
        assert (made.splits[::2] == made.splits[1::2]).all()


def test_random_folds_deal_faces_whoever_they_show(tmp_path: Path) -> None:
    # Four people with ten faces each; the first and the last face of each are the same picture.
    with TableWriter(tmp_path / "t.parquet", TableInfo("people", "made", ("a", "b"))) as writer:
        for row in range(40):
            picture = noise(row - 9 if row % 10 == 9 else row)
            image, digest = cv2.imencode(".png", picture)[1].tobytes(), pixel_digest(picture)
            place = {"split": "train", "row": row, "group": row // 10 * 10}
            writer.add(image=image, path="", label=row % 2, digest=digest, **place)
    table = read(tmp_path / "t.parquet")
    made = [protocol.apply(table, "kfold-random", folds=4, fold=fold, seed=2) for fold in range(4)]
    held_out = [fold.split("validation").rows.tolist() for fold in made]
    assert sorted(row for rows in held_out for row in rows) == list(range(40))
    for fold, rows in zip(made, held_out, strict=True):
        assert len(rows) == 10
        assert len({row // 10 for row in rows}) > 1
        assert fold.info.notes[-1].startswith(f"kfold-random: part {made.index(fold)} of 4")
        assert "100.0% of it show a person or picture that is in train; optimistic: the same person" in " ".join(
            fold.info.notes
        )
    assert any(protocol.share_trained_on(fold) > 0 for fold in made)
    for fold in range(4):
        apart = protocol.apply(table, "kfold", folds=4, fold=fold, seed=2)
        assert {row // 10 for row in apart.split("validation").rows.tolist()}.isdisjoint(
            row // 10 for row in apart.split("train").rows.tolist()
        )


def test_oversampling_first_fills_all_classes_up_and_leaks(table: Table) -> None:
    made = protocol.apply(table, protocol.OVERSAMPLE)
    largest = int((table.labels == 1).sum())
    assert len(made) == 2 * largest
    assert np.bincount(made.labels).tolist() == [largest, largest]
    assert set(made.rows.tolist()) == set(range(50))
    assert (np.bincount(made.rows)[table.labels == 1] == 1).all()  # the largest class is not copied
    assert (made.splits == "validation").sum() == np.ceil(0.2 * len(made))
    assert set(made.splits.tolist()) == {"train", "validation"}
    assert "invalid" in made.info.notes[-1]
    trained = set(made.split("train").digests.tolist())
    copied = [digest in trained for digest in made.split("validation").digests.tolist()]
    assert 0 < sum(copied) < len(copied)
    assert protocol.share_trained_on(made) == sum(copied) / len(copied)


def test_rows_without_a_label_are_not_sampled(tmp_path: Path) -> None:
    rows = [(noise(k), (None, 0, 1, 1)[k % 4], "train") for k in range(40)]
    made = protocol.apply(make(tmp_path / "t.parquet", rows), protocol.OVERSAMPLE)
    assert np.bincount(made.labels).tolist() == [20, 20]
    bare = make(tmp_path / "u.parquet", [(noise(0), None, "train")])
    with pytest.raises(DataError, match="no labelled rows"):
        protocol.apply(bare, protocol.OVERSAMPLE)


@pytest.mark.parametrize("name", protocol.NAMES)
def test_only_official_is_official_and_all_repeat(table: Table, name: str) -> None:
    made = protocol.apply(table, name, folds=3, seed=1)
    assert made.info.official == (name == "official")
    assert made.info.notes[0] == "noted"
    assert len(made.info.notes) == 1 + (name != "official")
    again = protocol.apply(read(table_path(table)), name, folds=3, seed=1)
    assert again.fingerprint == made.fingerprint
    assert again.rows.tolist() == made.rows.tolist()
    assert (made.pictures() == table.pictures()[made.rows]).all()


def table_path(table: Table) -> Path:
    return table._pictures._groups._load.args[0]


@pytest.mark.parametrize("name", ["kfold", protocol.RANDOM, protocol.OVERSAMPLE])
def test_the_seed_decides(table: Table, name: str) -> None:
    first, other = (protocol.apply(table, name, folds=3, seed=seed) for seed in (1, 2))
    assert first.fingerprint != other.fingerprint


def test_marks() -> None:
    marks = {name: protocol.mark(name).partition(":")[0] for name in protocol.NAMES}
    honest = dict.fromkeys(("official", "deduplicated", "kfold"), "")
    assert marks == honest | {
        "paper": "optimistic",
        "kfold-random": "optimistic",
        "oversample-before-split": "invalid",
    }


def test_the_near_search_runs_once_for_a_table(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol.apply(table, "deduplicated")
    monkeypatch.setattr(protocol, "thumbnails", None)
    protocol.apply(table, "kfold", fold=1)
    protocol.apply(table, "deduplicated")


def test_a_table_that_nobody_holds_is_not_kept_for_its_near_copies(table: Table) -> None:
    own = table.take(np.arange(len(table)))
    protocol.apply(own, "deduplicated")
    gone = ref(own)
    del own
    collect()
    assert gone() is None


@pytest.mark.parametrize("limit", [2, 8, 30])
def test_a_limit_keeps_so_many_of_each_split_and_every_label(table: Table, limit: int) -> None:
    few = protocol.limited(table, limit)
    for split in ("train", "validation", "test"):
        own, whole = few.split(split), table.split(split)
        assert len(own) == min(limit, len(whole))
        assert set(own.labels.tolist()) == set(whole.labels.tolist())
        assert set(own.rows.tolist()) <= set(whole.rows.tolist())
    assert not few.info.official
    assert (few.split("train").labels == 1).mean() == pytest.approx(0.75, abs=0.3 if limit == 2 else 0.13)
    assert protocol.limited(table, None) is table is protocol.limited(table, 40)
    assert protocol.mark("official", limit).startswith(f"trial: at most {limit} ")
    assert protocol.mark("paper", limit).startswith("optimistic: ")


def test_what_cannot_be_is_refused(table: Table) -> None:
    with pytest.raises(DataError, match=r"'k-fold' is no protocol; .*did you mean 'kfold'"):
        protocol.apply(table, "k-fold")
    with pytest.raises(DataError, match="is no protocol"):
        protocol.mark("honest")
    for name in protocol.FOLDED:
        for folds, fold in ((1, 0), (4, 4), (4, -1)):
            with pytest.raises(DataError, match=rf"fold {fold} of {folds}: expected"):
                protocol.apply(table, name, folds=folds, fold=fold)
    train = table.take(table.splits == "train")
    for name in ("deduplicated", "paper"):
        with pytest.raises(DataError, match="no 'test' rows"):
            protocol.apply(train, name)
    with pytest.raises(DataError, match="no 'validation' rows"):
        protocol.share_trained_on(train)


@pytest.fixture(scope="module")
def fer2013(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    out = tmp_path_factory.mktemp("real") / "fer2013.parquet"
    import_fer2013(shared / "data" / "fer2013.parquet", out)
    return read(out)


@pytest.mark.slow
def test_deduplicated_fer2013(fer2013: Table) -> None:
    made = protocol.apply(fer2013, "deduplicated")
    assert Counter(made.splits.tolist()) == {"train": 28_709, "validation": 3_589, "test": 3_221}
    identical, copied = protocol.copied_test_rows(fer2013)
    assert (int(identical.sum()), int(copied.sum())) == (314, 368)
    found = audit(made)
    assert found.exact.between["test"]["elsewhere"] == 0
    assert found.near.between["test"]["elsewhere"] == 0


@pytest.mark.slow
def test_paper_fer2013(fer2013: Table) -> None:
    assert Counter(protocol.apply(fer2013, "paper").splits.tolist()) == {"train": 28_709, "validation": 7_178}


@pytest.mark.slow
def test_kfold_fer2013(fer2013: Table) -> None:
    labels = fer2013.labels[fer2013.splits == "train"]
    held_out = []
    for fold in range(10):
        made = protocol.apply(fer2013, "kfold", fold=fold)
        own = made.splits == "validation"
        assert protocol.share_trained_on(made) == 0
        assert own.sum() == pytest.approx(2_871, abs=10)
        assert np.bincount(made.labels[own]) == pytest.approx(np.bincount(labels) / 10, abs=5)
        held_out.append(own)
    assert (np.sum(held_out, axis=0) == 1).all()


@pytest.mark.slow
def test_six_of_ten_faces_are_trained_on_when_fer2013_is_oversampled_first(fer2013: Table) -> None:
    shares = []
    for seed in range(3):
        made = protocol.apply(fer2013, protocol.OVERSAMPLE, seed=seed)
        assert Counter(made.splits.tolist()) == {"train": 50_338, "validation": 12_585}
        shares.append(protocol.share_trained_on(made))
    assert np.mean(shares) == pytest.approx(0.61, abs=0.006)
