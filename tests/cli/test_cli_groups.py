"""``mien evaluate --by``: columns of the table and of its pictures, printed, as JSON and as a plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from mien.cli.evaluate import evaluate
from mien.data import attributes
from mien.data import table as tables
from mien.data.pool import pool
from mien.data.writer import TableInfo, TableWriter
from mien.errors import DataError
from mien.evaluate import groups
from mien.expressions import BASIC_SEVEN
from support.made_table import write_table
from support.pattern_pictures import pattern

app = typer.Typer()
app.command()(evaluate)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["default", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_PERMUTATIONS", 20)
    monkeypatch.setattr(groups, "_RESAMPLES", 20)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seventy faces of 35 persons by two cameras, of which the second is dark, and one by a third."""
    path = tmp_path_factory.mktemp("groups") / "t.parquet"
    rng = np.random.default_rng(5)
    plain = write_table(
        path.with_name("plain"),
        TableInfo("faces", "fer2013", BASIC_SEVEN),
        [(pattern(k % 7, rng) // (1 + k % 2 * 3), k % 7, "validation") for k in range(71)],
    )
    kinds = {"camera": pa.string(), "person": pa.string()}
    with TableWriter(path, plain.info, kinds) as writer:
        for row, (number, image, _) in enumerate(plain.encoded()):
            writer.add(
                image=image,
                path="",
                label=int(plain.labels[row]),
                split="validation",
                row=number,
                group=row,
                digest=str(plain.digests[row]),
                camera="third" if row == 70 else ("first", "second")[row % 2],
                person=f"p{row // 2}",
            )
    return path


def test_groups_are_printed_and_plotted(data: Path, tmp_path: Path) -> None:
    ask = ("--data", data, "--by", "camera", "--persons", "person", "--predictions", tmp_path / "p")
    text = run(*ask, "--plot", tmp_path / "g.png")
    assert "fer2013 (probabilities_fer2013) by camera" in text
    assert "warning: fewer than 30 faces, too few to judge and in no gap: third (1)" in text
    assert "largest gap in top-1: " in text
    assert "corrected for all pairs of groups" in text
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert "largest gap" not in run("--data", data, "--predictions", tmp_path / "p")


def test_the_json_has_every_figure_of_every_group(data: Path, tmp_path: Path) -> None:
    ask = ("--data", data, "--by", "camera", "--by", "brightness", "--bins", 2, "--predictions", tmp_path / "p")
    document = json.loads(run(*ask, "--json"))
    whole = {one["label_set"]: one for one in document["figures"]}
    by = {(one["label_set"], one["column"]): one for one in document["groups"]}
    assert len(by) == 2 * len(whole)
    camera, light = by["fer2013", "camera"], by["fer2013", "brightness"]
    assert [group["n"] for group in camera["groups"]] == [35, 35, 1]
    assert camera["whole"]["figures"]["top1"]["value"] == pytest.approx(whole["fer2013"]["top1"])
    shares = sum(group["n"] * group["figures"]["top1"]["value"] for group in camera["groups"])
    assert shares / 71 == pytest.approx(whole["fer2013"]["top1"])
    assert [gap["figure"] for gap in camera["gaps"]] == list(groups.FIGURES)
    assert len(light["edges"]) == 1
    assert sum(group["n"] for group in light["groups"]) == 71


def test_measures_of_pictures(data: Path) -> None:
    table = tables.read(data)
    light = np.array(attributes.values(table, "brightness"))
    pixels = table.pictures(grey=True)
    assert light == pytest.approx(pixels.mean(axis=(1, 2)))
    assert attributes.values(table, "contrast") == pytest.approx(pixels.std(axis=(1, 2)))
    assert attributes.values(table, "size") == [pixels.shape[1]] * 71
    assert light[1::2].max() < light[::2].min()
    sharp = attributes.values(table, "sharpness")
    assert min(sharp) >= 0
    assert len(set(sharp)) > 10


def test_persons_are_clusters_and_else_the_tables_groups(data: Path) -> None:
    table = tables.read(data)
    assert attributes.clusters(table).tolist() == list(range(71))
    persons = attributes.clusters(table, "person")
    assert (persons[:70:2] == persons[1:70:2]).all()
    assert len(set(persons.tolist())) == 36
    with pytest.raises(DataError, match="no column 'who', only camera, person"):
        attributes.clusters(table, "who")


def test_pooled_tables_keep_columns_that_either_has(data: Path, patterns_path: Path, tmp_path: Path) -> None:
    pool([tables.read(data), tables.read(patterns_path)], tmp_path / "p")
    made = tables.read(tmp_path / "p")
    assert made.column("camera") == tables.read(data).column("camera") + [None] * 211


def test_what_cannot_be_split_is_refused(data: Path, tmp_path: Path) -> None:
    ask = ("--data", data, "--predictions", tmp_path / "p")
    for more, words in [
        (("--by", "age"), "no column 'age'; its own: camera, person; measured of the pictures: brightness,"),
        (("--by", "size"), "makes 1 groups"),
        (("--persons", "person"), "add --by"),
        (("--plot", tmp_path / "g.png"), "add --by"),
    ]:
        with pytest.raises(DataError, match=words):
            run(*ask, *more)
    assert not (tmp_path / "p").exists()
