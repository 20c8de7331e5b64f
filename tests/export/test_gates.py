"""What the gates let pass, with figures that can be counted by hand."""

import numpy as np
import pytest

from mien.errors import ExportError
from mien.evaluate.predictions import Predictions, Scores
from mien.export import gates


def predictions(truth: list[int], labels: list[int]) -> Predictions:
    """Faces with these labels, of which a model says the others."""
    count = len(truth)
    given = np.array(truth)
    scores = Scores(
        "probabilities", "own", ("a", "b", "c"), np.arange(count), given, given, np.eye(3, dtype=np.float32)[labels]
    )
    return Predictions("validation", {}, (scores,))


def test_parity_refuses_other_probabilities():
    right = {"probabilities": np.array([[0.2, 0.8]])}
    assert gates.check_parity(right, right) == {"probabilities": 0}
    for wrong in (0.2002, np.nan):
        with pytest.raises(ExportError, match="not written"):
            gates.check_parity(right, {"probabilities": np.array([[wrong, 0.8]])})


def test_agreement_is_of_all_faces_and_loss_of_the_labelled_ones_of_validation():
    exact, found = predictions([0, 1, 2, -1], [0, 1, 0, 2]), predictions([0, 1, 2, -1], [0, 0, 0, 1])
    unseen = {"probabilities": np.eye(3)[[0, 1]]}
    (compared,) = gates.compare(exact, found, (unseen, unseen))
    assert (compared.faces, compared.labelled) == (6, 3)
    assert compared.agreement == pytest.approx(4 / 6)
    assert compared.accuracy_loss == pytest.approx(100 / 3)
    (back,) = gates.compare(found, exact)
    assert (back.faces, back.agreement) == (4, 0.5)
    assert back.accuracy_loss == pytest.approx(-100 / 3)


def test_a_file_that_says_something_else_too_often_is_refused_with_the_figures():
    passes = gates.Agreement("probabilities", 7178, 0.98, 7178, 0.3)
    gates.check_agreement([passes])
    for faces, agreement, loss in ((7178, 0.9799, 0.0), (7178, 0.999, 0.31)):
        fails = gates.Agreement("probabilities_own", faces, agreement, faces, loss)
        with pytest.raises(ExportError, match=rf"probabilities_own: {100 * agreement:.2f} % .* loss {loss:.2f} points"):
            gates.check_agreement([passes, fails])
