import shutil
from dataclasses import replace

import numpy as np
import pytest

from mien.data import table as tables
from mien.errors import DataError, ModelError, TrainingError
from mien.evaluate import predictions
from mien.report import evidence

pytestmark = pytest.mark.slow


@pytest.fixture
def one(tiny_runs, tmp_path):
    """A copy of a run, to be damaged, with nothing scored yet."""
    return shutil.copytree(tiny_runs[0], tmp_path / "one", ignore=shutil.ignore_patterns("predictions"))


def test_what_was_scored_is_read_and_what_was_not_is_scored_and_kept(one, patterns):
    found = evidence.gather(one, patterns, ("validation",))
    file = one / "predictions" / "validation.parquet"
    assert file.exists()
    assert not (one / "predictions" / "test.parquet").exists()
    assert found.mark == ""
    assert found.stages == (2, 2)
    assert found.kept in {1, 2, 3, 4}
    # What the file says is believed, without the table too: scored again it would be the old answer.
    kept = predictions.read(file)
    turned = replace(kept.scores[0], probabilities=kept.scores[0].probabilities[:, ::-1])
    predictions.write(replace(kept, scores=(turned, *kept.scores[1:])), file)
    for table in (patterns, None):
        again = evidence.gather(one, table, ("validation",)).predictions["validation"]
        assert np.array_equal(again.scores[0].probabilities, turned.probabilities)


def test_answers_of_another_model_or_other_data_are_scored_anew(one, patterns):
    file = one / "predictions" / "validation.parquet"
    right = evidence.gather(one, patterns, ("validation",)).predictions["validation"]
    for change in ({"graph_sha256": "0"}, {"data_fingerprint": "0"}):
        wrong = replace(right.scores[0], probabilities=right.scores[0].probabilities[:, ::-1])
        provenance = dict(right.provenance) | change
        predictions.write(replace(right, provenance=provenance, scores=(wrong, *right.scores[1:])), file)
        again = evidence.gather(one, patterns, ("validation",)).predictions["validation"]
        assert np.array_equal(again.scores[0].probabilities, right.scores[0].probabilities)


def test_what_is_missing_is_named(one, patterns, tmp_path):
    with pytest.raises(DataError, match="--data"):
        evidence.gather(one, None, ("test",))
    with pytest.raises(TrainingError, match="no finished run"):
        evidence.gather(tmp_path, patterns, ("validation",))
    other = tables.Table(patterns.arrow.slice(1), patterns.info)
    with pytest.raises(TrainingError, match="other data"):
        evidence.gather(one, other, ("validation",))
    (one / "model.onnx").unlink()
    with pytest.raises(ModelError, match="mien export"):
        evidence.gather(one, patterns, ("validation",))


def test_a_history_without_the_newer_columns_is_read(one, patterns):
    rows = ["epoch,loss,validation_top1_fer2013,seconds", *(f"{e},1.5,0.4,2.0" for e in range(1, 5))]
    (one / "history.csv").write_text("\n".join(rows))
    found = evidence.gather(one, patterns, ("validation",))
    assert found.stages == (2, 2)
    assert found.history[0] == {"epoch": 1.0, "loss": 1.5, "validation_top1_fer2013": 0.4, "seconds": 2.0}


def test_entries_come_from_runs_tables_and_model_files(one, patterns):
    run = evidence.entry(str(one), patterns, "validation")
    table = evidence.entry(str(one / "predictions" / "validation.parquet"), None, "validation")
    model = evidence.entry(str(one / "model.onnx"), patterns, "validation")
    for a, b in ((run, table), (run, model)):
        assert np.array_equal(a.predictions.scores[0].probabilities, b.predictions.scores[0].probabilities)
    assert run.parameters == model.parameters > 1000
    assert (run.protocol, table.protocol, model.protocol) == ("official", None, "official")
    with pytest.raises(DataError, match="--split validation"):
        evidence.entry(str(one / "predictions" / "validation.parquet"), None, "test")
    with pytest.raises(DataError, match="--data"):
        evidence.entry(str(one / "model.onnx"), None, "validation")


def test_out_of_fold_answers_cover_each_train_face_once_and_average_repeats(tiny_runs, patterns, tmp_path):
    folds = []
    for fold in (0, 1, 1):
        run = tmp_path / f"fold{len(folds)}"
        shutil.copytree(tiny_runs[len(folds) % 2], run, ignore=shutil.ignore_patterns("predictions"))
        text = (run / "recipe.yaml").read_text()
        text = text.replace("protocol: official", "protocol: kfold").replace("folds: 10", "folds: 2")
        (run / "recipe.yaml").write_text(text.replace("fold: 0", f"fold: {fold}"))
        folds.append(run)
    two = evidence.out_of_fold(folds[:2], patterns)
    train = patterns.split("train")
    assert two.rows.tolist() == sorted(train.rows.tolist())
    assert np.allclose(two.probabilities.sum(axis=1), 1, atol=1e-5)
    three = evidence.out_of_fold(folds, patterns)
    assert three.rows.tolist() == two.rows.tolist()
    twice = evidence.out_of_fold(folds[2:], patterns)
    place = np.isin(two.rows, twice.rows)
    assert np.allclose(three.probabilities[place], (two.probabilities[place] + twice.probabilities) / 2)
    assert np.allclose(three.probabilities[~place], two.probabilities[~place])
    with pytest.raises(DataError, match="no run of protocol kfold"):
        evidence.out_of_fold([tiny_runs[0]], patterns)
