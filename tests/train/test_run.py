import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from lightning_fabric import Fabric

from mien.data import protocol
from mien.data import table as tables
from mien.data.writer import TableInfo, TableWriter
from mien.errors import RecipeError, TrainingError
from mien.networks import build
from mien.recipes import loader
from mien.runs import RunFolder
from mien.train import faces, run, scoring
from support.pattern_pictures import write_patterns

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
    return loader.parse(loader.yaml.safe_dump(loader.yaml.safe_load(RECIPE) | changes))


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
    assert loader.load(finished.recipe) == spec()
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
        from mien.recipes import loader as recipe; from mien.train import run
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
    weights = finished.last.read_bytes()
    run.train(spec(measured="since then"), patterns, finished.path, resume=True)  # words do not make another recipe
    assert finished.last.read_bytes() == weights
    with pytest.raises(TrainingError, match="other data"):
        run.train(spec(), patterns.take(np.arange(len(patterns)) != 5), finished.path, resume=True)


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was(patterns, tmp_path):
    stages = [{"epochs": 1, "learning_rate": 0.01}, {"epochs": 1, "learning_rate": 1e30, "batch_size": 20}]
    with pytest.raises(TrainingError, match="learning_rate"):
        run.train(spec(stages=stages), patterns, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert len(folder.load(folder.last)["history"]) == 1


class Doubled(Fabric):
    """One process that sums as two would that have the same losses: in place."""

    def all_reduce(self, data, group=None, reduce_op="mean"):
        return data.mul_(2)


def test_looking_at_the_loss_does_not_change_it(patterns, tmp_path, monkeypatch):
    """The sum over processes is looked at in between; what is recorded at the end must not grow by that."""
    once = spec(stages=[{"epochs": 1, "learning_rate": 0.01, "batch_size": 10}])
    alone = history(run.train(once, patterns, tmp_path / "alone"))[0]
    monkeypatch.setattr(run, "_CHECKED_EVERY", 3)
    both = history(
        run.train(once, patterns, tmp_path / "both", fabric=Doubled(accelerator="cpu", precision="32-true"))
    )[0]
    assert float(both["loss"]) == pytest.approx(2 * float(alone["loss"]), rel=1e-4)


def test_a_full_disk_stops_with_a_message_and_keeps_the_last_checkpoint(patterns, tmp_path, monkeypatch):
    replace = Path.replace

    def full(temporary, target):
        if target.name == "last.pt" and target.exists():
            raise OSError(28, "No space left on device")
        replace(temporary, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TrainingError, match=r"cannot write .*last\.pt: No space left on device; .*--resume"):
        run.train(spec(), patterns, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert len(folder.load(folder.last)["history"]) == 1
    assert not list(folder.path.glob(".*"))


def test_of_a_folder_in_the_way_no_resuming_is_advised(patterns, tmp_path):
    (tmp_path / "run" / "last.pt").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"last\.pt: it is a folder; name a file$"):
        run.train(spec(), patterns, tmp_path / "run")


def test_a_label_without_training_faces_is_refused(patterns, tmp_path):
    without = patterns.take((patterns.labels != 4) | (patterns.splits != "train"))
    with pytest.raises(TrainingError, match="sad"):
        run.train(spec(), without, tmp_path / "run")


def test_few_faces_are_warned_of(patterns, tmp_path):
    lines = []
    once = spec(stages=[{"epochs": 1, "learning_rate": 0.1, "batch_size": 70}], heads=[{"label_set": "fer2013"}])
    run.train(once, patterns, tmp_path / "run", say=lines.append)
    assert [line.partition(":")[0] for line in lines] == ["warning"] * 2
    assert "validation, fer2013: fewer than 10 faces are labelled angry (5)" in lines[0]
    assert "140 training faces are few to train from scratch: mien train fine-tune" in lines[1]


def test_a_head_without_validation_labels_is_refused(patterns, tmp_path):
    kept = np.where(patterns.splits == "train", patterns.labels, -1)
    field = patterns.arrow.schema.field("label")
    column = pa.array([None if label < 0 else label for label in kept.tolist()], field.type)
    place = patterns.arrow.schema.get_field_index("label")
    without = tables.Table(patterns.arrow.set_column(place, field, column), patterns.info)
    with pytest.raises(TrainingError, match="validation face of 'patterns' has a label in 'fer2013'"):
        run.train(spec(), without, tmp_path / "run")


def test_steps_that_leave_batch_norm_nothing_are_one_line(patterns, tmp_path):
    with pytest.raises(RecipeError, match=r"stages\.0\.batch_size: Input should be greater than or equal to 2"):
        spec(stages=[{"epochs": 1, "learning_rate": 0.1, "batch_size": 1}])
    alone = patterns.take(np.r_[np.flatnonzero(patterns.splits == "train")[:1], patterns.splits.tolist().index("test")])
    one = alone.with_splits(np.array(["train", "validation"]), alone.info)
    one = one.with_columns(replace(one.info, labels=("angry",), label_set="own"), label=[0, 0], votes=[None, None])
    with pytest.raises(TrainingError, match=r"two for each process: .* there are 1 training faces"):
        run.train(spec(heads=[{"label_set": "own"}]), one, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


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


def test_history_tells_stage_rate_losses_and_speed(finished):
    rows = history(finished)
    assert [row["stage"] for row in rows] == ["1"] * 3 + ["2"] * 3
    rates = [float(row["learning_rate"]) for row in rows]
    assert 0.1 > rates[0] > rates[1] > rates[2] > 0.05 > rates[3] > rates[5]
    assert all(float(row["validation_loss_ferplus"]) > 0 and float(row["images_per_second"]) > 0 for row in rows)
    assert float(rows[-1]["validation_loss_fer2013"]) < float(rows[0]["validation_loss_fer2013"])


def test_a_frozen_backbone_stays_as_it_is_and_the_classifier_moves(patterns, tmp_path):
    torch.manual_seed(3)
    frozen = {"epochs": 1, "learning_rate": 0.1, "trainable": "classifier", "batch_size": 20}
    before = build.build(spec(stages=[frozen]), {"ferplus": 8, "fer2013": 7}).state_dict()
    folder = run.train(spec(stages=[frozen], ema=0.0), patterns, tmp_path / "run")
    after = folder.load(folder.last)["network"]
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith("heads.")}
    both = run.train(spec(stages=[frozen, frozen | {"trainable": 1}], ema=0.0), patterns, tmp_path / "both")
    after = both.load(both.last)["network"]
    moved = {name.rsplit(".", 2)[0] for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("backbone.3") for name in moved)
    assert not any(name.startswith(("backbone.0", "backbone.2")) for name in moved)


def test_a_stage_stops_early_and_the_next_one_goes_on(patterns, tmp_path):
    stages = [
        {"epochs": 9, "learning_rate": 1e-9, "batch_size": 70, "early_stop": 2, "batch_norm": "fixed"},
        {"epochs": 1, "learning_rate": 0.1, "batch_size": 70},
    ]
    rows = history(run.train(spec(stages=stages, ema=0.0), patterns, tmp_path / "run"))
    assert [row["stage"] for row in rows] == ["1", "1", "1", "2"]


def test_what_the_network_started_from_is_in_the_run(finished, patterns, tmp_path):
    lines = []
    document = {"network": {"widths": [8, 16], "depths": [1, 1], "weights": {"run": str(finished.path)}}}
    again = run.train(spec(**document), patterns, tmp_path / "run", say=lines.append)
    assert again.read_state()["weights"]["new"] == []
    assert lines[-1].startswith("starts with")
    assert str(finished.path) in lines[-1]
    assert any("labelled contempt (1)" in line for line in lines)
    assert not any("from scratch" in line for line in lines)
    assert float(history(again)[0]["loss"]) < float(history(finished)[0]["loss"])
    assert finished.read_state()["weights"] is None


@pytest.mark.parametrize(
    "head",
    [
        {"loss": "focal"},
        {"loss": "sigmoid"},
        {"class_weights": "balanced"},
        {"targets": "majority"},
        {"label_smoothing": 0.3},
        {"weight": 2.0},
    ],
)
def test_each_loss_gives_another_network(patterns, tmp_path, head):
    found = []
    for number, extra in enumerate([{}, head]):
        stages = [{"epochs": 1, "learning_rate": 0.05, "batch_size": 20}]
        document = {"heads": [{"label_set": "ferplus"} | extra], "stages": stages, "ema": 0.0}
        folder = run.train(spec(**document), patterns, tmp_path / str(number))
        found.append(folder.load(folder.last)["network"]["heads.ferplus.weight"])
    assert not torch.equal(*found)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation": 10},
        {"shift": 0.1},
        {"scale": 0.1},
        {"flip": True},
        {"blur": 0.05},
        {"jpeg": 30},
        {"brightness": 0.2},
        {"contrast": 0.2},
        {"random_erasing": 0.5},
        {"crop": 40},
        {"mixup": 0.5},
    ],
)
def test_each_augmentation_gives_another_network(patterns, tmp_path, change):
    found = []
    for number, augmentation in enumerate([{}, change]):
        stages = [{"epochs": 1, "learning_rate": 0.05, "batch_size": 20, "augmentation": augmentation}]
        folder = run.train(spec(stages=stages, ema=0.0), patterns, tmp_path / str(number))
        found.append(folder.load(folder.last)["network"]["heads.ferplus.weight"])
    assert not torch.equal(*found)


def test_a_permuted_label_order_is_another_problem(finished, patterns):
    """The heads know what stands where: the same logits against rotated labels are wrong."""
    network = build.restore(finished)
    part = faces.load(patterns, "validation", spec(), torch.device("cpu"))
    guess = scoring.score(network, part.pixels)["fer2013"].argmax(dim=1)
    truth = part.truth["fer2013"]
    assert (guess == truth).float().mean() > 0.8
    assert (guess == (truth + 1) % 7).float().mean() < 0.2


def test_pictures_that_would_fill_the_gpu_are_mapped(patterns, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    needed = 210 * 48 * 48
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=4 * needed - 1)
    )
    part = patterns.take(np.arange(210))
    mapped = faces.pixels(part, spec().data, torch.device("cuda"))  # no GPU is touched
    assert mapped.device.type == "cpu"
    assert len(list((tmp_path / "pixels").iterdir())) == 1


def test_mapped_pictures_give_the_weights_that_pictures_in_memory_give(finished, patterns, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    mapped = run.train(spec(data={"storage": "mapped"}), patterns, tmp_path / "run")
    assert len(list((tmp_path / "cache" / "pixels").iterdir())) == 2
    a, b = (folder.load(folder.last)["network"] for folder in (finished, mapped))
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("protocol", ["paper", "kfold", "oversample-before-split"])
def test_protocols_decide_what_is_trained_and_validated(patterns, tmp_path, protocol):
    stages = [{"epochs": 1, "learning_rate": 0.1, "batch_size": 20}]
    data = {"protocol": protocol, "merge_copies": False}
    state = run.train(spec(stages=stages, data=data), patterns, tmp_path / "run").read_state()
    assert state["protocol"] == protocol
    assert not state["data_official"]
    expected = {"paper": (140, 70), "kfold": (126, 14), "oversample-before-split": (173, 44)}[protocol]
    assert (state["faces"]["train"], state["faces"]["validation"]) == pytest.approx(expected, abs=4)


def test_colour_pictures_train_too(patterns, tmp_path):
    stages = [{"epochs": 2, "learning_rate": 0.1, "batch_size": 20, "augmentation": {"hue": 0.1, "saturation": 0.2}}]
    data = {"color": "rgb", "mean": [0.5, 0.5, 0.5], "merge_copies": False}
    folder = run.train(spec(stages=stages, data=data), patterns, tmp_path / "run")
    assert build.restore(folder).backbone[0][0].weight.shape[1] == 3


NETWORKS = [name for name in loader.names() if isinstance(loader.load(name), loader.Recipe)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_each_shipped_recipe_runs_two_steps(name, finished, patterns, tmp_path, monkeypatch):
    """On few and small pictures, since the largest networks have 140 million parameters; those are not written."""
    shipped = loader.load_network(name)
    folded = shipped.data.protocol in protocol.FOLDED
    stages = [stage.model_copy(update={"epochs": 1, "warmup_epochs": 0.0, "batch_size": 7}) for stage in shipped.stages]
    heads = (
        shipped.heads
        if set(patterns.label_sets) >= {h.label_set for h in shipped.heads}
        else (loader.Head(label_set="fer2013"),)
    )
    network = shipped.network.model_copy(update={"weights": None})  # those have tests of their own
    size = shipped.data.size if shipped.data.size <= 96 else 48
    data = shipped.data.model_copy(update={"size": size, "folds": 2})
    distillation = shipped.distillation
    short = shipped.model_copy(
        update={
            "stages": tuple(stages),
            "heads": heads,
            "network": network,
            "data": data,
            "distillation": distillation and distillation.model_copy(update={"teachers": (str(finished.path),)}),
        }
    )
    train = np.flatnonzero(patterns.splits == "train")[: 29 if folded else 15]  # the first one is there twice
    few = patterns.take(np.union1d(train, np.flatnonzero(patterns.splits == "validation")[:7]))
    steps: list[int] = []
    monkeypatch.setattr(RunFolder, "save", lambda folder, target, content: None)
    started = time.perf_counter()
    folder = run.train(short, few, tmp_path / "run", report=lambda progress: steps.append(progress.step))
    assert steps.count(2) == len(stages)
    assert folder.read_state()["parameters"] > 1000
    assert folder.read_state()["seconds"] <= time.perf_counter() - started + 0.5  # it is rounded


def test_history_is_there_for_tensorboard_too(finished, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.path / "tensorboard")).Reload()
    logged = {event.step: event.value for event in events.Scalars("loss")}
    assert logged == pytest.approx({int(row["epoch"]): float(row["loss"]) for row in history(finished)}, rel=1e-5)
