"""What a recipe may say of its network: one class for each kind, with every default.

Owns the words of networks and the base of every part of a recipe. Refuses to import torch, so that a recipe can be
checked anywhere; :mod:`mien.networks.build` builds what is said here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from mien.narrowing import is_object

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """Part of a recipe: does not change, and forbids words that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(Part):
    """Where the backbone's weights start; one of the four."""

    hub: str | None = None
    """An exact name of timm's on the Hugging Face hub, as in ``resnet50.tv_in1k``."""
    file: str | None = None
    """A local ``.safetensors`` or ``.pth`` in timm's or torchvision's naming."""
    run: str | None = None
    """A run folder of mien: its best weights, and its classifier where the labels are the same. A ``residual`` network
    with more blocks a stage than the run's takes those it has; the others start as their shortcut."""
    model: str | None = None
    """A model of mien by name or path, of any precision; its batch norm, folded on export, is restored."""

    @model_validator(mode="after")
    def _consistent(self) -> Weights:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(f"say exactly one of hub, file, run, model, not {' and '.join(given) or 'none'}")
        return self


class _Network(Part):
    dropout: Fraction = 0.2
    """Before the heads."""
    hidden_units: Positive | tuple[Positive, ...] | None = None
    """Units of a dense layer with ReLU between backbone and heads, or of several in turn."""
    weights: Weights | None = None
    """What the backbone starts from; None: from scratch."""


class _OwnNetwork(_Network):
    @model_validator(mode="after")
    def _weights_of_mien(self) -> Self:
        if self.weights and (self.weights.hub or self.weights.file):
            kind = getattr(self, "kind", "residual")
            raise ValueError(f"weights of kind: {kind} come from a run or a model of mien, not from hub or file")
        return self


Attention = Literal["none", "se", "eca"]


class Residual(_OwnNetwork):
    """A small residual network for small pictures; see :mod:`mien.networks.residual`."""

    kind: Literal["residual"] = "residual"
    stem: tuple[Positive, ...] = ()
    """Channels of 3x3 convolutions at full size, before the one that halves it."""
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (40, 80, 160)
    """Channels of each stage; every stage after the first halves the size."""
    depths: tuple[Positive, ...] = (2, 2, 2)
    """Residual blocks of each stage."""
    attention: Attention = "none"
    """Channel attention at the end of each block: ``se`` (Hu et al. 2018), ``eca`` (Wang et al. 2020)."""
    drop_path: Fraction = 0.0
    """Stochastic depth: probability to skip the last block, rising from 0 at the first (Huang et al. 2016)."""

    @model_validator(mode="after")
    def _consistent(self) -> Residual:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"widths has {len(self.widths)} stages, depths {len(self.depths)}: make them equal")
        return self


class Vgg(_OwnNetwork):
    """Groups of 3x3 convolutions, each pooled to half the size; see :mod:`mien.networks.vgg`. The default is VGG16."""

    kind: Literal["vgg"]
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (64, 128, 256, 512, 512)
    """Channels of each group."""
    depths: tuple[Positive, ...] = (2, 2, 3, 3, 3)
    """Convolutions of each group."""
    attention: Attention = "none"
    """Channel attention at the end of each group, as in ``Residual``."""

    @model_validator(mode="after")
    def _consistent(self) -> Vgg:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"widths has {len(self.widths)} groups, depths {len(self.depths)}: make them equal")
        return self


class Separable(_OwnNetwork):
    """Depthwise separable convolutions around shortcuts; see :mod:`mien.networks.separable`."""

    kind: Literal["separable"]
    stem: Annotated[tuple[Positive, ...], Field(min_length=1)] = (16, 16)
    """Channels of plain 3x3 convolutions at full size."""
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (40, 80, 128, 224)
    """Channels of each block; every block halves the size."""
    spatial_dropout: Fraction = 0.1
    """Of whole channels, after each block (Tompson et al. 2015)."""


class Attentional(_OwnNetwork):
    """A spatial transformer before four convolutions; see :mod:`mien.networks.attentional`."""

    kind: Literal["attentional"]
    width: Positive = 10
    """Channels of each of the four convolutions."""


class Backbone(_Network):
    """Any backbone that timm or torchvision knows by name."""

    kind: Literal["timm", "torchvision"]
    name: str
    """As the library spells it, as in ``resnet50``."""
    stem: Literal["standard", "small"] = "standard"
    """``small``: a 3x3 convolution of stride 1 without pooling in place of the first one, for small pictures."""
    drop_path: Fraction = 0.0
    """Stochastic depth, where the backbone knows it; timm only."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """Of convolutions; ``same``: TensorFlow's, which weights that were trained there need; timm only."""

    @model_validator(mode="after")
    def _consistent(self) -> Backbone:
        if self.kind == "torchvision" and (
            self.drop_path or self.padding != "symmetric" or (self.weights and self.weights.hub)
        ):
            raise ValueError("drop_path, padding and weights.hub are for kind: timm")
        return self


def _kind(value: Any) -> str:
    kind = value.get("kind", "residual") if is_object(value) else getattr(value, "kind", "residual")
    return "backbone" if kind in ("timm", "torchvision") else str(kind)  # no set: a faulty kind may be a list


Network = Annotated[
    Annotated[Residual, Tag("residual")]
    | Annotated[Vgg, Tag("vgg")]
    | Annotated[Separable, Tag("separable")]
    | Annotated[Attentional, Tag("attentional")]
    | Annotated[Backbone, Tag("backbone")],
    Discriminator(
        _kind,
        custom_error_type="network_kind",
        custom_error_message="kind must be residual, vgg, separable, attentional, timm or torchvision",
    ),
]
