"""Ctrl-C and SIGTERM while trainings run, as a user sends them: one line says what is kept and how to go on."""

import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from support.command_line import RECIPE

pytestmark = pytest.mark.slow

LONG = RECIPE.replace("epochs: 3", "epochs: 400")
FOLDS = LONG.replace("heads: [{label_set: ferplus}, {label_set: fer2013}]", "heads: [{label_set: own}]")


@pytest.fixture
def stopped(tmp_path, patterns_path):
    """What a command says after a signal in its second epoch; its standard error after that epoch's line."""

    def stop(number, code, *arguments):
        command = [str(Path(sys.executable).with_name("mien")), *arguments, "--data", str(patterns_path)]
        # Where the tests run in the background, children would ignore the signal.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=heed)
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 2/400" in line:
                process.send_signal(number)
                break
        rest = process.stderr.read()
        process.stderr.close()
        assert process.wait() == code
        (said,) = [line for line in rest.splitlines() if not line.startswith("epoch ")]  # and nothing else
        return said

    return stop


def cwd_of(process):
    try:
        return (process / "cwd").readlink()
    except OSError:
        return None


def epochs_in(folder):
    return len((folder / "history.csv").read_text().splitlines()) - 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_names_the_epoch_that_is_kept(stopped, tmp_path, number, code):
    (tmp_path / "tiny.yaml").write_text(LONG)
    said = stopped(number, code, "train", "tiny.yaml")
    kept = re.fullmatch(r"mien: stopped: epoch (\d+) is kept in runs/tiny; add --resume to continue there", said)
    assert kept, said
    assert int(kept[1]) == epochs_in(tmp_path / "runs" / "tiny") >= 2


def test_a_stopped_tuning_says_what_is_kept_and_the_same_command_continues(stopped, tmp_path):
    (tmp_path / "tiny.yaml").write_text(LONG)
    said = stopped(signal.SIGTERM, 143, "tune", "tiny.yaml", "--over", "seed=1,2")
    kept = re.fullmatch(
        r"mien: stopped: 0 runs are finished in runs/tune-tiny, seed=1 up to epoch (\d+); the same command continues",
        said,
    )
    assert kept, said
    assert int(kept[1]) == epochs_in(tmp_path / "runs" / "tune-tiny" / "seed=1")


def test_a_stopped_cross_validation_says_what_is_kept(stopped, tmp_path):
    (tmp_path / "tiny.yaml").write_text(FOLDS)
    said = stopped(signal.SIGINT, 130, "crossval", "tiny.yaml", "--set", "data.protocol=kfold", "--folds", "2")
    kept = re.fullmatch(
        r"mien: stopped: 0 runs are finished in runs/crossval-tiny, fold-0 up to epoch (\d+);"
        r" the same command continues",
        said,
    )
    assert kept, said
    assert int(kept[1]) == epochs_in(tmp_path / "runs" / "crossval-tiny" / "fold-0")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes where Linux lists them")
def test_a_stopped_training_of_two_processes_says_it_once_and_ends_both(stopped, tmp_path):
    (tmp_path / "tiny.yaml").write_text(LONG)
    said = stopped(signal.SIGTERM, 143, "train", "tiny.yaml", "--accelerator", "cpu", "--devices", "2")
    assert said.startswith("mien: stopped: epoch ")
    assert [path for path in Path("/proc").glob("[0-9]*") if cwd_of(path) == tmp_path.resolve()] == []
