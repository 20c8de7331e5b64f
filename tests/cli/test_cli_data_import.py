"""``mien data import`` of originals and ``mien data pool``, as their users meet them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mien.cli.data import app
from mien.data.table import read
from mien.errors import DataError


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def put(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8))


@pytest.fixture
def ckplus(tmp_path: Path) -> Path:
    root = tmp_path / "ck"
    for person in range(10, 16):
        for frame in range(1, 5):
            put(root / f"cohn-kanade-images/S0{person}/001/S0{person}_001_{frame:08}.png", person * 10 + frame)
        label = root / f"Emotion/S0{person}/001/S0{person}_001_00000004_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {person - 8}.0e+00")
    return root


@pytest.fixture
def jaffe(tmp_path: Path) -> Path:
    for k in range(12):
        put(tmp_path / f"jaffe/{'KKMMNNTTUUYY'[k]}{'AALLMMRRKKMM'[k]}.{'ANHA'[k % 2 * 2 :][:2]}1.{k}.tiff", 500 + k)
    return tmp_path / "jaffe"


def test_import_ckplus(ckplus: Path, tmp_path: Path) -> None:
    text = run("import", "ckplus", ckplus, "-o", tmp_path / "t.parquet", "--frames", "2", "--test", "0")
    assert "ckplus: ckplus labels" in text
    assert "not the official splits" in text
    table = read(tmp_path / "t.parquet")
    assert len(table) == 18
    assert set(table.splits.tolist()) == {"train", "validation"}


def test_import_jaffe_and_kdef(jaffe: Path, tmp_path: Path) -> None:
    assert "12 pictures, where JAFFE has 213" in run("import", "jaffe", jaffe, "-o", tmp_path / "j.parquet")
    for k, name in enumerate(("AF01ANS", "AF01HAHL", "AM02NES", "BM02SAS", "AM03HAS", "AF04HAHL")):
        put(tmp_path / f"kdef/{name[:4]}/{name}.JPG", k)
    text = run("import", "kdef", tmp_path / "kdef", "-o", tmp_path / "k.parquet", "--angles", "S,HL", "--test", "0")
    assert "kdef: fer2013 labels" in text
    assert len(read(tmp_path / "k.parquet")) == 6


def test_import_rafdb(tmp_path: Path) -> None:
    lines = []
    for k in range(20):
        split = "test" if k > 15 else "train"
        put(tmp_path / f"raf/Image/aligned/{split}_{k:05}_aligned.jpg", k)
        lines.append(f"{split}_{k:05}.jpg {k % 7 + 1}")
    (tmp_path / "raf/EmoLabel").mkdir()
    (tmp_path / "raf/EmoLabel/list_patition_label.txt").write_text("\n".join(lines))
    text = run("import", "rafdb", tmp_path / "raf", "-o", tmp_path / "t.parquet", "--validation", "0.25")
    assert "validation is 25% of the source's train rows" in text
    assert (read(tmp_path / "t.parquet").splits == "validation").sum() == 4


def test_import_affectnet(tmp_path: Path) -> None:
    for name, count in (("train_set", 20), ("val_set", 5)):
        (tmp_path / "affectnet" / name / "annotations").mkdir(parents=True)
        for k in range(count):
            put(tmp_path / f"affectnet/{name}/images/{k}.jpg", k + count)
            np.save(tmp_path / f"affectnet/{name}/annotations/{k}_exp.npy", np.array(str(k % 8)))
    text = run("import", "affectnet", tmp_path / "affectnet", "-o", tmp_path / "t.parquet")
    assert "test is the authors' validation split" in text
    assert (read(tmp_path / "t.parquet").splits == "test").sum() == 5


def test_pool(ckplus: Path, jaffe: Path, tmp_path: Path) -> None:
    for name, root in (("ckplus", ckplus), ("jaffe", jaffe)):
        run("import", name, root, "-o", tmp_path / f"{name}.parquet")
    out = tmp_path / "pooled.parquet"
    text = run("pool", tmp_path / "ckplus.parquet", tmp_path / "jaffe.parquet", "-o", out)
    assert "ckplus+jaffe: fer2013 labels" in text
    assert "note: ckplus: 3 rows left out, labelled contempt" in text
    assert len(read(out)) == 24 - 3 + 12
    said = run("pool", tmp_path / "jaffe.parquet", "-o", out, "--labels", "happy,angry", "--name", "both")
    assert "both: pool-both labels" in said
    with pytest.raises(DataError, match="none of them among the pooled ones: bored, away"):
        run("pool", tmp_path / "jaffe.parquet", "-o", out, "--labels", "bored,away")


def test_unknown_detectors_and_layouts_are_refused(jaffe: Path, tmp_path: Path) -> None:
    words = ["import", "jaffe", str(jaffe), "-o", str(tmp_path / "t"), "--faces", "eyes"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "'eyes' is not one of" in result.stderr
    with pytest.raises(DataError, match=r"expected AffectNet with training\.csv"):
        run("import", "affectnet", jaffe, "-o", tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_columns_come_along_from_the_command_line(tmp_path: Path) -> None:
    pictures = [cv2.imencode(".png", np.full((8, 8), k, np.uint8))[1].tobytes() for k in range(12)]
    facts = {"face": pictures, "says": ["happy", "sad"] * 6, "set": ["development"] * 10 + ["other"] * 2}
    facts["who"] = [f"p{k // 2}" for k in range(12)]
    pq.write_table(pa.table(facts), tmp_path / "a.parquet")
    named = ("--image", "face", "--label", "says", "--split", "set", "--group", "who")
    text = run("import", "parquet", tmp_path / "a.parquet", "-o", tmp_path / "t", *named, "--only", "set=development")
    assert "10 of 12 rows read: set=development" in text
    table = read(tmp_path / "t")
    assert table.column("who") == facts["who"][:10]
    assert len(set(table.groups.tolist())) == 5
    for k in range(4):
        put(tmp_path / f"faces/{'happy' if k % 2 else 'sad'}/{k}.png", k)
    (tmp_path / "about.csv").write_text("path,site\nsad/0.png,here\nhappy/1.png,there\n")
    none = ("--validation", "0", "--test", "0")
    run("import", "folder", tmp_path / "faces", "-o", tmp_path / "f", "--about", tmp_path / "about.csv", *none)
    assert read(tmp_path / "f").column("site") == ["there", None, "here", None]
    both = ("--about", tmp_path / "about.csv", "--groups", tmp_path / "about.csv")
    with pytest.raises(DataError, match="are one list"):
        run("import", "folder", tmp_path / "faces", "-o", tmp_path / "f", *both)
