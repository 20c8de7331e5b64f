import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mien.evaluate.coverage import coverage
from mien.evaluate.metrics import reliability
from mien.report import plots


def image(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def history():
    return [
        {"epoch": e, "stage": 1 + (e > 4), "learning_rate": 0.1 / e, "loss": 3 / e, "validation_top1_fer2013": e / 10}
        for e in range(1, 9)
    ]


def test_the_curves_show_a_panel_for_each_column_there_is(history):
    full = image(plots.curves(history, (4, 4), 6))
    bare = [{"epoch": row["epoch"], "loss": row["loss"]} for row in history]
    assert full.shape[0] > 2 * image(plots.curves(bare, (4, 4), 6)).shape[0]


def test_stages_and_the_kept_epoch_are_marked(history):
    drawn = [plots.curves(history, *marks) for marks in (((8,), None), ((4, 4), None), ((4, 4), 6), ((4, 4), 2))]
    assert len(set(drawn)) == 4
    assert plots.curves(history, (4, 4), 6) == drawn[2]  # the same figure, the same bytes


def test_one_epoch_is_enough(history):
    assert image(plots.curves(history[:1], (1,), 1)).std() > 1


def test_the_confusion_matrix_shades_by_row_not_by_count():
    few, many = np.array([[1, 1], [0, 2]]), np.array([[1, 1], [0, 2000]])
    blue = [(image(plots.confusion(c, ("a", "b"), ""))[..., 0] < 60).sum() for c in (few, many)]
    assert abs(blue[0] - blue[1]) < 0.1 * blue[0]


def test_labels_with_dollars_are_no_mathematics():
    labels = ("$\\frac{$", "$x$")
    assert plots.confusion(np.eye(2, dtype=int), labels, "$\\bad{$") != plots.confusion(np.eye(2, dtype=int), "ab", "")


def test_reliability_and_coverage_are_drawn_from_their_numbers():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(4), 300)
    right, wrong = rows.argmax(axis=1), rows.argmin(axis=1)
    for draw in (
        lambda truth: plots.reliability({"now": (reliability(rows, truth), 0.1)}, "t"),
        lambda truth: plots.coverage(coverage(rows, truth), "t"),
    ):
        assert draw(right) != draw(wrong)
    assert plots.coverage(coverage(rows[:1], right[:1]), "one face")


@pytest.mark.slow
def test_pyplot_and_its_global_state_stay_out():
    program = (
        "import sys, numpy; from mien.report import plots, sheet\n"
        "plots.confusion(numpy.eye(2, dtype=int), 'ab', 't')\n"
        "sheet.draw([sheet.Marked(numpy.zeros((4, 4, 3), numpy.uint8), 'a', 'b', 0.5)], 't')\n"
        "print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
