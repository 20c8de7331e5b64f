import io

import numpy as np
import pytest
from PIL import Image

from mien.evaluate import sampling
from mien.evaluate.predictions import Scores
from mien.report import sheet


def scores(truth, guess):
    rows = np.full((len(truth), 3), 0.1, np.float32)
    rows[np.arange(len(truth)), guess] = 0.8
    labels = ("a", "b", "c")
    return Scores("probabilities", "abc", labels, np.arange(len(truth)), np.array(truth), np.array(truth), rows)


def test_labels_share_the_sheet_and_the_seed_decides():
    truth = np.array([0] * 500 + [1] * 20 + [2] * 3 + [-1] * 50)
    chosen = sampling.choose(truth, 24, seed=0)
    counts = np.bincount(truth[chosen], minlength=3).tolist()
    assert counts[2] == 3
    assert sorted(counts[:2]) == [10, 11]
    assert (truth[chosen] >= 0).all()
    assert len(set(chosen.tolist())) == 24
    assert sampling.choose(truth, 24, seed=0).tolist() == chosen.tolist()
    assert sampling.choose(truth, 24, seed=1).tolist() != chosen.tolist()


def test_fewer_faces_than_wanted():
    assert sampling.choose(np.array([0, -1, 1]), 24, seed=0).tolist() == [0, 2]


def test_faces_say_what_is_true_and_what_was_said():
    faces = sheet.mark(scores([0, 1, -1], [0, 2, 1]), np.array([0, 1, 2]), np.zeros((3, 4, 4, 3), np.uint8))
    assert [(f.true, f.predicted, f.right) for f in faces] == [("a", "a", True), ("b", "c", False), ("", "b", False)]
    assert faces[0].confidence == pytest.approx(0.8)


def test_right_and_wrong_differ_without_colour():
    """In luminance, so by frame and sign, with the same word below."""
    pixels = np.full((8, 8, 3), 128, np.uint8)
    drawn = []
    for true in ("happy", "sad"):
        picture = Image.open(io.BytesIO(sheet.draw([sheet.Marked(pixels, true, "happy", 0.9)], "t"))).convert("L")
        drawn.append(np.asarray(picture).astype(int)[110:])  # below the heading
    frame = [(row < 200).mean() for row in drawn]
    assert frame[0] != frame[1]
    assert np.abs(drawn[0] - drawn[1]).max() > 80


def test_a_full_sheet_grows_by_the_row():
    faces = [sheet.Marked(np.zeros((8, 8, 3), np.uint8), "a", "$b$", 0.5)] * 17
    sizes = [Image.open(io.BytesIO(sheet.draw(faces[:n], "t"))).size for n in (8, 16, 17)]
    assert sizes[0][0] == sizes[1][0] == sizes[2][0]
    assert sizes[0][1] < sizes[1][1] < sizes[2][1]
