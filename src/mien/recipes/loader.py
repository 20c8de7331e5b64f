"""Recipes as files: reading with all faults at once, overriding single values, writing with all defaults.

Owns YAML and messages; :mod:`mien.recipes.schema` owns what a recipe for a network may say, and
:mod:`mien.recipes.classical_schema` one of ``kind: classical``. Refuses to import torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mien.errors import RecipeError, shown
from mien.narrowing import is_list, is_object
from mien.recipes.classical_schema import KINDS, ClassicalRecipe, Pca
from mien.recipes.network_schema import Attentional, Backbone, Residual, Separable, Vgg, Weights
from mien.recipes.schema import Augmentation, Data, Distillation, Head, Recipe, Stage

_PARTS: dict[str, type[BaseModel]] = {
    "data": Data,
    "residual": Residual,
    "vgg": Vgg,
    "separable": Separable,
    "attentional": Attentional,
    "backbone": Backbone,
    "weights": Weights,
    "distillation": Distillation,
    "heads": Head,
    "stages": Stage,
    "augmentation": Augmentation,
}
# What pydantic puts into the place of a fault for the kind of a network, and no file says.
_NETWORKS = {"residual", "vgg", "separable", "attentional", "backbone"}


_CLASSICAL_PARTS: dict[str, type[BaseModel]] = {"data": Data, "reduce": Pca, **KINDS}
# What PyYAML raises: besides its own errors those of values it makes, as a thirteenth month.
_NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
_MOST_FAULTS = 20  # that a message lists
# Keys and names as they were before, to what they are now: run folders and model cards hold the old ones, so they are
# read without end.
_RENAMED_KEYS = {
    "deviation": "std",
    "sharpness": "sam_rho",
    "trains": "trainable",
    "zoom": "scale",
    "erase": "random_erasing",
    "hidden": "hidden_units",
}
_RENAMED_RECIPES = {"fast-taught": "fast-distilled"}

#: A recipe of either kind.
Experiment = Recipe | ClassicalRecipe


def names() -> list[str]:
    """The shipped recipes, found by listing their folder."""
    folder = resources.files("mien.recipes")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read(name_or_path: str | Path) -> tuple[str, str]:
    """The text of a shipped recipe or of a YAML file, and what to call it in messages.

    Raises:
        RecipeError: there is no such recipe.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except FileNotFoundError as error:
            raise RecipeError(f"{path} does not exist") from error
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} cannot be read: {error}") from error
    if str(name_or_path) not in names():
        near = get_close_matches(str(name_or_path), names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; shipped: {', '.join(names())}, or give a .yaml file"
        raise RecipeError(f"no recipe '{shown(name_or_path)}'{hint}")
    text = (resources.files("mien.recipes") / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    return text, f"recipe {name_or_path}"


def current_name(name: str) -> str:
    """What a shipped recipe is called today, of a name that a card or a run folder holds.

    >>> current_name("fast-taught")
    'fast-distilled'
    """
    return _RENAMED_RECIPES.get(name, name)


def load(name_or_path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Load a shipped recipe of either kind by name, or one from a YAML file, and change values of it.

    Args:
        name_or_path: a name from :func:`names`, or a path that ends in ``.yaml``.
        overrides: ``path=value`` each, as :func:`override` takes them.

    Raises:
        RecipeError: there is no such recipe, or it has faults, all of which the message lists.
    """
    text, where = read(name_or_path)
    return parse(text, where, overrides)


def load_network(name_or_path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Load a recipe as :func:`load` does, which has to be one for a network.

    Raises:
        RecipeError: there is no such recipe, it has faults, or it is of ``kind: classical``.
    """
    loaded = load(name_or_path, overrides)
    if isinstance(loaded, ClassicalRecipe):
        raise RecipeError(f"{name_or_path} is a classical pipeline, and this needs a network's recipe or run")
    return loaded


def parse(text: str, where: str = "recipe", overrides: Iterable[str] = ()) -> Experiment:
    """Check the text of a recipe; ``kind: classical`` in it says which kind, and its absence a network.

    Raises:
        RecipeError: with every fault of the text.
    """
    try:
        document = yaml.safe_load(text)
    except _NO_YAML as error:
        raise RecipeError(f"{where} is not YAML: {_plain(' '.join(str(error).split()), 300)}") from error
    if not is_object(document):
        raise RecipeError(f"{where} must be a mapping with name, description, heads and stages")
    _rename_keys(document)
    for change in overrides:
        override(document, change)
    if isinstance(name := document.get("name"), str):
        document["name"] = current_name(name)
    kind = document.get("kind")
    if kind not in (None, "classical"):
        raise RecipeError(f"{where}: kind must be classical, or be left out for a network, not {_short(kind)}")
    root = ClassicalRecipe if kind else Recipe
    try:
        return root.model_validate(document)
    except ValidationError as error:
        # A list of faulty parts is not too short as well, whatever pydantic says.
        faults = [fault for fault in error.errors() if fault["type"] != "too_short" or not fault["input"]]
        told = [_describe(fault, root) for fault in faults[:_MOST_FAULTS]]
        told += [f"and {len(faults) - len(told):,} more"] if len(faults) > len(told) else []
        raise RecipeError(f"{where} has {len(faults):,} fault(s): {'; '.join(told)}") from error
    except RecursionError as error:
        raise RecipeError(f"{where} is nested too deep") from error


def override(document: dict[str, Any], change: str) -> None:
    """Change one value of a recipe's document in place.

    Args:
        document: as YAML gives it.
        change: ``path=value``: keys and list positions joined by dots, ``*`` for every position of a list, and a
            value in YAML, as in ``stages.*.augmentation={}`` or ``network.weights.run=runs/other``.

    Raises:
        RecipeError: it is no ``path=value``, or the path leads nowhere.

    >>> recipe = {"stages": [{"epochs": 3}, {"epochs": 5}]}
    >>> override(recipe, "stages.*.epochs=1")
    >>> recipe
    {'stages': [{'epochs': 1}, {'epochs': 1}]}
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise RecipeError(f"cannot set {_short(change)}: write path=value, as in stages.0.epochs=5")
    try:
        value = yaml.safe_load(text)
    except _NO_YAML as error:
        raise RecipeError(f"cannot set {_plain(path)}: {_short(text)} is not YAML") from error
    _rename_keys(value)
    *parents, last = _renamed(path).split(".")
    holders: list[Any] = [document]
    for key in parents:
        holders = [inner for holder in holders for inner in _children(holder, key, change)]
    for holder in holders:
        if isinstance(holder, dict):
            holder[last] = value
        else:
            for position in _positions(holder, last, change):
                holder[position] = value


def _renamed(path: str) -> str:
    """A key, or keys joined by dots as a search has them, in today's names."""
    return ".".join(_RENAMED_KEYS.get(key, key) for key in path.split("."))


def _rename_keys(document: Any) -> None:
    """Give old keys of a recipe's document their present names, in place; each part once, as YAML may repeat parts.

    Where a part has both names the old one stays, and is an unknown key.
    """
    rest, seen = [document], set[int]()
    while rest:
        part = rest.pop()
        if id(part) in seen:
            continue
        if is_object(part):
            new = {key: _renamed(key) if _is_text(key) else key for key in part}
            renewed = {key if new[key] in part else new[key]: value for key, value in part.items()}
            part.clear()
            part.update(renewed)
            rest += part.values()
        elif is_list(part):
            rest += part
        else:
            continue
        seen.add(id(part))


def _is_text(key: object) -> bool:
    """Whether a key is text; YAML has others."""
    return isinstance(key, str)


def _children(holder: Any, key: str, change: str) -> list[Any]:
    if not is_object(holder):
        return [holder[position] for position in _positions(holder, key, change)]
    if not isinstance(holder.get(key), dict | list):
        holder[key] = {}
    return [holder[key]]


def _positions(holder: Any, key: str, change: str) -> list[int]:
    if is_list(holder) and key == "*":
        return list(range(len(holder)))
    if is_list(holder) and key.isdecimal() and int(key) < len(holder):
        return [int(key)]
    held = f"a list of {len(holder)}, counted from 0" if is_list(holder) else "no list and no mapping"
    raise RecipeError(f"cannot set {_short(change)}: there is no '{shown(key)}' in {held}")


def dump(recipe: Experiment) -> str:
    """The recipe with every default written out, as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def _describe(fault: Any, root: type[BaseModel]) -> str:
    kinds = _NETWORKS if root is Recipe else KINDS.keys()
    path = _plain(".".join(str(part) for part in fault["loc"] if part not in kinds)) or "recipe"
    if fault["type"] != "extra_forbidden":
        return f"{path}: {_plain(fault['msg'].removeprefix('Value error, '), 300)}"
    valid = _keys(fault["loc"][:-1], root)
    near = get_close_matches(str(fault["loc"][-1]), valid, n=1)
    return f"{path}: unknown key; " + (f"did you mean {near[0]}?" if near else f"valid: {', '.join(valid)}")


def _plain(text: str, most: int = 80) -> str:
    """What a recipe says, as a message may repeat it: in one line, and not all of it."""
    return shown(text, most)


def _short(value: object) -> str:
    return _plain(repr(value))


def _keys(location: tuple[Any, ...], root: type[BaseModel]) -> list[str]:
    """Field names of the part of the schema that a location leads to."""
    part, parts = root, _PARTS if root is Recipe else _CLASSICAL_PARTS
    for key in location:
        part = parts.get(key, part) if isinstance(key, str) else part
    return list(part.model_fields)
