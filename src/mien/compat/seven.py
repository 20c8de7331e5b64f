"""The probabilities of whatever model it is, as the seven expressions that ``fer`` and ``deepface`` know.

Owns what becomes of contempt and of other labels: they are dropped, and the rest is made to sum to 1 again. Refuses
to round and to scale; each package has its own habit there.
"""

from __future__ import annotations

from collections.abc import Mapping

from mien.errors import ModelError
from mien.expressions import BASIC_SEVEN


def seven(probabilities: Mapping[str, float]) -> dict[str, float]:
    """The basic seven in FER2013's order, which is that of both packages, summing to 1.

    Args:
        probabilities: label to probability, as ``mien.Face.probabilities``.

    Returns:
        Each of the seven with its probability given that it is one of the seven. If none of them has any, all are
        equally likely.

    Raises:
        ModelError: the model knows none of the seven.

    >>> seven({"happy": 0.25, "sad": 0.25, "contempt": 0.5})["happy"]
    0.5
    """
    if not any(label in probabilities for label in BASIC_SEVEN):
        raise ModelError(
            f"the model knows {', '.join(probabilities) or 'nothing'}, and none of {', '.join(BASIC_SEVEN)}:"
            " use mien.Recognizer, which takes any labels"
        )
    shares = {label: float(probabilities.get(label, 0.0)) for label in BASIC_SEVEN}
    total = sum(shares.values())
    if total <= 0:
        return dict.fromkeys(BASIC_SEVEN, 1 / len(BASIC_SEVEN))
    return {label: share / total for label, share in shares.items()}
