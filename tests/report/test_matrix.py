"""The cross-data matrix: labels matched by name, and what is said of those that one side lacks."""

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


def columns(*tables):
    return matrix.columns({chr(97 + place): table for place, table in enumerate(tables)})


def crossing(scorer, made, split="validation", output=None):
    """The first column, the table's own labels."""
    ((found, *_),) = matrix.cross([matrix.Contender("m", scorer, "made up")], columns(made), split, output=output)
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
    three = columns(bored, happy, fine)
    rows = matrix.cross(contenders, three, "validation")
    assert [bool(c.figures) for c in rows[0]] == [False, False, True]
    text = matrix.markdown(contenders, three, rows, "validation")
    assert "no label in common: the table has bored; the model knows angry" in text
    assert "no 'validation' rows" in text
    row = next(line for line in text.splitlines() if line.startswith("| m\\|"))
    assert row.replace("\\|", "").count("|") == 6
    assert row.count("–") == 2
    assert "100.00 [100.00, 100.00], F1 100.00, n = 3" in row
    assert matrix.plot(contenders, three, rows).startswith(b"\x89PNG")


def test_the_table_that_it_was_trained_on_is_marked(tmp_path):
    made = table(tmp_path / "t.parquet", ("happy", "sad"), [2, 2])
    scorer = Knowing(("fer2013", BASIC_SEVEN), order=("happy", "sad"), fingerprint=made.fingerprint)
    contenders = [matrix.Contender("m", scorer, "made")]
    rows = matrix.cross(contenders, columns(made), "validation")
    assert rows[0][0].trained_on
    assert "**100.00**" in matrix.markdown(contenders, columns(made), rows, "validation")


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
    found = matrix.cross(contenders, columns(patterns, other), "validation")
    assert [[c.trained_on for c in row] for row in found] == [[True, True, False]] * 2
    assert [c.figures.n for c in found[0]] == [35, 35, 20]
    with pytest.raises(ModelError, match="nonsense"):
        matrix.contender("nonsense")


def test_a_table_of_other_rows_is_not_the_one_it_was_trained_on(tmp_path):
    made = table(tmp_path / "t.parquet", ("happy", "sad"), [2, 2])
    scorer = Knowing(("fer2013", BASIC_SEVEN), order=("happy", "sad"), fingerprint="another")
    assert not crossing(scorer, made).trained_on
    with pytest.raises(DataError, match="no label in common"):
        matrix.match(scorer.card, {"made": ("bored", "tired")}, "made")


def test_a_table_with_votes_is_a_column_for_each_label_set_from_one_look(tmp_path):
    def votes(label):
        return [10 if k == label else 0 for k in range(10)]

    # FER+'s order: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt. All rows are labelled happy;
    # the voters agree on one, saw sadness in one and contempt in two.
    rows = [
        (np.full((8, 8), brightness, np.uint8), 3, "validation", votes(voted))
        for brightness, voted in ((0, 1), (20, 3), (40, 7), (40, 7))
    ]
    made = write_table(tmp_path / "t.parquet", TableInfo("made", "fer2013", BASIC_SEVEN), rows)
    scorer = Knowing(("ferplus", BASIC_EIGHT), ("fer2013", BASIC_SEVEN), order=("happy", "sad", "contempt"))
    looks = []
    answer, scorer.score = scorer.score, lambda crops: looks.append(len(crops)) or answer(crops)
    ((own, ferplus),) = matrix.cross([matrix.Contender("m", scorer, "made up")], columns(made), "validation")
    assert looks == [4]
    assert [column.name for column in columns(made)] == ["a, original labels", "a, FER+ majority"]
    assert (own.labels.output, own.figures.n, own.figures.top1) == ("out1", 4, 0.25)
    assert (ferplus.labels.output, ferplus.figures.n, ferplus.figures.top1) == ("out0", 4, 1.0)


def test_one_output_can_answer_everywhere(tmp_path):
    votes = [[0, 10, *[0] * 8], [*[0] * 7, 10, 0, 0]]  # happiness, contempt
    rows = [(np.full((8, 8), 20 * k, np.uint8), 3, "validation", vote) for k, vote in enumerate(votes)]
    made = write_table(tmp_path / "t.parquet", TableInfo("made", "fer2013", BASIC_SEVEN), rows)
    scorer = Knowing(("ferplus", BASIC_EIGHT), ("fer2013", BASIC_SEVEN), order=("happy", "contempt"))
    contenders = [matrix.Contender("m", scorer, "made up")]
    ((own, ferplus),) = matrix.cross(contenders, columns(made), "validation", output="out1")
    assert (own.labels.output, own.figures.n) == ("out1", 2)
    assert (ferplus.labels.output, ferplus.figures.n, ferplus.left_out) == ("out1", 1, 1)
    assert ferplus.labels.unknown == ("contempt",)
    assert "no output 'other', only out0, out1" in crossing(scorer, made, output="other").reason
