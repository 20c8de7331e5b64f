from pathlib import Path

import pytest

from mien.errors import RecipeError, TrainingError
from mien.train import tune

RECIPE = """
name: tiny
description: for tests
heads: [{label_set: fer2013}]
network: {widths: [8], depths: [1]}
stages: [{epochs: 1, learning_rate: 0.1, batch_size: 20}]
"""


def test_combinations_are_all_of_them_and_commas_in_brackets_belong_to_a_value():
    found = tune.combinations(["seed=1,2", "network.widths=[8, 16],[4]"])
    assert len(found) == 4
    assert found[1] == {"seed": "1", "network.widths": "[4]"}
    assert tune.combinations(["stages.0.augmentation={flip: true, scale: 0.1},{}"])[0] == {
        "stages.0.augmentation": "{flip: true, scale: 0.1}"
    }


@pytest.mark.parametrize("over", [["seed"], ["seed="], ["=1"], ["seed=1", "seed=2"], ["a=[1"]])
def test_what_cannot_be_tried_is_refused(over):
    with pytest.raises(RecipeError):
        tune.combinations(over)


def test_trials_are_ranked_by_validation_and_never_repeated(patterns, tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    begun = []

    def begin(values, number, count):
        begun.append((values["stages.0.learning_rate"], number, count))
        return lambda step: None

    ask = (str(tmp_path / "tiny.yaml"), patterns, tmp_path / "runs", ["stages.0.learning_rate=1e-9,0.1"])
    changes = ["stages.0.epochs=4", "stages.0.schedule=constant"]
    trials = tune.tune(*ask, changes, begin=begin)
    assert [trial.values["stages.0.learning_rate"] for trial in trials] == ["0.1", "1e-9"]
    assert trials[0].score > trials[1].score
    assert begun == [("1e-9", 1, 2), ("0.1", 2, 2)]
    again = tune.tune(*ask, changes, begin=begin)
    assert [(t.values, t.score, t.epoch) for t in again] == [(t.values, t.score, t.epoch) for t in trials]
    assert len(begun) == 2


def test_a_fault_in_one_combination_stops_before_any_training(patterns, tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    with pytest.raises(RecipeError, match="epochs"):
        tune.tune(
            str(tmp_path / "tiny.yaml"), patterns, tmp_path / "runs", ["stages.0.epochs=1,0"], begin=lambda *_: print
        )
    assert not (tmp_path / "runs").exists()


def test_finished_runs_of_other_data_are_not_taken_for_these(patterns, tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    ask = (tmp_path / "runs", ["seed=1"])
    tune.tune(str(tmp_path / "tiny.yaml"), patterns, *ask, begin=lambda *_: lambda step: None)
    other = patterns.take(patterns.splits != "test")
    with pytest.raises(TrainingError, match="other data"):
        tune.tune(str(tmp_path / "tiny.yaml"), other, *ask, begin=lambda *_: lambda step: None)


def test_a_full_disk_says_that_the_same_command_continues(patterns, tmp_path, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    ask = (str(tmp_path / "tiny.yaml"), patterns, tmp_path / "runs", ["seed=1"])
    replace = Path.replace

    def full(temporary, target):
        if target.name == "best.pt":
            raise OSError(28, "No space left on device")
        replace(temporary, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TrainingError, match=r"No space left on device; .*the same command continues there$") as told:
        tune.tune(*ask, begin=lambda *_: lambda step: None)
    assert "--resume" not in str(told.value)
    monkeypatch.setattr(Path, "replace", replace)
    assert len(tune.tune(*ask, begin=lambda *_: lambda step: None)) == 1
