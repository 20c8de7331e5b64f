"""Run folders of classical recipes on the pattern pictures."""

import csv
import json

import numpy as np
import pytest

from mien.classical import features, pipeline
from mien.classical import fit as run
from mien.errors import MienError, TrainingError
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe
from mien.runs import RunFolder

TEXT = """
kind: classical
name: tiny
description: for tests
seed: 1
features: {kind: pixels}
reduce: {components: 20}
classifier: {kind: logistic}
search: {classifier.logistic.C: [0.00001, 0.1, 0.01], classifier.knn.neighbors: [3]}
"""


def parse(*changes: str) -> ClassicalRecipe:
    found = recipes.parse(TEXT, overrides=changes)
    assert isinstance(found, ClassicalRecipe)
    return found


def history(folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(folder.history.read_text().splitlines()))


def test_the_folder_keeps_everything(patterns, tmp_path):
    told = []
    folder = run.train(parse(), patterns, tmp_path / "run", say=told.append)
    rows, state = history(folder), folder.read_state()
    assert [row["classifier.logistic.C"] for row in rows] == ["1e-05", "0.1", "0.01"]
    scores = [float(row["validation_top1_fer2013"]) for row in rows]
    assert state["chosen"] == {"candidate": 1 + int(np.argmax(scores)), "values": state["chosen"]["values"]}
    assert (state["state"], state["kind"], state["data"]) == ("finished", "classical", patterns.fingerprint)
    assert state["labels"] == {"fer2013": list(patterns.info.labels)}
    assert state["without_features"] == {"train": 0, "validation": 0}
    assert state["faces"] == {"train": 140, "validation": 35}  # 141 with one copy, which is merged
    assert len(state["search"]) == 3
    assert state["parameters"] == 2 * 2304 + 20 * 2304 + 20 + 7 * 20 + 7
    assert state["environment"]["scikit-learn"]
    assert recipes.load(folder.recipe) == parse()
    best = run.chosen(folder)
    assert best.search == {}
    assert best.classifier.model_dump()["C"] == state["chosen"]["values"]["classifier.logistic.C"]
    logits = run.restore(folder).logits(features.pixels(patterns.split("validation").pictures(grey=True)))
    assert (logits.argmax(axis=1) == patterns.split("validation").labels).mean() == pytest.approx(max(scores), abs=1e-4)
    assert max(scores) > 0.5
    assert [line for line in told if line.startswith("3/3: classifier.logistic.C = 0.01: validation top-1")]


def test_a_killed_run_goes_on_with_what_is_missing(patterns, tmp_path, monkeypatch):
    whole = run.train(parse(), patterns, tmp_path / "whole")
    fitted, fit = [], pipeline.fit

    def killed(*arguments):
        if len(fitted) == 2:
            raise KeyboardInterrupt
        fitted.append(arguments[0])
        return fit(*arguments)

    monkeypatch.setattr(pipeline, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        run.train(parse(), patterns, tmp_path / "run")
    assert RunFolder(tmp_path / "run").read_state()["state"] == "running"
    with pytest.raises(TrainingError, match="--resume"):
        run.train(parse(), patterns, tmp_path / "run")
    fitted.clear()
    folder = run.train(parse(), patterns, tmp_path / "run", resume=True)
    assert len(fitted) == 1
    assert [r["validation_top1_fer2013"] for r in history(folder)] == [
        r["validation_top1_fer2013"] for r in history(whole)
    ]
    assert folder.read_state()["chosen"] == whole.read_state()["chosen"]
    assert folder.read_state()["state"] == "finished"
    again = run.train(parse(), patterns, tmp_path / "run", resume=True)  # nothing is missing
    assert len(fitted) == 1
    assert again.pipeline.read_bytes() == folder.pipeline.read_bytes()


def test_killed_before_anything_was_kept_it_starts_again(patterns, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "dumps", lambda fitted: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run.train(parse(), patterns, tmp_path / "run")
    assert run.train(parse(), patterns, tmp_path / "run", resume=True).read_state()["chosen"]


def test_another_recipe_or_other_data_do_not_go_on(patterns, tmp_path):
    run.train(parse("search={}"), patterns, tmp_path / "run")
    with pytest.raises(TrainingError, match="another recipe"):
        run.train(parse(), patterns, tmp_path / "run", resume=True)
    with pytest.raises(TrainingError, match="other data"):
        run.train(parse("search={}"), patterns.take(np.arange(180)), tmp_path / "run", resume=True)


def test_features_are_computed_once_for_all_values_that_leave_them_alone(patterns, tmp_path, monkeypatch):
    computed = []
    compute = features.compute
    monkeypatch.setattr(features, "compute", lambda *given: (computed.append(given), compute(*given))[1])
    search = "search={features.cell: [8, 16], classifier.neighbors: [1, 3]}"
    run.train(
        parse("features={kind: hog}", "reduce=null", "classifier={kind: knn}", search), patterns, tmp_path / "run"
    )
    assert len(computed) == 4  # two splits, two cells


def test_faces_without_features_are_counted_and_answered(patterns, tmp_path, monkeypatch):
    def some(pictures: np.ndarray) -> np.ndarray:
        found = features.pixels(pictures)
        found[pictures[:, 0, 0] < 60] = np.nan
        return found

    monkeypatch.setattr(features, "build", lambda spec: some)
    told = []
    folder = run.train(parse("search={}"), patterns, tmp_path / "run", say=told.append)
    state = folder.read_state()
    validation = patterns.split("validation").pictures(grey=True)
    assert state["without_features"]["validation"] == (validation[:, 0, 0] < 60).sum() > 0
    assert state["without_features"]["train"] > 0
    count = state["without_features"]["validation"]
    assert f"{count} of 35 validation faces have no features: the class prior answers for them" in told


def test_label_sets_and_protocols_decide_as_they_do_for_networks(patterns, tmp_path):
    folder = run.train(parse("label_set=own", "data.protocol=kfold", "search={}"), patterns, tmp_path / "run")
    state = folder.read_state()
    assert list(state["labels"]) == ["fer2013"]
    assert not state["data_official"]
    assert state["faces"]["train"] + state["faces"]["validation"] == pytest.approx(141, abs=1)
    # Contempt has one training face, and the votes' majority is what is learned.
    votes = run.train(parse("label_set=ferplus", "search={}"), patterns, tmp_path / "votes")
    assert len(votes.read_state()["labels"]["ferplus"]) == 8


def test_a_folder_without_a_pipeline_says_what_makes_one(patterns, tmp_path):
    folder = run.train(parse("search={}"), patterns, tmp_path / "run")
    folder.pipeline.write_bytes(b"damaged")
    with pytest.raises(MienError, match="fit it again"):
        run.restore(folder)
    folder.pipeline.unlink()
    with pytest.raises(TrainingError, match="--resume"):
        run.restore(folder)
    assert run.train(parse("search={}"), patterns, folder.path, resume=True).pipeline.exists()
    state = json.loads(folder.run.read_text())
    del state["chosen"]
    folder.run.write_text(json.dumps(state))
    with pytest.raises(TrainingError, match="no fitted pipeline"):
        run.chosen(folder)
