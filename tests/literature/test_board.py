"""The board's list, the cells that runs fill, and the two forms it is written in."""

import io
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from PIL import Image, ImageColor

from mien.data import table as tables
from mien.errors import DataError, RecipeError
from mien.evaluate import predictions
from mien.literature import board, board_page, plot, systems
from mien.literature import cell as board_cell
from mien.literature.cell import Filled, Source
from mien.recipes import commands
from mien.recipes import loader as recipes
from mien.report import plots
from mien.runs import RunFolder
from support.kept_looks import LOOK

ROW = {
    "number": 1,
    "system": "A | B",
    "does": "<b>something</b>",
    "cells": [{"name": "c", "recipe": "cnn", "run": "c"}],
}


def listed(tmp_path, *rows, **more):
    file = tmp_path / "list.yaml"
    file.write_text(yaml.safe_dump({"rows": list(rows), **more}))
    return systems.read(file)


def row(*cells, **more):
    return ROW | {"cells": list(cells)} | more


def test_the_shipped_list_has_every_row_of_the_literature_and_only_recipes_that_there_are():
    shipped = systems.read()
    assert [r.number for r in shipped.rows] == list(range(1, 14))
    assert [r.number for r in shipped.rows if r.own] == [13]
    assert [r.number for r in shipped.rows if not r.published] == [1, 9, 13]
    assert all(float(p.figure) and p.data for r in shipped.rows for p in r.published)
    for cell in (cell for r in shipped.rows for cell in r.cells if cell.recipe):
        recipes.load(cell.recipe, cell.changes)
    members = [cell.ensemble for r in shipped.rows for cell in r.cells if cell.ensemble]
    runs = {cell.run for r in shipped.rows for cell in r.cells}
    assert members
    assert all(set(of) <= runs for of in members)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROW, ROW], "each number once"),
        ([row({"name": "c", "recipe": "cnn", "run": "c", "sett": []})], "sett"),
        ([row({"name": "c", "run": "c"})], "either recipe or ensemble"),
        ([row({"name": "c", "recipe": "cnn", "run": "../c"})], "pattern"),
        ([row(*({"name": n, "recipe": n, "run": "one"} for n in ("cnn", "hog")))], "'one' in different ways"),
    ],
)
def test_faults_of_a_list_are_named(tmp_path, rows, words):
    with pytest.raises(DataError, match=words):
        listed(tmp_path, *rows)


def test_a_list_that_is_missing_or_no_yaml_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        systems.read(tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_text("rows: [")
    with pytest.raises(DataError, match="not YAML"):
        systems.read(tmp_path / "bad.yaml")


def test_cells_say_their_commands(tmp_path):
    cells = [
        {"name": "a", "recipe": "hog", "set": ["classifier.kind=knn"], "run": "a"},
        {"name": "b", "recipe": "cnn", "set": ["stages.*.epochs=2"], "folds": 5, "run": "b", "data": "pooled.parquet"},
        {"name": "c", "ensemble": ["a", "b"], "run": "c"},
    ]
    made = listed(tmp_path, row(*cells)).rows[0].cells
    assert [cell.command(tmp_path / "runs", "t.parquet").replace(f"{tmp_path}/", "") for cell in made] == [
        "mien train hog --data t.parquet --set classifier.kind=knn -o runs/a",
        "mien crossval cnn --folds 5 --data pooled.parquet --set 'stages.*.epochs=2' -o runs/b",
        "mien ensemble runs/a runs/b --data t.parquet -o runs/c",
    ]


@pytest.mark.parametrize("name", ["default", "paper-scratch", "hog"])
def test_differences_given_to_set_make_the_other_recipe(name):
    changes = {
        "default": ["stages.*.epochs=3", "stages.0.learning_rate=0.00001", "heads=[{label_set: fer2013}]", "ema=0"],
        "paper-scratch": ["network={kind: residual, widths: [8, 16], depths: [1, 1]}", "stages.1.augmentation={}"],
        "hog": ["classifier={kind: knn, neighbors: 3}", "search={}", "features.cell=12"],
    }[name]
    shipped, other = recipes.load(name), recipes.load(name, changes)
    found = commands.differences(shipped.model_dump(mode="json"), other.model_dump(mode="json"))
    assert found
    again = recipes.load(name, found)
    assert again.model_dump(exclude={"measured", "description"}) == other.model_dump(
        exclude={"measured", "description"}
    )


@pytest.fixture(scope="module")
def board_runs(tiny_runs, patterns, tmp_path_factory):
    """A folder of runs: a whole one, one that was cut short, one of two folds, a begun one, a damaged one."""
    folder = tmp_path_factory.mktemp("board")
    recipe = (tiny_runs[0] / "recipe.yaml").read_text()
    (folder / "tiny.yaml").write_text(recipe)
    for name in ("whole", "damaged", "folds/fold-0"):
        shutil.copytree(tiny_runs[0], folder / name, ignore=shutil.ignore_patterns("predictions"))
    (folder / "damaged" / "model.onnx").write_bytes(b"no model")
    fold = folder / "folds" / "fold-0" / "recipe.yaml"
    fold.write_text(recipe.replace("protocol: official", "protocol: kfold").replace("folds: 10", "folds: 2"))
    (folder / "begun").mkdir()
    (folder / "begun" / "run.json").write_text('{"state": "running"}')
    return folder


def filled(folder, tmp_path, table, *cells) -> dict[str, Filled]:
    given = [{"name": c["run"], "recipe": str(folder / "tiny.yaml"), **c} for c in cells]
    made = listed(tmp_path, row(*given))
    return {c.cell.run: c for c in board.fill(made, Source(folder, table, "patterns.parquet"))}


@pytest.mark.slow
def test_a_run_fills_its_cell_and_the_test_split_is_never_scored(board_runs, tmp_path, patterns):
    found = filled(board_runs, tmp_path, patterns, {"run": "whole"}, {"run": "absent"}, {"run": "begun"})
    whole, file = found["whole"], board_runs / "whole" / "predictions" / "test.parquet"
    assert whole.state == "finished"
    assert whole.validation.n == 35
    assert whole.test is None
    assert not file.exists()
    assert (whole.epochs, whole.protocol, whole.remarks) == ((4, 4), "official", ())
    assert whole.rerun == whole.command
    assert whole.parameters > 1000
    assert "thread" in whole.hardware
    assert (found["absent"].state, found["begun"].state) == ("absent", "unfinished")
    lines = board_page.missing(list(found.values()))
    assert [line.split("-o ")[1] for line in lines] == [f"{board_runs}/absent", f"{board_runs}/begun --resume"]


@pytest.mark.slow
def test_test_answers_count_only_if_they_are_this_models(board_runs, tmp_path, patterns):
    run = board_runs / "tested"
    shutil.copytree(board_runs / "whole", run)
    answers = predictions.predict(board_cell.fitted.load(RunFolder(run)), patterns, "test", ledger=LOOK)
    predictions.write(answers, run / "predictions" / "test.parquet")
    assert filled(board_runs, tmp_path, patterns, {"run": "tested"})["tested"].test.n == 35
    other = predictions.Predictions("test", dict(answers.provenance) | {"graph_sha256": "0"}, answers.scores)
    predictions.write(other, run / "predictions" / "test.parquet")
    kept = (run / "predictions" / "test.parquet").read_bytes()
    assert filled(board_runs, tmp_path, patterns, {"run": "tested"})["tested"].test is None
    assert (run / "predictions" / "test.parquet").read_bytes() == kept


@pytest.mark.slow
def test_a_run_with_other_values_says_so_and_how_to_run_it_again(board_runs, tmp_path, patterns):
    longer = board_runs / "longer.yaml"
    longer.write_text((board_runs / "tiny.yaml").read_text().replace("epochs: 2", "epochs: 9", 1))
    cell = filled(board_runs, tmp_path, patterns, {"run": "whole", "recipe": str(longer)})["whole"]
    assert cell.remarks[:2] == ("cut short: 4 of 11 epochs", "run with stages.0.epochs=2")
    assert "--set stages.0.epochs=2" in cell.rerun
    assert cell.rerun != cell.command


@pytest.mark.slow
def test_folds_are_one_figure_and_damage_stays_in_its_cell(board_runs, tmp_path, patterns):
    folds = {"run": "folds", "folds": 2, "set": ["data.protocol=kfold"]}
    found = filled(board_runs, tmp_path, patterns, folds, {"run": "damaged"}, {"run": "whole"})
    assert found["folds"].protocol == "kfold"
    assert found["folds"].remarks == ("1 of 2 folds",)
    assert found["folds"].validation.n > 35
    assert found["damaged"].state == "unreadable"
    assert "damaged" in found["damaged"].remarks[0]
    assert found["whole"].state == "finished"
    assert board.best(found.values()) is found["whole"]


@pytest.mark.slow
def test_a_run_of_other_data_is_scored_on_the_boards_table(board_runs, tmp_path, patterns):
    other = tables.Table(patterns.arrow.slice(1), patterns.info)
    cell = filled(board_runs, tmp_path, other, {"run": "whole"})["whole"]
    assert cell.validation.n == 35
    assert "trained on patterns, not on the board's table" in cell.remarks


def test_a_recipe_that_there_is_not_is_refused(tmp_path):
    made = listed(tmp_path, row({"name": "c", "recipe": "cnnn", "run": "c"}))
    with pytest.raises(RecipeError, match="did you mean cnn"):
        board.look(made, Source(tmp_path, None, "t.parquet"))


@pytest.mark.slow
def test_times_are_of_model_files(board_runs, tmp_path, patterns):
    cells = list(filled(board_runs, tmp_path, patterns, {"run": "whole"}, {"run": "absent"}).values())
    timed = board.with_times(cells, 2)
    assert timed[0].milliseconds > 0
    assert timed[1].milliseconds is None
    assert board.with_times(cells, 0)[0].milliseconds is None


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.ids, self.anchors = [], [], set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id"))
        self.sources += [values["src"]] if "src" in values else []
        self.anchors |= {values["href"].removeprefix("#")} if "href" in values else set()
        assert tag not in {"script", "link", "iframe"}
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def pages(tmp_path, *cells, **more):
    published = [{"figure": "75.8", "data": "PrivateTest", "means": "An ensemble."}]
    made = listed(tmp_path, row(*cells, published=published, **more), splits={"test": "PrivateTest"})
    found = board.look(made, Source(tmp_path, None, "t.parquet"))
    shown = board_page.Board(made, found, "t", "", "mien board")
    return board_page.markdown(shown, None, tmp_path), board_page.html(shown, b"png")


def test_both_forms_carry_the_same_and_escape_it(tmp_path):
    cell = {"name": "p|q <i>", "recipe": "cnn", "run": "c", "needs": "a GPU & time"}
    markdown, html = pages(tmp_path, cell)
    assert "Published: 75.8 % on PrivateTest, as quoted by the paper. An ensemble." in markdown
    assert "needs a GPU & time" in markdown
    assert "p\\|q <i>" in markdown
    tables_in = [line for line in markdown.splitlines() if line.startswith("| p")]
    assert [line.replace("\\|", "").count("|") for line in tables_in] == [13]
    tags = Tags(html)
    assert tags.open == []
    assert tags.anchors <= tags.ids
    assert tags.sources == ["data:image/png;base64,cG5n"]
    for words in (
        "Published: 75.8 % on PrivateTest, as quoted by the paper. An ensemble.",
        "needs a GPU &amp; time",
        "p|q &lt;i&gt;",
    ):
        assert words in html
    assert "<b>something" not in html
    assert "mien train cnn" in markdown
    assert "mien train cnn" in html


def test_a_row_without_a_published_figure_says_so_and_our_own_has_none_to_say(tmp_path):
    for own, said in ((False, True), (True, False)):
        made = listed(tmp_path, ROW | {"own": own})
        shown = board_page.Board(made, board.look(made, Source(tmp_path, None, "t")), "t", "", "mien board")
        for text in (board_page.markdown(shown, None, tmp_path), board_page.html(shown, None)):
            assert text.count("no figure quoted by the paper") == 2 * said


def test_figures_of_a_part_of_the_data_are_marked_wherever_they_stand(tmp_path):
    made = listed(tmp_path, ROW, splits={"test": "PrivateTest"}, faces={"train": 50, "validation": 35, "test": 7})
    (blank,) = board.look(made, Source(tmp_path, None, "t"))
    score = board_cell.Score(35, 0.5, (0.4, 0.6), 0.4, 0.4)
    cell = replace(blank, state="finished", protocol="official", validation=score, test=replace(score, n=7))
    whole = board_page.Board(made, [cell], "t", "", "mien board", {"train": 50, "validation": 35, "test": 7})
    assert whole.lacks == []
    assert "PART" not in board_page.markdown(whole, None, tmp_path)
    fewer = replace(whole, rows={"train": 20, "validation": 35, "test": 7})
    assert fewer.lacks == ["20 of 50 train faces"]
    scored = replace(whole, cells=[replace(cell, test=replace(score, n=6))], rows={})  # no table at hand
    assert scored.lacks == ["6 of 7 PrivateTest faces"]
    for shown in (fewer, scored):
        for text in (board_page.markdown(shown, None, tmp_path), board_page.html(shown, None)):
            assert f"A PART of the data set: {shown.lacks[0]}" in text
            assert "c, on a part of the data" in text


def test_steps_before_are_missing_only_until_what_they_make_is_there(tmp_path):
    made = tmp_path / "made.parquet"
    step = {"command": "mien data pool a b", "makes": str(made)}
    cells = listed(tmp_path, row({"name": "c", "recipe": "cnn", "run": "c", "before": [step]}))
    found = board.look(cells, Source(tmp_path, None, "t.parquet"))
    assert board_page.missing(found)[0] == "mien data pool a b"
    made.touch()
    assert [line.split()[1] for line in board_page.missing(found)] == ["train"]


def test_names_in_the_plot_cover_neither_each_other_nor_points():
    inside, taken = (0.0, 0.0, 400.0, 400.0), []
    for _ in range(20):  # all of one place: the hardest case
        box = plot._free(200, 200, 60, 10, taken, inside)
        assert not any(plot._overlap(box, other) for other in taken)
        taken.append(box)


def test_points_that_were_timed_earlier_are_hollow_and_the_legend_says_so():
    point = plot.Point("a", "own", 1.0, 0.5, (0.4, 0.6))
    solid, hollow = (plot.tradeoff([point, replace(point, earlier=e)], "x") for e in (False, True))
    green = (np.array(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in (solid, hollow))
    inks = [(pixels == np.array(ImageColor.getrgb(plot.GREEN))).all(axis=2).sum() for pixels in green]
    assert 0 < inks[1] < inks[0]


def test_the_plots_are_pictures_and_the_same_for_the_same_points():
    points = [plot.Point(f"$n{k}", kind, 1.0 + k, 0.5, (0.4, 0.6)) for k, kind in enumerate(plot.KINDS)]
    first = plot.tradeoff(points, "Public$Test")
    assert first.startswith(b"\x89PNG")
    assert first == plot.tradeoff(points, "Public$Test") != plot.tradeoff(points[:1], "Public$Test")
    top1 = np.array([[0.5, np.nan]])
    assert plots.matrix(top1, np.array([[9, 0]]), ["a\n(b)"], ["x", "a long name of a table"]).startswith(b"\x89PNG")
