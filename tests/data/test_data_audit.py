"""An audit finds what was planted, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.audit import audit
from mien.data.describe import describe
from mien.data.near import near_pairs, thumbnails
from mien.data.sheets import draw_distribution, draw_findings, draw_samples
from mien.data.table import Table
from mien.data.writer import TableInfo
from mien.expressions import BASIC_SEVEN
from support.made_table import write_table

ANGRY, HAPPY = [0, 0, 0, 0, 10, 0, 0, 0, 0, 0], [0, 10, 0, 0, 0, 0, 0, 0, 0, 0]
NOBODY, TIED = [0, 2, 0, 0, 1, 0, 0, 0, 0, 7], [0, 5, 0, 0, 5, 0, 0, 0, 0, 0]


def make(
    path: Path, rows: list[tuple[np.ndarray, int | None, str, list[int] | None]], labels: tuple[str, ...] = BASIC_SEVEN
) -> Table:
    info = TableInfo("made", "fer2013" if labels == BASIC_SEVEN else "made", labels)
    return write_table(path, info, rows)


def noise(seed: int, side: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (side, side), dtype=np.uint8)


@pytest.fixture
def flawed(tmp_path: Path) -> Table:
    """Rows 0-2 one picture in all splits, 2 relabelled; 3 and 4 near copies; 5 and 6 blank; 7 no face; 8 unlike."""
    blank = np.full((48, 48), 90, np.uint8)
    dotted = blank.copy()
    dotted[0, 0] = 120
    return make(
        tmp_path / "flawed",
        [
            (noise(1), 0, "train", ANGRY),
            (noise(1), 0, "validation", ANGRY),
            (noise(1), 3, "test", ANGRY),
            (noise(2), 3, "train", HAPPY),
            (noise(2) + 20, 3, "test", HAPPY),
            (blank, 1, "test", TIED),
            (dotted, None, "train", None),
            (noise(3), 3, "test", NOBODY),
            (noise(4), 0, "test", TIED),
        ],
    )


def test_exact_copies(flawed: Table) -> None:
    found = audit(flawed)
    assert (found.unique, found.redundant) == (7, 2)
    assert found.groups == ((0, 1, 2),) == found.conflicting
    assert found.exact.between["test"] == {"train": 1, "validation": 1, "test": 0, "elsewhere": 1}
    assert found.exact.between["train"] == {"train": 0, "validation": 1, "test": 1, "elsewhere": 1}
    assert found.exact.relabelled["train"] == {"train": 0, "validation": 0, "test": 1, "elsewhere": 1}
    assert found.exact.share["test"] == pytest.approx(1 / 5)


def test_near_copies_leave_blank_pictures_out(flawed: Table) -> None:
    found = audit(flawed)
    assert found.near.between["test"] == {"train": 2, "validation": 1, "test": 0, "elsewhere": 2}
    assert [pair[:2] for pair in found.near_examples] in ([(3, 4)], [(4, 3)])
    assert found.near_examples[0][2] > 0.99


def test_blank_pictures_and_not_a_face_votes(flawed: Table) -> None:
    found = audit(flawed)
    assert found.blank == (5, 6)
    assert found.constant == 1
    assert found.not_a_face == (7,)


def test_agreement_with_the_crowd(flawed: Table) -> None:
    found = audit(flawed).ferplus
    assert found is not None
    # test rows: angry votes on a happy label, happy on happy, tied on disgust, no face on happy, tied on angry
    assert (found["test"].n, found["test"].n_all) == (2, 5)
    assert found["test"].agreement == pytest.approx(1 / 2)
    assert found["test"].agreement_all == pytest.approx((0 + 1 + 0 + 1 + 1 / 2) / 5)
    assert found["test"].per_label["happy"] == pytest.approx(1 / 2)
    assert found["test"].per_label["sad"] is None
    assert (found["train"].n, found["train"].n_all) == (2, 2)


def test_the_findings_are_json_with_every_row_number(flawed: Table) -> None:
    told = json.loads(json.dumps(audit(flawed).to_dict()))
    assert told["exact"]["conflicting_rows"] == [[0, 1, 2]]
    assert told["blank"] == {"count": 2, "constant": 1, "rows": [5, 6]}
    assert told["not_a_face"] == {"votes": 5, "count": 1, "rows": [7]}
    assert told["ferplus"]["train"]["agreement"] == 1


def test_any_table_will_do(tmp_path: Path) -> None:
    colours = [np.random.default_rng(k).integers(0, 256, (20 + k, 30, 3), dtype=np.uint8) for k in range(3)]
    table = make(tmp_path / "t", [(c, k % 2, "train", None) for k, c in enumerate(colours)], ("bored", "engaged"))
    found = audit(table)
    assert found.ferplus is None
    assert found.not_a_face is None
    assert found.groups == ()
    assert found.near.between == {"train": {"train": 0, "elsewhere": 0}}
    draw_findings(table, found, tmp_path / "findings.png")
    assert cv2.imread(str(tmp_path / "findings.png")) is not None


def test_progress_runs_to_the_end(flawed: Table) -> None:
    seen: list[tuple[int, int]] = []
    audit(flawed, lambda done, total: seen.append((done, total)))
    assert all(done <= total for done, total in seen)
    assert seen == sorted(seen)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.floats(0.3, 0.999))
def test_the_search_misses_nothing(seed: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 5)).astype(np.float32)
    vectors[: count // 2] = vectors[count // 2 : 2 * (count // 2)] + rng.normal(0, 0.05, (count // 2, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    cosines = vectors.astype(np.float64) @ vectors.T
    certain = {(i, j) for i in range(count) for j in range(i) if cosines[i, j] > threshold + 1e-5}
    possible = {(i, j) for i in range(count) for j in range(i) if cosines[i, j] > threshold - 1e-5}
    pairs = [(max(p), min(p)) for i, j, _ in near_pairs(vectors, threshold) for p in zip(i, j, strict=True)]
    assert len(pairs) == len(set(pairs))
    assert certain <= set(pairs) <= possible


def test_the_search_crosses_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.near._BLOCK", 3)
    vectors = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    pairs = {(int(a), int(b)) for i, j, _ in near_pairs(vectors, 0.99) for a, b in zip(i, j, strict=True)}
    assert len(pairs) == 4 * 10


def test_thumbnails_do_not_see_brightness_and_contrast(tmp_path: Path) -> None:
    dim = (noise(1) // 2 + 30).astype(np.uint8)
    small = thumbnails(make(tmp_path / "t", [(noise(1), 0, "train", None), (dim, 0, "train", None)]), blank=1.0)
    assert small.vectors[0] @ small.vectors[1] > 0.999
    assert np.linalg.norm(small.vectors, axis=1) == pytest.approx(1)


def test_counts_of_every_label_set(flawed: Table) -> None:
    found = describe(flawed)
    assert found.rows == {"train": 3, "validation": 1, "test": 5}
    assert found.counts["fer2013"]["test"]["happy"] == 3
    assert found.unlabelled["fer2013"] == {"train": 1, "validation": 0, "test": 0}
    assert found.counts["ferplus"]["test"]["angry"] == 1
    assert found.unlabelled["ferplus"]["test"] == 3
    assert found.remarks == ()
    json.dumps(found.to_dict())


def test_pictures_are_drawn(flawed: Table, tmp_path: Path) -> None:
    for path in (
        draw_distribution(describe(flawed), tmp_path / "new" / "distribution.png"),
        draw_samples(flawed, tmp_path / "samples.png"),
        draw_findings(flawed, audit(flawed), tmp_path / "findings.png"),
    ):
        drawn = cv2.imread(str(path))
        assert drawn is not None
        assert drawn.std() > 5
