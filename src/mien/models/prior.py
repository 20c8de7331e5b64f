"""Priors: how often each expression is expected, and probabilities carried from one such expectation to another.

A probability of an expression holds for faces among which the expressions are as frequent as the model's card says. For
other faces it changes by Bayes' rule: each probability is multiplied by how much more frequent the expression is there,
and all are made to sum to 1 again (Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori
probabilities"). That is right as long as the faces of one expression look alike in both places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mien.errors import LabelError, ModelError, shown
from mien.expressions import BASIC_SEVEN, canonical
from mien.narrowing import is_object

#: Priors by name. ``natural``: the shares of single FER+ votes for FER2013's training faces, web pictures that were
#: searched for by words for expressions. ``balanced``: all alike.
NAMED: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "natural": MappingProxyType(
            dict(zip(BASIC_SEVEN, (0.086, 0.0175, 0.036, 0.263, 0.148, 0.1215, 0.328), strict=True))
        ),
        "balanced": MappingProxyType(dict.fromkeys(BASIC_SEVEN, 1 / 7)),
    }
)

#: What :class:`mien.Recognizer` takes: a name, a JSON file, or shares.
Prior = str | Path | Mapping[str, float]


def resolve(prior: Prior, labels: Sequence[str]) -> NDArray[np.float64]:
    """The shares of a prior for a model's labels: (K,), summing to 1.

    Args:
        prior: a name of :data:`NAMED`, the path of a JSON file with an object of labels and shares, or such a mapping;
            shares above 0, which need not sum to 1.
        labels: of the model's answer, in order.

    Raises:
        ModelError: there is no such prior, the file cannot be read, or it does not fit the labels.
    """
    where = "the prior"
    if isinstance(prior, (str, Path)):
        where = f"the prior '{shown(prior)}'"
        named = NAMED.get(str(prior))
        prior = _read(Path(prior)) if named is None else named
    shares = {_label(name, labels): share for name, share in prior.items()}
    if set(shares) != set(labels) or len(shares) != len(prior):
        raise ModelError(
            f"{where} is for {', '.join(prior) or 'nothing'}; this model wants each of {', '.join(labels)}"
        )
    wrong = [name for name, share in shares.items() if not _positive(share)]
    if wrong:
        raise ModelError(f"{where}: the share of {wrong[0]} is {shares[wrong[0]]!r}, not a number above 0")
    found = np.array([shares[label] for label in labels], np.float64)
    return found / found.sum()


def reweight(
    probabilities: NDArray[np.floating], before: NDArray[np.floating], after: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Probabilities under another prior: float32 (N, K), rows summing to 1.

    Args:
        probabilities: (N, K), under ``before``.
        before, after: (K,) shares above 0.

    >>> print(reweight(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.8, 0.2])).round(2))
    [[0.8 0.2]]
    """
    weighted = probabilities.astype(np.float64) * (np.asarray(after) / np.asarray(before))
    return (weighted / weighted.sum(axis=1, keepdims=True)).astype(np.float32)


def _read(path: Path) -> Mapping[str, float]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"no prior '{shown(path)}': neither a file nor one of {', '.join(NAMED)}") from error
    except OSError as error:
        raise ModelError(f"the prior '{shown(path)}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"the prior '{shown(path)}' cannot be read as JSON: {error}") from error
    if not is_object(found):
        raise ModelError(f"the prior '{shown(path)}' is no JSON object of labels and shares")
    return found


def _label(name: str, labels: Sequence[str]) -> str:
    """A label as the model spells it, or as it stands where it is none."""
    if name in labels:
        return name
    try:
        return canonical(name)
    except LabelError:
        return name


def _positive(share: object) -> bool:
    return isinstance(share, (int, float)) and not isinstance(share, bool) and 0 < share < float("inf")
