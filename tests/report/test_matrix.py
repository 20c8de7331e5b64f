"""The cross-data matrix: labels matched by name, and what is said of those that one side lacks."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mien.data.writer import TableInfo
from mien.errors import DataError, ModelError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from mien.report import matrix
from support.made_table import write_table
from support.pattern_pictures import pattern


class Knowing:
    """Reads the label off the picture's brightness, in its own order of labels; knows nothing of the table."""

    def __init__(self, *outputs, order, fingerprint=""):
        made = {
            f"out{place}": SimpleNamespace(labels=labels, label_set=name, temperature=1.0, bias=(), power=1.0)
            for place, (name, labels) in enumerate(outputs)
        }
        self.order = order
        self.card = SimpleNamespace(
            name="knowing", version="1", width=8, height=8, outputs=made, graph_sha256="0", data={"name": "made up"}
        )
        self.card.data["fingerprint"] = fingerprint

    def score(self, crops):
        shown = [self.order[int(np.rint(value / 20))] for value in crops[..., 0].mean(axis=(1, 2))]
        answers = {}
        for name, output in self.card.outputs.items():
            known = np.full((len(crops), len(output.labels)), 0.01, np.float32)
            for place, label in enumerate(shown):
                known[place, output.labels.index(label) if label in output.labels else 0] = 1
            answers[name] = known / known.sum(axis=1, keepdims=True)
        return answers


def table(path, labels, counts, label_set="made", splits=("validation",)):
    """Grey pictures 8x8 whose brightness says the label's place in ``labels``."""
    rows = [
        (np.full((8, 8), 20 * label + copy % 3, np.uint8), label, split)
        for split in splits
        for label, count in enumerate(counts)
        for copy in range(count)
    ]
    return write_table(path, TableInfo("made", label_set, labels), rows)


def crossing(scorer, made, split="validation"):
    ((found,),) = matrix.cross([matrix.Contender("m", scorer, "made up")], [made], split)
    return found


def test_the_same_labels_are_compared_as_they_are(tmp_path):
    made = table(tmp_path / "t.parquet", BASIC_SEVEN, [2] * 7, "fer2013")
    scorer = Knowing(("ferplus", BASIC_EIGHT), ("fer2013", BASIC_SEVEN), order=BASIC_SEVEN)
    found = crossing(scorer, made)
    assert (found.labels.output, found.labels.compared) == ("out1", BASIC_SEVEN)
    assert (found.labels.unknown, found.labels.unused, found.left_out) == ((), (), 0)
    assert (found.figures.n, found.figures.top1) == (14, 1.0)
    assert found.answers.provenance["data_fingerprint"] == made.fingerprint


def test_labels_in_another_order_are_matched_by_name(tmp_path):
    labels = ("neutral", "happy", "angry")
    found = crossing(Knowing(("fer2013", BASIC_SEVEN), order=labels), table(tmp_path / "t.parquet", labels, [3, 2, 1]))
    assert (found.figures.n, found.figures.top1) == (6, 1.0)
    assert found.labels.unused == ("disgust", "fear", "sad", "surprise")
    wrong = crossing(
        Knowing(("fer2013", BASIC_SEVEN), order=("sad", "happy", "angry")),
        table(tmp_path / "t.parquet", labels, [3, 2, 1]),
    )
    assert wrong.figures.top1 == 0.5  # an answer that the table has no label for is a wrong one


def test_faces_that_the_model_does_not_know_are_left_out_and_counted(tmp_path):
    labels = ("contempt", "happy", "sad", "bored")
    made = table(tmp_path / "t.parquet", labels, [4, 3, 2, 5])
    found = crossing(Knowing(("own", ("sad", "happy", "angry")), order=labels), made)
    assert (found.figures.n, found.figures.top1, found.left_out) == (5, 1.0, 9)
    assert found.labels.compared == ("happy", "sad")
    assert found.labels.unknown == ("contempt", "bored")
    assert found.labels.unused == ("angry",)


def test_the_output_that_knows_most_answers(tmp_path):
    labels = ("contempt", "happy")
    scorer = Knowing(("fer2013", BASIC_SEVEN), ("ferplus", BASIC_EIGHT), order=labels)
    assert crossing(scorer, table(tmp_path / "t.parquet", labels, [2, 2])).labels.output == "out1"


def test_nothing_to_compare_is_told_and_the_rest_goes_on(tmp_path):
    bored = table(tmp_path / "a.parquet", ("bored",), [3])
    happy = table(tmp_path / "b.parquet", ("happy",), [3], splits=("test",))
    fine = table(tmp_path / "c.parquet", ("happy",), [3])
    contenders = [matrix.Contender("m|1", Knowing(("fer2013", BASIC_SEVEN), order=("happy",)), "made up")]
    rows = matrix.cross(contenders, [bored, happy, fine], "validation")
    assert [bool(c.figures) for c in rows[0]] == [False, False, True]
    text = matrix.markdown(contenders, ["bored", "happy", "fine"], rows, "validation")
    assert "no label in common: the table has bored; the model knows angry" in text
    assert "no 'validation' rows" in text
    row = next(line for line in text.splitlines() if line.startswith("| m\\|"))
    assert row.replace("\\|", "").count("|") == 6
    assert row.count("–") == 2
    assert "100.00 [100.00, 100.00], F1 100.00, n = 3" in row
    assert matrix.plot(contenders, ["bored", "happy", "fine"], rows).startswith(b"\x89PNG")


def test_the_table_that_it_was_trained_on_is_marked(tmp_path):
    made = table(tmp_path / "t.parquet", ("happy", "sad"), [2, 2])
    scorer = Knowing(("fer2013", BASIC_SEVEN), order=("happy", "sad"), fingerprint=made.fingerprint)
    contenders = [matrix.Contender("m", scorer, "made")]
    rows = matrix.cross(contenders, [made], "validation")
    assert rows[0][0].trained_on
    assert "**100.00**" in matrix.markdown(contenders, ["made"], rows, "validation")


def test_votes_do_not_survive_where_rows_are_left_out(tmp_path):
    rows = [(np.full((8, 8), 20 * k, np.uint8), k, "validation", [10] + [0] * 9) for k in (0, 1)]
    made = write_table(tmp_path / "t.parquet", TableInfo("made", "own", ("happy", "bored")), rows)
    found = crossing(Knowing(("mine", ("happy", "sad")), order=("happy", "bored")), made)
    assert (found.labels.label_set, found.figures.n, found.left_out) == ("own", 1, 1)


@pytest.mark.slow
def test_runs_and_model_files_contend(tiny_runs, patterns, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(pattern(k % 2 + 3, rng), k % 2, "validation") for k in range(20)]
    other = write_table(tmp_path / "o.parquet", TableInfo("other", "two", ("happy", "sad")), rows)
    contenders = [matrix.contender(str(tiny_runs[0])), matrix.contender(str(tiny_runs[1] / "model.onnx"))]
    assert [(c.name, c.data) for c in contenders] == [("one", "patterns"), ("model", "patterns")]
    found = matrix.cross(contenders, [patterns, other], "validation")
    assert [[c.trained_on for c in row] for row in found] == [[True, False], [True, False]]
    assert [c.figures.n for c in found[0]] == [35, 20]
    with pytest.raises(ModelError, match="nonsense"):
        matrix.contender("nonsense")


def test_a_table_of_other_rows_is_not_the_one_it_was_trained_on(tmp_path):
    made = table(tmp_path / "t.parquet", ("happy", "sad"), [2, 2])
    scorer = Knowing(("fer2013", BASIC_SEVEN), order=("happy", "sad"), fingerprint="another")
    assert not crossing(scorer, made).trained_on
    info = replace(made.info, labels=("bored", "tired"))
    with pytest.raises(DataError, match="no label in common"):
        matrix.match(scorer.card, made.with_splits(made.splits, info))
