"""A recipe: a whole experiment as one YAML file, checked before anything runs.

Owns the schema and its messages. Unknown keys are refused, all faults are reported at once, each with the
nearest valid key. Refuses to import torch, so that a recipe can be checked anywhere.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.errors import RecipeError

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Augmentation(_Part):
    """Random changes, drawn anew for each face; see :mod:`mien.train.augmentation`."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Degrees, drawn from plus or minus this."""
    shift: Fraction = 0.0
    """Fraction of the side, each axis, plus or minus."""
    zoom: Fraction = 0.0
    """Scale drawn from 1 - zoom to 1 + zoom."""
    flip: bool = False
    """Mirror half of the faces."""
    brightness: Fraction = 0.0
    """Added to grey values in 0-1, plus or minus."""
    contrast: Fraction = 0.0
    """Factor around the face's mean, drawn from 1 - contrast to 1 + contrast."""
    erase: Fraction = 0.0
    """Share of faces with one rectangle of 2-20 % of the area replaced by a random grey (Zhong et al. 2017)."""
    crop: Positive | None = None
    """Train on windows of this many pixels a side, at a random place; None keeps the whole face."""


class Stage(_Part):
    """One stretch of training with its own learning rate and augmentation."""

    epochs: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    final_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """The learning rate falls to this along half a cosine."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Linear warm-up from a tenth of the learning rate."""
    batch_size: Positive = 128
    momentum: Fraction = 0.9
    """Of SGD with Nesterov's momentum."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """On the weights of convolutions and linear layers only."""
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) must be fewer than epochs ({self.epochs})")
        return self


class Network(_Part):
    """A small residual network for small pictures; see :mod:`mien.train.networks`."""

    kind: Literal["residual"] = "residual"
    stem: tuple[Positive, ...] = ()
    """Channels of 3x3 convolutions at full size, before the one that halves it."""
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (40, 80, 160)
    """Channels of each stage; every stage after the first halves the size."""
    depths: tuple[Positive, ...] = (2, 2, 2)
    """Residual blocks of each stage."""
    dropout: Fraction = 0.2
    """Before the heads."""

    @model_validator(mode="after")
    def _consistent(self) -> Network:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"widths has {len(self.widths)} stages, depths {len(self.depths)}: make them equal")
        return self


class Head(_Part):
    """One classifier on the shared features, for one label set of the table."""

    label_set: str
    """``fer2013``, ``ferplus`` or the table's own."""
    label_smoothing: Fraction = 0.0
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Of this head's loss in the sum."""


class Data(_Part):
    """How pictures enter."""

    size: Positive = 48
    """Pixels a side of the pictures that the network is built for."""
    merge_copies: bool = True
    """Give identical training pictures one row with the mean of their labels."""


class Recipe(_Part):
    """The whole experiment; see the shipped ``*.yaml`` files for examples."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    description: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: Data = Data()
    network: Network = Network()
    heads: Annotated[tuple[Head, ...], Field(min_length=1)]
    """The first is what users of the model file see as ``probabilities``."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay a step of the exponential moving average of the weights, which is what is scored and kept; 0: none."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """``auto``: bf16-mixed where the hardware has it."""
    measured: str = ""
    """The figure last measured for this recipe, with split, n and hardware."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        names = [head.label_set for head in self.heads]
        if len(set(names)) != len(names):
            raise ValueError(f"heads: each label set once, not {', '.join(names)}")
        for number, stage in enumerate(self.stages):
            crop = stage.augmentation.crop
            if crop is not None and crop > self.data.size:
                raise ValueError(f"stages.{number}.augmentation.crop ({crop}) is larger than data.size")
        return self

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)


def names() -> list[str]:
    """The shipped recipes, found by listing their folder."""
    folder = resources.files("mien.train") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(name_or_path: str | Path) -> Recipe:
    """Load a shipped recipe by name, or one from a YAML file.

    Raises:
        RecipeError: there is no such recipe, or it has faults, all of which the message lists.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise RecipeError(f"{path} does not exist")
        return parse(path.read_text(encoding="utf-8"), where=str(path))
    if str(name_or_path) not in names():
        raise RecipeError(f"no recipe {str(name_or_path)!r}; shipped: {', '.join(names())}, or give a .yaml file")
    text = (resources.files("mien.train") / "recipes" / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    return parse(text, where=f"recipe {name_or_path}")


def parse(text: str, where: str = "recipe") -> Recipe:
    """Check the text of a recipe.

    Raises:
        RecipeError: with every fault of the text.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{where} must be a mapping with name, description, heads and stages")
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(_describe(fault) for fault in error.errors())
        raise RecipeError(f"{where} has {error.error_count()} fault(s): {faults}") from error


def dump(recipe: Recipe) -> str:
    """The recipe with every default written out, as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def _describe(fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"]) or "recipe"
    if fault["type"] != "extra_forbidden":
        return f"{path}: {fault['msg'].removeprefix('Value error, ')}"
    valid = _keys(fault["loc"][:-1])
    near = get_close_matches(str(fault["loc"][-1]), valid, n=1)
    return f"{path}: unknown key; " + (f"did you mean {near[0]}?" if near else f"valid: {', '.join(valid)}")


def _keys(location: tuple[Any, ...]) -> list[str]:
    """Field names of the part of the schema that a location leads to."""
    part: type[BaseModel] = Recipe
    nested = {"data": Data, "network": Network, "heads": Head, "stages": Stage, "augmentation": Augmentation}
    for key in location:
        part = nested.get(key, part) if isinstance(key, str) else part
    return list(part.model_fields)
