"""Recipes as command lines: what ``mien train`` needs to be told for one to become another."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from mien.narrowing import is_list, is_mapping, is_object

_WORDS = frozenset({"name", "description", "measured"})


def train_command(recipe: str, changes: Sequence[str], data: str, out: str, folds: int | None = None) -> str:
    """The command line that trains a recipe with changes, or cross-validates it.

    >>> train_command("hog", ["classifier.kind=knn"], "fer2013.parquet", "runs/hog-knn")
    'mien train hog --data fer2013.parquet --set classifier.kind=knn -o runs/hog-knn'
    """
    sets = [word for change in changes for word in ("--set", change)]
    verb = ["train", recipe] if folds is None else ["crossval", recipe, "--folds", str(folds)]
    return shlex.join(["mien", *verb, "--data", data, *sets, "-o", out])


def differences(shipped: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """What ``--set`` has to say for one recipe to become another, words for readers left aside.

    Args:
        shipped, run: both with all defaults, as ``Recipe.model_dump(mode="json")`` gives them.

    >>> differences({"seed": 1, "stages": [{"epochs": 60}]}, {"seed": 1, "stages": [{"epochs": 6}]})
    ['stages.0.epochs=6']
    """
    return [f"{path}={json.dumps(value)}" for path, value in _changed("", shipped, run) if path not in _WORDS]


def _changed(path: str, a: Any, b: Any) -> list[tuple[str, Any]]:
    """Paths and new values; a list or mapping of another shape is given whole."""
    if a == b:
        return []
    inner: list[tuple[str, Any, Any]]
    if is_mapping(a) and is_mapping(b) and not any("." in key for key in b) and (set(a) == set(b) or not path):
        inner = [(key, a.get(key), b[key]) for key in b]
    elif is_list(a) and is_list(b) and len(a) == len(b) and all(map(is_object, a + b)):
        inner = [(str(place), x, y) for place, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        return [(path, b)]
    return [found for key, x, y in inner for found in _changed(f"{path}.{key}".removeprefix("."), x, y)]
