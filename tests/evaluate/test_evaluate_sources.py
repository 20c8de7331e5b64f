"""Pooled data: each source's own figure beside the whole one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mien import models
from mien.cli.data import app as data_app
from mien.cli.evaluate import evaluate
from mien.data import table as tables
from mien.data.writer import TableInfo
from mien.evaluate import metrics, predictions
from mien.evaluate.predictions import Scores
from support.kept_looks import LOOK, OPTIONS
from support.made_table import write_table
from support.pattern_pictures import pattern


def scores(rows: list[int], truth: list[int], guesses: list[int], **sources: tuple[int, int]) -> Scores:
    wanted = np.array(truth)
    return Scores("p", "set", ("a", "b"), np.array(rows), wanted, wanted, np.eye(2, dtype=np.float32)[guesses], sources)


def test_each_source_by_hand() -> None:
    found = metrics.measure(
        scores([0, 1, 2, 7, 9, 5], [0, 0, 1, 1, 0, -1], [0, 1, 1, 1, 1, 0], one=(0, 5), two=(5, 10), none=(10, 20))
    )
    assert found.top1 == pytest.approx(3 / 5)
    assert found.also == {"one": (3, pytest.approx(2 / 3)), "two": (2, 0.5)}


def test_labelled_faces_keep_their_sources() -> None:
    assert scores([0, 1], [0, -1], [0, 0], one=(0, 2)).labelled().sources == {"one": (0, 2)}


@pytest.fixture(scope="module")
def pooled(patterns_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patterns, and a table of sad and happy faces from elsewhere."""
    folder = tmp_path_factory.mktemp("pooled")
    rng = np.random.default_rng(4)
    rows = [(pattern(3 if k % 2 else 4, rng), k % 2, "test") for k in range(10)]
    write_table(folder / "e.parquet", TableInfo("elsewhere", "elsewhere", ("sad", "happy")), rows)
    arguments = ["pool", str(patterns_path), str(folder / "e.parquet"), "-o", str(folder / "p.parquet")]
    done = CliRunner().invoke(data_app, arguments, catch_exceptions=False)
    assert "pooled from patterns (211 rows), elsewhere (10 rows)" in done.output
    return folder / "p.parquet"


def test_sources_are_in_predictions_written_and_read(pooled: Path, tmp_path: Path) -> None:
    table = tables.read(pooled)
    scored = predictions.predict(models.load(threads=1), table, "test", ledger=LOOK)
    assert [one["rows"] for one in scored.provenance["sources"]] == [[0, 211], [211, 221]]
    assert set(scored.provenance["sources"][0]) == {"name", "fingerprint", "rows"}
    predictions.write(scored, tmp_path / "p.parquet")
    for s in (*scored.scores, *predictions.read(tmp_path / "p.parquet").scores):
        assert s.sources == {"patterns": (0, 211), "elsewhere": (211, 221)}
    seven = metrics.measure(next(s for s in scored.scores if s.label_set == "fer2013"))
    assert (seven.n, seven.also["patterns"][0], seven.also["elsewhere"][0]) == (45, 35, 10)
    whole = (35 * seven.also["patterns"][1] + 10 * seven.also["elsewhere"][1]) / 45
    assert whole == pytest.approx(seven.top1)


def test_evaluate_prints_each_source(pooled: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(evaluate)
    words = [
        "default",
        "--data",
        str(pooled),
        "--split",
        "test",
        "--predictions",
        str(tmp_path / "p.parquet"),
        *OPTIONS,
    ]
    text = CliRunner().invoke(app, words, catch_exceptions=False).output
    assert "elsewhere: top-1" in text
    assert "n = 10" in text
    document = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout)
    seven = next(one for one in document["figures"] if one["label_set"] == "fer2013")
    assert seven["also"]["patterns"][0] == 35
    assert seven["also"]["elsewhere"][0] == 10
