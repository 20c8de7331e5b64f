import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pattern_pictures import write_patterns

from mien.data import table as tables
from mien.data.writer import TableInfo, TableWriter
from mien.errors import TrainingError
from mien.train import faces, recipe, run
from mien.train.folder import RunFolder

RECIPE = """
name: patterns
description: for tests
seed: 3
heads: [{label_set: ferplus}, {label_set: fer2013, label_smoothing: 0.1}]
network: {widths: [8, 16], depths: [1, 1], dropout: 0.1}
ema: 0.5
precision: 32-true
stages:
  - {epochs: 3, learning_rate: 0.1, final_learning_rate: 0.05, warmup_epochs: 0.5, batch_size: 10,
     augmentation: {shift: 0.02, contrast: 0.1, crop: 44}}
  - {epochs: 3, learning_rate: 0.05, batch_size: 10}
"""


def history(folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(folder.history.read_text().splitlines()))


def spec(**changes):
    return recipe.parse(recipe.yaml.safe_dump(recipe.yaml.safe_load(RECIPE) | changes))


@pytest.fixture(scope="module")
def finished(patterns, tmp_path_factory) -> RunFolder:
    return run.train(spec(), patterns, tmp_path_factory.mktemp("run") / "run")


def test_a_network_learns_the_patterns(finished):
    rows = history(finished)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["validation_top1_fer2013"]) > 0.8


def test_the_run_folder_says_everything(finished, patterns):
    state = json.loads(finished.run.read_text())
    assert state["state"] == "finished"
    assert state["data"] == patterns.fingerprint
    assert state["labels"]["fer2013"][0] == "angry"
    assert state["environment"]["torch"] == torch.__version__
    assert recipe.load(finished.recipe) == spec()
    assert not list(finished.path.glob(".*"))


def test_the_best_epoch_by_validation_is_kept(finished):
    rows = history(finished)
    means = [(float(r["validation_top1_ferplus"]) + float(r["validation_top1_fer2013"])) / 2 for r in rows]
    best = finished.load(finished.best)
    assert best["epoch"] == 1 + int(np.argmax(means))
    assert best["selection"] == pytest.approx(max(means), abs=1e-4)


def test_the_test_split_is_never_read(patterns, tmp_path):
    without = patterns.take(patterns.splits != "test")
    assert run.train(spec(), without, tmp_path / "run").read_state()["state"] == "finished"


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_it_ends_with_the_same_weights(finished, patterns_path, tmp_path):
    """SIGKILL in the middle of the second and of the fourth epoch, so inside and right behind a stage."""
    script = textwrap.dedent(
        f"""
        import time
        from mien.data import table
        from mien.train import recipe, run
        def slowly(progress):
            print(progress.epoch, progress.step, flush=True)
            time.sleep(0.05)
        spec = recipe.load({str(finished.recipe)!r})
        run.train(spec, table.read({str(patterns_path)!r}), {str(tmp_path / "run")!r}, resume=True, report=slowly)
        """
    )
    for until in ("1 3", "3 2"):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == until:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        process.stdout.close()
        assert process.returncode == -signal.SIGKILL
    resumed = run.train(spec(), tables.read(patterns_path), tmp_path / "run", resume=True)
    for name in ("best", "last"):
        whole, pieces = (folder.load(getattr(folder, name))["network"] for folder in (finished, resumed))
        assert all(torch.equal(whole[key], pieces[key]) for key in whole)


def test_another_seed_gives_other_weights(finished, patterns, tmp_path):
    other = run.train(spec(seed=4), patterns, tmp_path / "run")
    a, b = (folder.load(folder.last)["network"] for folder in (finished, other))
    assert any(not torch.equal(a[key], b[key]) for key in a)


def test_a_folder_is_never_overwritten_by_another_run(finished, patterns):
    with pytest.raises(TrainingError, match="--resume"):
        run.train(spec(), patterns, finished.path)
    with pytest.raises(TrainingError, match="another recipe"):
        run.train(spec(seed=9), patterns, finished.path, resume=True)
    with pytest.raises(TrainingError, match="other data"):
        run.train(spec(), patterns.take(np.arange(len(patterns)) != 5), finished.path, resume=True)


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was(patterns, tmp_path):
    stages = [{"epochs": 1, "learning_rate": 0.01}, {"epochs": 1, "learning_rate": 1e30, "batch_size": 20}]
    with pytest.raises(TrainingError, match="learning_rate"):
        run.train(spec(stages=stages), patterns, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert len(folder.load(folder.last)["history"]) == 1


def test_a_full_disk_stops_with_a_message_and_keeps_the_last_checkpoint(patterns, tmp_path, monkeypatch):
    written = Path.write_bytes

    def full(self, content):
        if "last" in self.name and (tmp_path / "run" / "last.pt").exists():
            raise OSError(28, "No space left on device")
        return written(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match="No space left"):
        run.train(spec(), patterns, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert len(folder.load(folder.last)["history"]) == 1
    assert not list(folder.path.glob(".*"))


def test_a_label_without_training_faces_is_refused(patterns, tmp_path):
    without = patterns.take((patterns.labels != 4) | (patterns.splits != "train"))
    with pytest.raises(TrainingError, match="sad"):
        run.train(spec(), without, tmp_path / "run")


def test_a_head_without_validation_labels_is_refused(patterns, tmp_path):
    kept = np.where(patterns.splits == "train", patterns.labels, -1)
    field = patterns.arrow.schema.field("label")
    column = pa.array([None if label < 0 else label for label in kept.tolist()], field.type)
    place = patterns.arrow.schema.get_field_index("label")
    without = tables.Table(patterns.arrow.set_column(place, field, column), patterns.info)
    with pytest.raises(TrainingError, match="validation face of 'patterns' has a label in 'fer2013'"):
        run.train(spec(), without, tmp_path / "run")


def test_a_damaged_checkpoint_is_an_error(finished, tmp_path):
    broken = tmp_path / "last.pt"
    broken.write_bytes(finished.last.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        finished.load(broken)


def test_training_copies_are_merged_and_their_labels_averaged(tmp_path):
    picture = write_patterns(tmp_path / "one.parquet", {"train": 7, "validation": 7})
    whole = tables.read(picture)
    image = whole.arrow["image"][0].as_py()["bytes"]
    with TableWriter(tmp_path / "two.parquet", TableInfo("two", "fer2013", whole.info.labels)) as writer:
        for row, label in enumerate([0, 0, 4, None]):
            writer.add(image=image, path="", label=label, split="train", row=row, group=0, digest="same")
        for row, label in enumerate([1, 2, 3, 4, 5, 6]):
            writer.add(image=image, path="", label=label, split="train", row=9, group=9, digest=str(row))
    document = {"heads": [{"label_set": "fer2013"}]}
    loaded = faces.load(tables.read(tmp_path / "two.parquet"), "train", spec(**document), torch.device("cpu"))
    assert len(loaded) == 7
    assert loaded.targets["fer2013"][0].tolist() == pytest.approx([2 / 3, 0, 0, 0, 1 / 3, 0, 0])
    kept = spec(**document, data={"merge_copies": False})
    assert len(faces.load(tables.read(tmp_path / "two.parquet"), "train", kept, torch.device("cpu"))) == 10


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    stage = recipe.Stage(epochs=10, learning_rate=1.0, final_learning_rate=0.2, warmup_epochs=2)
    rates = [run._learning_rate(stage, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0.1, 0.55, 1.0, 0.6, 0.2])


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe.names())
def test_each_shipped_recipe_runs_two_steps(name, patterns, tmp_path):
    shipped = recipe.load(name)
    stages = [
        stage.model_copy(update={"epochs": 1, "warmup_epochs": 0.0, "batch_size": 70}) for stage in shipped.stages
    ]
    short = shipped.model_copy(update={"stages": tuple(stages)})
    started = time.perf_counter()
    folder = run.train(short, patterns, tmp_path / "run")
    assert folder.read_state()["parameters"] > 1000
    assert folder.read_state()["seconds"] <= time.perf_counter() - started
