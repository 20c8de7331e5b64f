"""``mien evaluate --protocol``: which faces are scored, what is printed beside the figures, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mien import models
from mien.cli.evaluate import evaluate
from mien.data import table as tables
from mien.data.writer import TableInfo, TableWriter
from mien.errors import DataError, WriteError
from mien.evaluate import predictions
from mien.expressions import BASIC_SEVEN
from support.kept_looks import OPTIONS as LOOK

app = typer.Typer()
app.command()(evaluate)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["default", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def data(patterns_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patterns, of whose 35 test pictures the first five are in train too."""
    patterns = tables.read(patterns_path)
    path = tmp_path_factory.mktemp("data") / "t.parquet"
    copies = patterns.split("test").rows.tolist()[:5]
    with TableWriter(path, TableInfo("patterns", "fer2013", BASIC_SEVEN, official=True)) as writer:
        for index, (row, image, _) in enumerate(patterns.encoded()):
            for split in (str(patterns.splits[index]), "train")[: 1 + (row in copies)]:
                label, digest = int(patterns.labels[index]), str(patterns.digests[index])
                writer.add(image=image, path="", label=label, split=split, row=row, group=row, digest=digest)
    return path


def test_official_is_what_it_was(data: Path, tmp_path: Path) -> None:
    document = json.loads(
        run(*LOOK, "--data", data, "--split", "test", "--json", "--predictions", tmp_path / "p.parquet")
    )
    assert document["figures"][0]["n"] == 35
    assert (document["protocol"], document["mark"], document["official"]) == ("official", "", True)
    assert document["source_fingerprint"] == document["data_fingerprint"] == tables.read(data).fingerprint


def test_deduplicated_scores_fewer_faces_and_says_which(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.parquet"
    text = run("--data", data, "--split", "test", "--protocol", "deduplicated", "--predictions", out, *LOOK)
    # Some patterns are near copies by chance; how many is the protocol's own matter.
    scored = predictions.read(out)
    n = len(scored.scores[0].rows)
    assert 0 < n <= 30
    assert f"test, deduplicated, n = {n}" in text
    assert f"{35 - n} of 35 test rows left out: 5 with an identical copy" in text
    assert scored.provenance["protocol"] == "deduplicated"
    assert not scored.provenance["official"]
    assert scored.provenance["source_fingerprint"] == tables.read(data).fingerprint
    assert scored.provenance["data_fingerprint"] != tables.read(data).fingerprint


def test_the_ledger_names_the_protocol(data: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    options = ("--protocol", "deduplicated", "--ledger", ledger, "--why", "curious")
    run("--data", data, "--split", "test", *options, "--predictions", tmp_path / "p.parquet")
    assert ledger.read_text().splitlines()[1].endswith(",deduplicated: curious")
    # The paper's validation faces are test faces too: a look at them belongs into the ledger.
    options = ("--protocol", "paper", "--ledger", ledger, "--why", "compared")
    run("--data", data, *options, "--predictions", tmp_path / "p.parquet")
    assert ledger.read_text().splitlines()[-1].endswith(",paper: compared")
    with pytest.raises(DataError, match="--ledger keeps looks at test faces"):
        run("--data", data, "--ledger", ledger, "--why", "no test face")


def test_answers_to_the_test_split_are_not_kept_without_their_row_in_the_ledger(data: Path, tmp_path: Path) -> None:
    options = ("--predictions", tmp_path / "p.parquet", "--ledger", tmp_path / "absent" / "l.csv", "--why", "curious")
    with pytest.raises(WriteError, match="cannot write the ledger"):
        run("--data", data, "--split", "test", *options)
    assert not (tmp_path / "p.parquet").exists()


def test_the_papers_protocol_is_marked_beside_the_figures(data: Path, tmp_path: Path) -> None:
    text = run("--data", data, "--protocol", "paper", "--predictions", tmp_path / "p.parquet", *LOOK)
    assert "validation, paper, n = 70" in text
    assert "optimistic: the faces that the epoch is chosen by" in " ".join(text.split())
    document = json.loads(
        run("--data", data, "--protocol", "paper", "--json", "--predictions", tmp_path / "p.parquet", *LOOK)
    )
    assert document["mark"].startswith("optimistic")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "kfold", "--split", "test"), "'kfold' makes no test faces"),
        (("--protocol", "oversample-before-split"), "'oversample-before-split' makes no validation faces"),
        (("--protocol", "deduplicated"), "makes no validation faces.*--protocol deduplicated --split test"),
        (("--protocol", "paper", "--split", "test"), "'paper' makes no test faces"),
        (("--protocol", "dedup", "--split", "test"), "'dedup' is no protocol"),
        (("--protocol", "paper", "--record"), "--record writes what the card calls"),
    ],
)
def test_figures_that_would_mislead_are_refused(data: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run("--data", data, *options)


@pytest.mark.parametrize("options", [("--split", "test"), ("--protocol", "paper")])
@pytest.mark.parametrize("half", [(), ("--why", "curious"), ("--ledger", "l.csv")])
def test_test_faces_are_not_scored_without_a_ledger(data: Path, tmp_path: Path, options, half, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="--ledger FILE"):
        run("--data", data, *options, *half, "--predictions", tmp_path / "p.parquet")
    assert not list(tmp_path.iterdir())


def test_models_of_one_file_name_keep_a_table_each(data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, shipped in (("a", "default"), ("b", "fast")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(models.find(shipped).read_bytes())
        arguments = [str(tmp_path / name / "model.onnx"), "--data", str(data)]
        assert not CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code
        assert not CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code  # the same again is no loss
    kept = [predictions.read(file).provenance["model"] for file in sorted((tmp_path / "predictions").iterdir())]
    assert len(kept) == len(set(kept)) == 2


def test_what_is_something_else_is_not_written_over_without_a_word(data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("--data", data)
    (file,) = (tmp_path / "predictions").iterdir()
    file.write_text("mine")
    with pytest.raises(DataError, match=r"is there already: add --overwrite, or name another place by --predictions"):
        run("--data", data)
    assert file.read_text() == "mine"
    run("--data", data, "--overwrite")
    assert predictions.read(file).split == "validation"
    file.unlink()
    file.mkdir()
    with pytest.raises(WriteError, match=r"it is a folder; name another place by --predictions"):
        run("--data", data)
