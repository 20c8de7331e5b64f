"""What is told of too little data."""

import numpy as np
import pytest

from mien.data import scarce
from mien.data.describe import describe

LABELS = ("happy", "sad", "bored")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((40, 0, 0), "all 40 faces are labelled happy: nothing else can be learned or measured"),
        ((40, 9, 0), "fewer than 10 faces are labelled sad (9), bored (0)"),
        ((10, 10, 10), ""),
        ((0, 0, 0), ""),
    ],
)
def test_one_label_and_labels_of_few_faces_are_named(counts, words):
    truth = np.concatenate([np.full(5, -1), *(np.full(n, k) for k, n in enumerate(counts))])
    assert scarce.warning(truth, LABELS) == words


def test_splits_and_label_sets_are_told_apart(patterns):
    """140 training faces of seven labels, 35 of validation; FER+ has one vote for contempt in each."""
    said = scarce.warnings(patterns, ["fer2013", "ferplus"])
    assert [line.partition(":")[0] for line in said] == ["validation, fer2013", "train, ferplus", "validation, ferplus"]
    assert said[1].endswith("are labelled contempt (1)")
    assert "angry (5)" in said[0]
    assert set(said) <= set(describe(patterns).warnings)
