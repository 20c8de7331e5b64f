"""What a run folder says it holds, and who may go on there; no training."""

import os
from dataclasses import replace

import pytest

from mien import files, runs
from mien.errors import DataError, TrainingError, WriteError
from mien.recipes import loader
from mien.runs import RunFolder

NETWORK = "{name: same, description: for tests, heads: [{label_set: fer2013}], stages: [{epochs: 1, learning_rate: 1}]}"
CLASSICAL = """
{kind: classical, name: same, description: for tests, label_set: fer2013, features: {kind: pixels},
 classifier: {kind: logistic}}
"""


@pytest.mark.parametrize(("ours", "other"), [(NETWORK, CLASSICAL), (CLASSICAL, NETWORK)])
def test_a_run_goes_on_for_its_own_recipe_and_data_alone(patterns, tmp_path, ours, other):
    folder, spec = RunFolder(tmp_path / "run"), loader.parse(ours)
    assert not runs.goes_on(folder, spec, patterns, resume=True)
    labels = runs.labels(patterns, spec)
    runs.begin(folder, spec, patterns, patterns, labels, {"train": 5}, parameters=7)
    assert runs.goes_on(folder, spec, patterns, resume=True)
    state = folder.read_state()
    assert (state["state"], state["data"], state["faces"]) == ("running", patterns.fingerprint, {"train": 5})
    assert state["parameters"] == 7
    assert state["labels"] == {"fer2013": list(labels["fer2013"])}
    with pytest.raises(TrainingError, match="already holds a run"):
        runs.goes_on(folder, spec, patterns, resume=False)
    with pytest.raises(TrainingError, match="another recipe"):
        runs.goes_on(folder, loader.parse(other), patterns, resume=True)
    folder.write_state(data="0" * 64)
    with pytest.raises(TrainingError, match="other data"):
        runs.goes_on(folder, spec, patterns, resume=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "fast", "heads": [{"label_set": "ferplus"}]}, r"--ferplus fer2013new.csv.*train fast-fer2013"),
        ({"heads": [{"label_set": "other"}]}, r"learns 'other'.*--set 'heads=\[\{label_set: own\}\]'$"),
        ({"label_set": "ferplus"}, r"--ferplus fer2013new.csv\); or add --set 'label_set=own'$"),
    ],
)
def test_a_recipe_that_wants_labels_the_table_lacks_says_what_mends_it(patterns, changes, words):
    plain = patterns.with_columns(patterns.info, votes=[None] * len(patterns))
    text = CLASSICAL if "label_set" in changes else NETWORK
    document = loader.yaml.safe_load(text) | changes
    with pytest.raises(DataError, match=words):
        runs.labels(plain, loader.parse(loader.yaml.safe_dump(document)))
    own = replace(patterns.info, label_set="mine")
    with pytest.raises(DataError, match="train fine-tune" if text is NETWORK else "label_set=own"):
        runs.labels(plain.with_columns(own), loader.parse(text))
    assert list(runs.labels(plain.with_columns(own), loader.load("fine-tune"))) == ["mine"]


def test_two_trainings_do_not_share_a_folder(patterns, tmp_path):
    from mien.classical import fit
    from mien.train import run

    with files.alone(tmp_path / "run"):
        for train, spec in ((run.train, loader.parse(NETWORK)), (fit.train, loader.parse(CLASSICAL))):
            with pytest.raises(WriteError, match=rf"run: process {os.getpid()} on .* is writing it"):
                train(spec, patterns, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[1, 2]", "5", "{", "[" * 100_000])
def test_a_state_that_is_none_of_ours_is_one_line(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(TrainingError, match=r"run\.json is not what mien wrote: the run is damaged, train again$"):
        RunFolder(tmp_path).read_state()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n1,2,3\n", b"epoch,seconds\n1\n", b"epoch,seconds\n1,x\n"])
def test_a_history_that_is_none_of_ours_is_one_line(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(TrainingError, match=r"history\.csv is .*: the run is damaged, train again$"):
        RunFolder(tmp_path).read_history()


def test_a_checkpoint_that_may_run_code_is_refused_in_our_own_words(tmp_path):
    import pickle

    (tmp_path / "last.pt").write_bytes(pickle.dumps(RunFolder))
    with pytest.raises(TrainingError, match=r"last\.pt is not a whole checkpoint of mien: remove it") as caught:
        RunFolder(tmp_path).load(tmp_path / "last.pt")
    assert "weights_only" not in str(caught.value)
