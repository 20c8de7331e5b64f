"""Several tables into one: what becomes of labels, splits, copies, groups, votes and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.pool import pool
from mien.data.protocol import apply
from mien.data.table import Table, read
from mien.data.writer import TableInfo
from mien.errors import DataError, LabelError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from support.made_table import write_table

HAPPY, CONTEMPT = BASIC_SEVEN.index("happy"), BASIC_EIGHT.index("contempt")
VOTES = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0]


def noise(seed: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (side, side), dtype=np.uint8)


def make(path: Path, name: str, labels: Sequence[str], rows: list, **facts) -> Table:
    label_set = "fer2013" if tuple(labels) == BASIC_SEVEN else name
    return write_table(path, TableInfo(name, label_set, tuple(labels), **facts), rows)


@pytest.fixture
def crowd(tmp_path: Path) -> Table:
    """Basic seven with votes: rows 0-13 train, 14-16 validation, 17-19 test."""
    splits = ["train"] * 14 + ["validation"] * 3 + ["test"] * 3
    rows = [(noise(k), k % 7, split, VOTES if k % 2 else None) for k, split in enumerate(splits)]
    facts = {"official": True, "source": {"file": "crowd.csv"}, "notes": ("a crowd",)}
    return make(tmp_path / "crowd.parquet", "crowd", BASIC_SEVEN, rows, **facts)


@pytest.fixture
def posed(tmp_path: Path) -> Table:
    """Four labels in an order and spelling of their own, larger pictures; two rows are pictures of ``crowd``."""
    labels = ("Happiness", "contempt", "neutral", "Anger")
    rows = [(noise(100 + k, 20), k % 4, ("train", "validation", "test")[k % 3]) for k in range(12)]
    rows += [(noise(15), 0, "train"), (noise(3), 2, "train"), (noise(200, 20), None, "train")]
    return make(tmp_path / "posed.parquet", "posed", labels, rows)


def pooled(tmp_path: Path, *tables: Table, **options) -> Table:
    pool(tables, tmp_path / "pooled.parquet", **options)
    return read(tmp_path / "pooled.parquet")


def names(table: Table) -> list[str | None]:
    return [table.info.labels[label] if label >= 0 else None for label in table.labels]


def test_labels_are_matched_by_name(tmp_path: Path, crowd: Table, posed: Table) -> None:
    table = pooled(tmp_path, crowd, posed)
    assert (table.info.name, table.info.label_set, table.info.labels) == ("crowd+posed", "fer2013", BASIC_SEVEN)
    assert names(table)[:20] == [BASIC_SEVEN[k % 7] for k in range(20)]
    # Rows 1, 5, 9 of posed show contempt, row 12 is a held-out picture of crowd.
    words = ("happy", "contempt", "neutral", "angry")
    kept = [words[k % 4] for k in range(12) if k % 4 != 1]
    assert names(table)[20:] == [*kept, "neutral", None]
    assert "posed: 3 rows left out, labelled contempt" in table.info.notes
    assert "posed: 1 train rows left out, identical to held-out pictures of other sources" in table.info.notes
    assert table.info.notes[0] == "pooled from crowd (20 rows), posed (11 rows)"


def test_rows_are_numbered_anew_in_ranges_that_the_source_names(tmp_path: Path, crowd: Table, posed: Table) -> None:
    table = pooled(tmp_path, posed, crowd)
    assert table.rows.tolist() == list(range(31))
    sources = table.info.source["sources"]
    assert [(one["name"], one["rows"]) for one in sources] == [("posed", [0, 11]), ("crowd", [11, 31])]
    assert [one["fingerprint"] for one in sources] == [posed.fingerprint, crowd.fingerprint]
    assert [one["official"] for one in sources] == [False, True]
    assert sources[1]["notes"] == ["a crowd"]
    assert not table.info.official
    assert table.info.source["file"] == "posed + crowd.csv"


def test_pictures_splits_and_votes_stay(tmp_path: Path, crowd: Table, posed: Table) -> None:
    table = pooled(tmp_path, crowd, posed)
    assert table.splits[:20].tolist() == crowd.splits.tolist()
    assert [data for _, data, _ in table.encoded()][:20] == [data for _, data, _ in crowd.encoded()]
    assert table.votes is not None
    assert table.votes[:20].tolist() == [VOTES if k % 2 else [0] * 10 for k in range(20)]
    assert not table.votes[20:].any()
    assert table.truth("ferplus")[:3].tolist() == [-1, HAPPY, -1]
    assert (table.truth("ferplus")[20:] == -1).all()
    assert table.digests[:20].tolist() == crowd.digests.tolist()


def test_copies_are_one_group_and_other_groups_are_apart(tmp_path: Path, crowd: Table, posed: Table) -> None:
    grouped = crowd.with_columns(crowd.info, group=[row // 10 for row in range(20)])
    people = posed.with_columns(posed.info, group=[row // 5 for row in range(15)])
    table = pooled(tmp_path, grouped, people)
    # Kept of posed: 0 2 3 4 | 6 7 8 | 10 11 13 14; its row 13 is picture 3 of crowd.
    assert table.groups.tolist() == [0] * 10 + [10] * 10 + [20] * 4 + [24] * 3 + [0] * 4


def test_only_train_rows_with_copies_held_out_elsewhere_go(tmp_path: Path) -> None:
    one = [(noise(1), 0, "train"), (noise(2), 0, "test"), (noise(2), 0, "train"), (noise(3), 1, "validation")]
    two = [(noise(1), 0, "test"), (noise(3), 1, "train"), (noise(2), 1, "test"), (noise(4), 0, "train")]
    two += [(noise(2), 1, "validation")]
    labels = ("happy", "sad")
    a, b = (make(tmp_path / n, n, labels, rows) for n, rows in (("a", one), ("b", two)))
    table = pooled(tmp_path, a, b)
    kept = list(zip(table.digests.tolist(), table.splits.tolist(), strict=True))
    expected = [(a, k) for k in (1, 3)] + [(b, k) for k in (0, 2, 3, 4)]
    assert kept == [(str(t.digests[k]), str(t.splits[k])) for t, k in expected]
    assert "a: 2 train rows left out, identical to held-out pictures of other sources" in table.info.notes
    assert "b: 1 validation rows are identical to test pictures of other sources" in table.info.notes


def test_contempt_stays_where_every_source_has_it(tmp_path: Path, posed: Table) -> None:
    other = make(tmp_path / "o", "other", ("contempt", "sad"), [(noise(300), 0, "train"), (noise(301), 1, "test")])
    table = pooled(tmp_path, posed, other)
    assert table.info.labels == BASIC_EIGHT
    assert table.info.label_set == "pool-posed-other"
    assert (table.labels == CONTEMPT).sum() == 3 + 1
    assert len(table) == 17


def test_chosen_labels_and_their_order(tmp_path: Path, crowd: Table, posed: Table) -> None:
    table = pooled(tmp_path, crowd, posed, labels=("Neutral", "anger"), name="two")
    assert (table.info.name, table.info.label_set, table.info.labels) == ("two", "pool-two", ("neutral", "angry"))
    assert set(names(table)) == {"neutral", "angry", None}
    assert "crowd: 3 rows left out, labelled happy" in table.info.notes
    assert not table.info.official
    moods = make(tmp_path / "m", "moods", ("Bored", "happy"), [(noise(k), k % 2, "train") for k in range(4)])
    with pytest.raises(LabelError, match=r"'moods' has labels that are no expressions \(bored\).*--labels"):
        pooled(tmp_path, crowd, moods)
    assert names(pooled(tmp_path, crowd, moods, labels=("happy", "bored")))[-2:] == ["bored", "happy"]


def test_a_pool_is_official_where_all_of_the_held_out_rows_are(tmp_path: Path, crowd: Table) -> None:
    rows = [(noise(50 + k), k % 2, split) for k, split in enumerate(("train", "validation", "test"))]
    whole = make(tmp_path / "w", "whole", ("happy", "sad"), rows, official=True)
    assert pooled(tmp_path, crowd, whole).info.official
    assert not pooled(tmp_path, crowd, whole, labels=("sad", "angry")).info.official


def test_soft_targets_go_along(tmp_path: Path, posed: Table, crowd: Table) -> None:
    soft = [[0.5, 0.25, 0.25, 0], [0, 1, 0, 0], *[None] * 13]
    reasons = ["blended", *[None] * 14]
    table = pooled(tmp_path, posed.with_columns(posed.info, soft=soft, reason=reasons), crowd)
    assert table.soft is not None
    expected = np.zeros(7)
    expected[[BASIC_SEVEN.index("happy"), BASIC_SEVEN.index("neutral")]] = (2 / 3, 1 / 3)
    assert table.soft[0] == pytest.approx(expected)
    assert not table.soft[1:].any()
    assert table.reasons[:2] == ["blended", None]


def test_one_table_gets_other_labels(tmp_path: Path, posed: Table) -> None:
    table = pooled(tmp_path, posed)
    assert table.info.labels == BASIC_EIGHT
    assert len(table) == 15
    assert pooled(tmp_path, posed, labels=BASIC_SEVEN).info.label_set == "fer2013"


def test_sources_of_one_name_are_told_apart(tmp_path: Path, crowd: Table, posed: Table) -> None:
    again = replace(posed.info, name="crowd")
    table = pooled(tmp_path, crowd, posed.with_columns(again))
    assert [one["name"] for one in table.info.source["sources"]] == ["crowd", "crowd (2)"]


def test_protocols_work_on_pools(tmp_path: Path, crowd: Table, posed: Table) -> None:
    table = pooled(tmp_path, crowd, posed)
    for name in ("deduplicated", "paper", "kfold", "kfold-random"):
        made = apply(table, name, folds=3)
        assert set(made.rows.tolist()) <= set(range(31))
        assert made.info.source["sources"] == table.info.source["sources"]


def test_what_cannot_be_pooled_is_refused(tmp_path: Path, crowd: Table, posed: Table) -> None:
    with pytest.raises(DataError, match="no table to pool"):
        pooled(tmp_path)
    with pytest.raises(DataError, match="'crowd' is there twice"):
        pooled(tmp_path, crowd, posed, crowd)
    with pytest.raises(LabelError, match="'posed' has the labels Happiness, contempt, neutral, Anger, none"):
        pooled(tmp_path, crowd, posed, labels=("fear", "disgust"))
    nobody = make(tmp_path / "n", "nobody", ("fear", "sad"), [(noise(400), 1, "train")])
    with pytest.raises(DataError, match="the source has no rows"):
        pooled(tmp_path, nobody, labels=("fear", "disgust"))
    for labels in (("happy", "Joy"), ("happy",)):
        with pytest.raises(LabelError, match="expected two or more different ones"):
            pooled(tmp_path, crowd, posed, labels=labels)
    assert not (tmp_path / "pooled.parquet").exists()


@pytest.mark.slow
def test_fer2013_pooled_with_a_copy_of_its_held_out_faces(shared: Path, tmp_path: Path) -> None:
    from mien.data.fer2013 import import_fer2013

    import_fer2013(shared / "data" / "fer2013.parquet", tmp_path / "f.parquet")
    fer2013 = read(tmp_path / "f.parquet")
    test = fer2013.split("test")
    strangers = test.with_splits(np.full(len(test), "train"), replace(test.info, name="strangers", official=False))
    with_leak = pooled(tmp_path, fer2013, strangers, name="leak")
    assert len(with_leak) == 35_887
    assert f"strangers: {len(test):,} train rows left out" in " ".join(with_leak.info.notes)
    assert with_leak.fingerprint == fer2013.fingerprint
