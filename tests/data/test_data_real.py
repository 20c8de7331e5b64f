"""The real FER2013: every layout gives the known table, and an audit finds the known flaws."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data.audit import Audit, audit
from mien.data.describe import describe
from mien.data.fer2013 import PUBLISHED, import_fer2013
from mien.data.table import Table, read
from mien.data.writer import SPLITS
from mien.expressions import BASIC_SEVEN

pytestmark = pytest.mark.slow

FINGERPRINT = "4b34426a279aa8e58d46c5c7a3e474bc8f98c2976b6ce6d95382ab3e86c45332"
USAGE_OF = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


@pytest.fixture(scope="module")
def table(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    out = tmp_path_factory.mktemp("real") / "fer2013.parquet"
    import_fer2013(shared / "data" / "fer2013.parquet", out)
    return read(out)


@pytest.fixture(scope="module")
def found(table: Table) -> Audit:
    return audit(table)


def test_the_parquet_copy(table: Table) -> None:
    assert table.fingerprint == FINGERPRINT
    assert table.info.official
    assert table.info.notes == ()
    assert {name: int((table.splits == name).sum()) for name in SPLITS} == PUBLISHED


def test_the_official_csv_with_ferplus(table: Table, shared: Path, tmp_path: Path) -> None:
    with (tmp_path / "fer2013.csv").open("w", newline="\n") as out:
        out.write("emotion,pixels,Usage\n")
        for picture, label, split in zip(table.pictures(grey=True), table.labels, table.splits, strict=True):
            out.write(f"{label},{' '.join(map(str, picture.ravel().tolist()))},{USAGE_OF[str(split)]}\n")
    assert (tmp_path / "fer2013.csv").stat().st_size == 301_072_766
    votes = shared / "data" / "fer2013new.csv"
    import_fer2013(tmp_path / "fer2013.csv", tmp_path / "t.parquet", ferplus_file=votes)
    again = read(tmp_path / "t.parquet")
    assert again.fingerprint == FINGERPRINT
    assert again.info.official
    assert (again.groups == table.groups).all()
    assert (again.rows == table.rows).all()


def test_class_folders_with_usages_are_official(table: Table, tmp_path: Path) -> None:
    for picture, label, split, row in zip(
        table.pictures(grey=True), table.labels, table.splits, table.rows, strict=True
    ):
        folder = tmp_path / "faces" / ("train" if split == "train" else "test") / BASIC_SEVEN[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{USAGE_OF[str(split)]}_{row}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    import_fer2013(tmp_path / "faces", tmp_path / "t.parquet")
    again = read(tmp_path / "t.parquet")
    assert again.info.official
    key, wanted = (
        sorted(zip(t.digests.tolist(), t.splits.tolist(), t.labels.tolist(), strict=True)) for t in (again, table)
    )
    assert key == wanted


def test_counts_are_the_papers_table_1(table: Table) -> None:
    counted = describe(table)
    train = counted.counts["fer2013"]["train"]
    assert list(train.values()) == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert "prints 7,251 happy" in counted.remarks[0]
    crowd = {name: sum(counts.values()) for name, counts in counted.counts["ferplus"].items()}
    assert crowd == {"train": 25_060, "validation": 3_199, "test": 3_153}


def test_identical_copies(found: Audit) -> None:
    assert (found.unique, found.redundant, len(found.groups)) == (34_034, 1_853, 1_516)
    assert len(found.conflicting) == 57
    test = found.exact.between["test"]
    assert (test["train"], test["validation"], test["elsewhere"]) == (288, 44, 314)
    assert found.exact.relabelled["test"]["train"] == 15
    assert found.exact.between["validation"]["train"] == 280


def test_near_copies(found: Audit) -> None:
    assert found.near.between["test"]["train"] / 3_589 == pytest.approx(0.094, abs=0.0005)
    assert found.near.share["test"] == pytest.approx(0.103, abs=0.001)


def test_blank_pictures_and_no_faces(found: Audit) -> None:
    assert (len(found.blank), found.constant) == (13, 12)
    assert found.not_a_face is not None
    assert len(found.not_a_face) == 176


def test_agreement_with_the_crowd(found: Audit) -> None:
    assert found.ferplus is not None
    test = found.ferplus["test"]
    assert (test.n, test.n_all) == (3_137, 3_589)
    assert test.agreement == pytest.approx(0.674, abs=0.0005)
    assert test.agreement_all == pytest.approx(0.629, abs=0.0005)
    expected = {"angry": 0.56, "disgust": 0.37, "fear": 0.155, "happy": 0.945, "sad": 0.41, "surprise": 0.79}
    for label, part in expected.items():
        assert test.per_label[label] == pytest.approx(part, abs=0.006)
    assert json.dumps(found.to_dict())


def test_copies_carry_the_same_votes(table: Table, found: Audit) -> None:
    assert table.votes is not None
    assert all(len(np.unique(table.votes[list(group)], axis=0)) == 1 for group in found.groups)
