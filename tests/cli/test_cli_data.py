"""``mien data`` as its users meet it: what it prints, writes and returns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli.data import app
from mien.data.table import read
from mien.errors import DataError
from mien.expressions import BASIC_SEVEN

LABELS = ("Anger", "happiness", "sadness")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in LABELS:
        for k in range(20):
            file = tmp_path / "faces" / label / f"{k}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), rng.integers(0, 256, (16, 16), dtype=np.uint8))
    return tmp_path / "faces"


@pytest.fixture
def table(folder: Path, tmp_path: Path) -> Path:
    run("import", "folder", folder, "-o", tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_import_folder_says_what_it_wrote(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    text = run("import", "folder", folder, "-o", out, "--validation", "0.2", "--test", "0", "--name", "Mine")
    data = read(out)
    assert "Mine: mine labels" in text
    assert "splits dealt by class from seed 0: 20% validation, 0% test" in text
    assert data.fingerprint in text
    assert str(out) in text
    assert {name: int((data.splits == name).sum()) for name in ("train", "validation")} == {
        "train": 48,
        "validation": 12,
    }


def test_import_fer2013_takes_a_csv(tmp_path: Path) -> None:
    lines = ["emotion,pixels,Usage"]
    lines += [f"{k % 7},{' '.join([str(k)] * 2304)},Training" for k in range(100)]
    (tmp_path / "fer2013.csv").write_text("\n".join(lines))
    text = run("import", "fer2013", tmp_path / "fer2013.csv", "-o", tmp_path / "t.parquet", "--seed", "4")
    assert "note: 100 of FER2013's 35,887 pictures" in text
    assert "from seed 4" in text
    assert "not the official splits" in text
    assert read(tmp_path / "t.parquet").info.labels == BASIC_SEVEN


def test_describe_counts(table: Path) -> None:
    text = run("describe", table)
    assert "happy" in text
    assert "60" in text
    told = json.loads(run("describe", table, "--json"))
    assert told["rows"] == {"train": 48, "validation": 6, "test": 6}
    assert told["counts"]["faces"]["train"] == {"angry": 16, "happy": 16, "sad": 16}


def test_describe_draws(table: Path, tmp_path: Path) -> None:
    run("describe", table, "-o", tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["distribution.png", "samples.png"]


def test_audit_prints_json_alone_when_asked(table: Path) -> None:
    told = json.loads(run("audit", table, "--json"))
    assert told["exact"]["redundant"] == 0
    assert told["near"]["threshold"] == 0.99


def test_audit_writes_json_and_a_sheet(table: Path, tmp_path: Path) -> None:
    text = run("audit", table, "-o", tmp_path / "audit")
    assert "0 redundant copies in 0 groups" in text
    assert json.loads((tmp_path / "audit" / "audit.json").read_text())["unique"] == 60
    assert cv2.imread(str(tmp_path / "audit" / "findings.png")) is not None


@pytest.mark.parametrize("verb", ["describe", "audit"])
def test_no_table_no_result(tmp_path: Path, verb: str) -> None:
    (tmp_path / "x.parquet").write_text("nonsense")
    with pytest.raises(DataError, match=r"x\.parquet is not a readable Parquet file"):
        CliRunner().invoke(app, [verb, str(tmp_path / "x.parquet")], catch_exceptions=False)


def test_an_error_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.cli import main

    (tmp_path / "bad.csv").write_text("emotion,pixels\n9,1 2 3\n")
    out = tmp_path / "t.parquet"
    monkeypatch.setattr(sys, "argv", ["mien", "data", "import", "fer2013", str(tmp_path / "bad.csv"), "-o", str(out)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.err == f"mien: {tmp_path / 'bad.csv'}, line 2: 3 pixels, expected 2,304 (48x48)\n"
    assert captured.out == ""
    assert not out.exists()


def test_import_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [cv2.imencode(".png", np.full((8, 8), k, np.uint8))[1].tobytes() for k in range(40)]
    columns = {"img": images, "kind": [k % 2 for k in range(40)], "part": ["train"] * 30 + ["dev"] * 10}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    options = ("--image", "img", "--label", "kind", "--split", "part", "--labels", "cat,dog", "--label-set", "pets")
    text = run("import", "parquet", tmp_path / "a.parquet", "-o", tmp_path / "t.parquet", "--name", "zoo", *options)
    assert "zoo: pets labels" in text
    assert "dog" in text
    table = read(tmp_path / "t.parquet")
    assert (table.info.name, table.info.label_set, table.info.labels) == ("zoo", "pets", ("cat", "dog"))
    assert (table.splits == "validation").sum() == 10


def test_clean_writes_a_table_and_what_it_left_out(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.parquet"
    said = run("clean", table, "-o", out, "--step", "faces", "--step", "copies")
    assert "faces: " in said
    assert "votes" not in said
    assert out.with_suffix(".left-out.csv").read_text().startswith("row,label,reason\n")
    assert "cleaned train rows" in run("describe", out)
    with pytest.raises(DataError, match="no cleaning step"):
        run("clean", table, "-o", out, "--step", "polish")
