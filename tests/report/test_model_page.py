from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from mien import benchmark, models
from mien.evaluate import groups, metrics, predictions
from mien.evaluate.sensitivity import Sensitivity
from mien.report import grouping, model_page
from support.kept_looks import LOOK


@pytest.fixture(scope="module")
def sources(patterns):
    model = models.load(threads=1)
    answers = {split: predictions.predict(model, patterns, split, ledger=LOOK) for split in ("validation", "test")}
    copied = patterns.split("test").rows[:5]
    found = [Sensitivity("upside down", {"ferplus": 0.25, "fer2013": 0.5}, {"ferplus": -0.125, "fer2013": 0.0})]
    timing = benchmark.Timing(1.25, 50, "a processor")
    return model_page.Sources(model, answers, copied, found, timing, "Seed 2 gave the same.")


def test_the_page_states_what_the_predictions_give(sources):
    page = model_page.page(sources)
    for split, answers in sources.answers.items():
        for scores in answers.scores:
            f = metrics.measure(scores)
            assert f"| {split}, {scores.label_set} | {f.n:,} | {100 * f.top1:.2f} |" in page
    assert "| upside down | 25.0 (-12.5) | 50.0 (+0.0) |" in page
    assert "1.25 ms a face, one thread, median of 50 calls (a processor)" in page
    assert "Seed 2 gave the same." in page
    assert page.startswith("---\nlicense: apache-2.0\n")
    assert sources.model.card.intended_use in page
    assert "mien train default --data fer2013.parquet" in page


def test_groups_are_of_the_test_faces_where_they_were_scored(sources, patterns):
    assert "Per group" not in model_page.page(sources)
    (divided,) = grouping.divide(patterns.split("test"), ["brightness"], 3, None)
    scores = sources.answers["test"].scores[0]
    compared = groups.compare(scores, divided)
    part = model_page.page(replace(sources, groups=[compared])).split("## Per group")[1].split("##")[0]
    assert "Of the test faces" in part
    first = compared.groups[0]
    assert f"| {scores.label_set} | brightness | {first.name} | {first.n:,} | {grouping.cells(first)[0]} |" in part
    assert part.count("\n| ") == 1 + len(compared.groups)
    assert all(warning in part for warning in compared.warnings)


def test_rebuilding_begins_with_the_runs_that_the_recipe_starts_from_or_learns_from(sources):
    card = sources.model.card
    network = {**card.recipe["network"], "weights": {"run": "runs/deep"}}  # which itself starts from runs/fast
    teachers = ["runs/wide", "runs/fast", "fast", "a.onnx"]  # model files are not trained first
    grown = {**card.recipe, "network": network, "distillation": {"teachers": teachers}}
    model = copy(sources.model)
    model.card = replace(card, recipe=grown)
    page = model_page.page(replace(sources, model=model))
    lines = [line.split(" --data")[0] for line in page.splitlines() if line.startswith("mien train")]
    assert lines == ["mien train fast", "mien train deep", "mien train wide", "mien train default"]


def test_a_file_of_another_name_than_its_recipe_is_rebuilt_under_that_name(sources):
    model = copy(sources.model)
    model.card = replace(model.card, name="mine")
    assert "--name mine -o mine.onnx" in model_page.page(replace(sources, model=model))


def test_an_ensemble_is_rebuilt_from_its_members_trained_as_they_were(sources):
    card = sources.model.card
    member = {"recipe": {**card.recipe, "seed": 5}, "training": card.training}
    pair = {"name": "pair", "recipe": {}, "training": {"members": {"fast": member, "runs/inner": member}}}
    inside = {"default": member, "runs/mine": member, "small.onnx": member, "two.onnx": pair}
    model = copy(sources.model)
    model.card = replace(card, name="both", training={**card.training, "members": inside})
    page = model_page.page(replace(sources, model=model))
    lines = page.split("## Rebuild")[1].strip().strip("`").strip().splitlines()
    trained = [line for line in lines if "train default" in line]
    assert trained == [
        f"mien train default --data fer2013.parquet --set seed=5 -o runs/{name}" for name in ("mine", "small", "inner")
    ]
    assert "mien ensemble fast runs/inner --data fer2013.parquet --pack two.onnx --name pair" in lines
    assert "mien export runs/small --data fer2013.parquet --precision int8 --views none -o small.onnx" in lines
    assert lines[-1].startswith(
        "mien ensemble default runs/mine small.onnx two.onnx --data fer2013.parquet --pack both"
    )
    assert "members and weights chosen on validation" in page


def test_what_pre_trains_names_its_own_table(sources):
    card = sources.model.card
    network = {**card.recipe["network"], "weights": {"run": "runs/fast-tiny-imagenet"}}
    model = copy(sources.model)
    model.card = replace(card, recipe={**card.recipe, "network": network, "distillation": None})
    page = model_page.page(replace(sources, model=model))
    assert "mien train fast-tiny-imagenet --data tiny-imagenet.parquet -o runs/fast-tiny-imagenet" in page


def test_copied_test_faces_are_left_out_of_the_deduplicated_row(sources):
    line = next(line for line in model_page.page(sources).splitlines() if "test, fer2013, deduplicated" in line)
    scores = next(s for s in sources.answers["test"].scores if s.label_set == "fer2013")
    assert line.split("|")[2].strip() == "30"
    hits = scores.probabilities[5:].argmax(axis=1) == scores.truth[5:]
    assert line.split("|")[3].strip() == f"{100 * np.mean(hits):.2f}"


def test_the_clock_counts_calls(sources):
    timing = benchmark.clock(sources.model, "here", calls=3)
    assert timing.calls == 3
    assert 0.01 < timing.milliseconds < 10_000
