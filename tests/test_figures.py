"""The figures in the documents and in the shipped cards are those of the committed predictions tables."""

import json
import re
import runpy
from pathlib import Path

import pytest

from mien import models
from mien.evaluate import metrics, predictions
from mien.export.cards import summary
from mien.literature import board, board_page, cell
from mien.literature import record as board_record
from mien.literature import systems as board_list

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
ALL = sorted((ROOT / "docs" / "predictions").glob("*.parquet"))
#: Behind figures of the results page that no shipped file gives.
OTHERS = ("single",)
TABLES = [path for path in ALL if not path.name.startswith(OTHERS)]


def test_there_are_predictions_of_validation_and_test_for_every_shipped_model():
    names = [f"{model}-fer2013-{split}.parquet" for model in models.installed() for split in ("test", "validation")]
    assert [path.name for path in TABLES] == names
    assert names


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_card_and_figures_page_state_what_the_predictions_give(path):
    table = predictions.read(path)
    model = path.stem.split("-")[0]
    card = models.read_card(model)
    assert table.provenance["graph_sha256"] == card.graph_sha256
    assert table.provenance["data_fingerprint"] == card.data["fingerprint"]
    for scores in table.scores:
        figures = summary(metrics.measure(scores))
        assert card.outputs[scores.output].metrics[table.split] == figures
        row = next(
            line for line in TEXT.splitlines() if line.startswith(f"| {model} | {table.split}, {scores.label_set} |")
        )
        stated = [float(number.replace(",", "")) for number in re.findall(r"[\d,]*\d\.?\d*", row.split("|", 3)[3])]
        low, high = figures["interval95"]
        expected = [figures["n"], figures["top1"], low, high, figures["balanced_accuracy"], figures["macro_f1"]]
        assert stated == [*expected, figures["ece"]]


@pytest.mark.parametrize(
    ("model", "label_set"), [(m, s) for m in ("default", "ensemble") for s in ("fer2013", "ferplus")]
)
def test_the_readme_states_what_the_predictions_give(model, label_set):
    table = predictions.read(ROOT / "docs" / "predictions" / f"{model}-fer2013-test.parquet")
    (f,) = (metrics.measure(scores) for scores in table.scores if scores.label_set == label_set)
    told = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split("## How good it is")[1].split())
    part = told.partition("`ensemble`")[2 if model == "ensemble" else 0]
    shown = re.findall(r"([\d.]+) %", part)
    assert float(shown[0 if label_set == "fer2013" else 1]) == round(100 * f.top1, 1)
    if model == "default":
        assert f"n = {f.n:,}" in part
    size = models.find(model).stat().st_size / 1e6
    assert f"{size:.1f} MB" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_compares_as_recorded():
    script = runpy.run_path(str(ROOT / "benchmarks" / "peers.py"))
    recorded = json.loads((ROOT / "benchmarks" / "peers.json").read_text(encoding="utf-8"))
    assert script["short_table"](recorded["figures"]) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_figures_is_the_one_that_refit_writes():
    script = runpy.run_path(str(ROOT / "benchmarks" / "refit.py"))
    assert "\n".join(script["figure_rows"]()) in TEXT


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_page_of_each_shipped_model_states_them_too(path):
    table = predictions.read(path)
    page = (ROOT / "docs" / "models" / f"{path.stem.split('-')[0]}.md").read_text(encoding="utf-8")
    assert table.provenance["graph_sha256"][:16] in page
    for scores in table.scores:
        f = metrics.measure(scores)
        assert f"| {table.split}, {scores.label_set} | {f.n:,} | {100 * f.top1:.2f} |" in page


def test_every_look_at_the_test_split_is_in_the_ledger():
    ledger = (ROOT / "docs" / "test-ledger.csv").read_text(encoding="utf-8")
    for path in ALL:
        table = predictions.read(path)
        if table.split == "test":
            for scores in table.scores:
                top1 = f"{100 * metrics.measure(scores).top1:.2f}"
                assert re.search(rf"{table.provenance['graph_sha256']}.*,{scores.label_set},\d+,{top1},", ledger)


def test_the_paper_page_shows_the_recorded_cells():
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "benchmarks" / "paper.py"))
    assert script["table"](json.loads((ROOT / "benchmarks" / "paper.json").read_text(encoding="utf-8"))) in page


@pytest.mark.parametrize(
    ("page", "benchmark"),
    [
        ("moving-over.md", "peers"),
        ("faces.md", "conditions"),
        ("output.md", "tracking"),
        ("model-file.md", "calibration"),
        ("results.md", "ablation"),
        ("results.md", "networks"),
        ("results.md", "averaging"),
        ("results.md", "fusion"),
        ("results.md", "unsure"),
        ("results.md", "recalibration"),
        ("limits.md", "limits"),
        ("serve.md", "serve"),
        ("output.md", "time_per_expression"),
    ],
)
def test_pages_show_what_benchmarks_recorded(page, benchmark):
    script = runpy.run_path(str(ROOT / "benchmarks" / f"{benchmark}.py"))
    recorded = json.loads((ROOT / "benchmarks" / f"{benchmark}.json").read_text(encoding="utf-8"))
    assert script["table"](recorded.get("figures", recorded)).strip() in (ROOT / "docs" / page).read_text(
        encoding="utf-8"
    )


def test_the_results_page_shows_what_the_predictions_give():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "benchmarks" / "results.py"))
    for made in script["PARTS"].values():
        assert "\n".join(made()) in page


def test_the_board_shows_what_its_record_holds():
    systems = board_list.read()
    record = board_record.Record.model_validate_json((ROOT / "docs" / "board.json").read_bytes())
    cells = board.look(systems, cell.Source(Path("no runs here"), None, systems.data))
    again = board_page.markdown(
        board_page.Board(systems, record.filling(cells), "fer2013", "", ""), None, ROOT / "docs"
    )
    shown = (ROOT / "docs" / "board.md").read_text(encoding="utf-8").replace(" †", "").splitlines()
    lines = [line for line in again.replace(" †", "").splitlines() if line.startswith("| ")]
    assert len(lines) > len(cells)
    assert [line for line in lines if line not in shown] == []
