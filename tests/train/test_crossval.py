import csv
import itertools

import pytest
import torch

from mien.errors import RecipeError, TrainingError, WriteError
from mien.evaluate.predictions import Predictions, Scores
from mien.networks import build
from mien.runs import RunFolder
from mien.train import crossval, faces

RECIPE = """
name: tiny
description: for tests
data: {protocol: kfold, folds: 3}
heads: [{label_set: own}]
network: {widths: [8], depths: [1]}
precision: 32-true
stages: [{epochs: 2, learning_rate: 0.1, batch_size: 20}]
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return str(tmp_path / "tiny.yaml")


def made(fold: int, top1: float, last: float, label_set: str = "fer2013") -> crossval.FoldFigures:
    return crossval.FoldFigures(fold, label_set, 40, top1, 0.5, 0.5, 0.1, last, 1, 2, 3.0, f"runs/fold-{fold}")


def test_each_fold_is_planned_once(recipe):
    assert [spec.data.fold for spec in crossval.plan(recipe)] == [0, 1, 2]
    changed = crossval.plan(recipe, ["data.protocol=kfold-random", "seed=4"], folds=5)
    assert [(s.data.fold, s.data.folds, s.seed) for s in changed] == [(fold, 5, 4) for fold in range(5)]
    assert {s.data.protocol for s in changed} == {"kfold-random"}


def test_a_recipe_that_names_a_late_fold_can_have_fewer_of_them(recipe):
    assert len(crossval.plan(recipe, ["data.fold=2"], folds=2)) == 2


@pytest.mark.parametrize("protocol", ["official", "paper", "deduplicated"])
def test_protocols_without_folds_are_refused(recipe, protocol):
    with pytest.raises(RecipeError, match=r"--set data\.protocol=kfold"):
        crossval.plan(recipe, [f"data.protocol={protocol}"])


def test_folds_cover_every_training_face_once_and_are_trained_once(recipe, patterns, tmp_path):
    begun = []

    def begin():
        begun.append(1)
        return lambda progress: None

    specs = crossval.plan(recipe, ["stages.0.epochs=1"])
    runs = [crossval.train(spec, patterns, tmp_path / "cv", begin) for spec in specs]
    assert [run.path.name for run in runs] == ["fold-0", "fold-1", "fold-2"]
    rows = [faces.as_trained(patterns, spec).split("validation").rows.tolist() for spec in specs]
    assert sorted(itertools.chain.from_iterable(rows)) == sorted(patterns.split("train").rows.tolist())
    assert [crossval.train(spec, patterns, tmp_path / "cv", begin).path for spec in specs] == [r.path for r in runs]
    assert len(begun) == 3
    with pytest.raises(TrainingError, match="another recipe"):
        crossval.train(crossval.plan(recipe, ["seed=9"])[0], patterns, tmp_path / "cv", begin)
    with pytest.raises(TrainingError, match="other data"):
        crossval.train(specs[0], patterns.take(patterns.splits != "test"), tmp_path / "cv", begin)


def test_figures_of_a_fold_are_of_its_own_faces(recipe, patterns, tmp_path):
    spec = crossval.plan(recipe)[1]
    run = crossval.train(spec, patterns, tmp_path / "cv", lambda: lambda progress: None)
    table = faces.as_trained(patterns, spec)
    (row,) = crossval.figures(spec, run, _answers(run, table))
    assert (row.fold, row.label_set, row.epochs) == (1, "fer2013", 2)
    assert row.n == len(table.split("validation"))
    with run.history.open() as file:
        history = [float(line["validation_top1_fer2013"]) for line in csv.DictReader(file)]
    assert row.last_top1 == history[-1]
    assert row.top1 == pytest.approx(max(history), abs=1e-4)
    assert row.best_epoch == 1 + history.index(max(history))


def _answers(run: RunFolder, table) -> Predictions:
    """What the best weights say, as a model file would."""
    network = build.restore(run)
    part = table.split("validation")
    pixels = torch.from_numpy(part.pictures(48, grey=True)).unsqueeze(1).float() / 255
    with torch.inference_mode():
        probabilities = torch.softmax(network(pixels)["fer2013"], dim=1).numpy()
    labels = part.truth("fer2013")
    scores = Scores("p", "fer2013", part.label_sets["fer2013"], part.rows, labels, labels, probabilities)
    return Predictions("validation", {}, (scores,))


def test_the_summary_is_mean_and_sample_deviation_of_one_label_set():
    rows = [made(0, 0.5, 0.4), made(1, 0.7, 0.6), made(0, 0.9, 0.9, "ferplus"), made(1, 0.9, 0.9, "ferplus")]
    assert crossval.summary(rows, "fer2013", "top1") == pytest.approx((0.6, 0.1414), abs=1e-4)
    assert crossval.summary(rows, "ferplus", "last_top1") == (0.9, 0.0)
    assert crossval.summary(rows[:1], "fer2013", "top1") == (0.5, 0.0)


def test_the_table_of_folds_reads_as_it_was_written(tmp_path):
    target = crossval.write([made(0, 0.5, 0.4), made(1, 2 / 3, 0.6)], tmp_path)
    with target.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["fold"], row["top1"], row["run"]) for row in rows] == [
        ("0", "0.5", "runs/fold-0"),
        ("1", "0.66667", "runs/fold-1"),
    ]
    with pytest.raises(WriteError, match="cannot write"):
        crossval.write([made(0, 0.5, 0.4)], tmp_path / "absent")
