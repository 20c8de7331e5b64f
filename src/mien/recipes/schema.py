"""What a recipe may say: the frozen schema of the whole experiment, with every default.

Owns the words of recipes and which of them contradict each other; those of networks are in
:mod:`mien.recipes.network_schema`. Refuses to import torch, so that a recipe can be checked anywhere;
:mod:`mien.recipes.loader` reads and writes the files.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mien.recipes.network_schema import Attentional, Fraction, Network, Positive, Residual
from mien.recipes.network_schema import Part as _Part

NotNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]


class Augmentation(_Part):
    """Random changes, drawn anew for each face; see :mod:`mien.train.augmentation`."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Degrees, drawn from plus or minus this."""
    shift: Fraction = 0.0
    """Fraction of the side, each axis, plus or minus."""
    scale: Fraction = 0.0
    """Scale drawn from 1 - scale to 1 + scale."""
    flip: bool = False
    """Mirror half of the faces."""
    blur: Fraction = 0.0
    """Standard deviation of a Gaussian as a fraction of the side, drawn from 0 to this."""
    low_resolution: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Reduce to a fraction of the side drawn from this to 1, and enlarge again; 1 changes nothing."""
    noise: Fraction = 0.0
    """Standard deviation of Gaussian noise on values in 0-1, drawn from 0 to this."""
    jpeg: Annotated[int, Field(ge=1, le=100)] | None = None
    """Lose what JPEG loses at a quality drawn from this to 100; None loses nothing."""
    brightness: Fraction = 0.0
    """Added to values in 0-1, plus or minus."""
    contrast: Fraction = 0.0
    """Factor around the face's mean, drawn from 1 - contrast to 1 + contrast."""
    saturation: Fraction = 0.0
    """Factor around each pixel's grey, drawn from 1 - saturation to 1 + saturation; colour pictures only."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Turn of the colour circle, plus or minus; 0.5 is half of it; colour pictures only."""
    random_erasing: Fraction = 0.0
    """Share of faces with one rectangle of 2-20 % of the area replaced by a random grey (Zhong et al. 2017)."""
    crop: Positive | None = None
    """Train on windows of this many pixels a side, at a random place; None keeps the whole face."""
    mixup: NotNegative = 0.0
    """Blend each face and its targets with another, share drawn from Beta(mixup, mixup) (Zhang et al. 2017)."""


class Stage(_Part):
    """One stretch of training: what learns, how fast, on which pictures."""

    epochs: Positive
    """At most this many; ``early_stop`` may end the stage sooner."""
    trainable: Literal["all", "classifier"] | Positive = "all"
    """``all``, ``classifier`` (the backbone stays frozen), or a number: the classifier and that many last blocks."""
    batch_norm: Literal["follow", "fixed", "batch"] = "follow"
    """What batch norm divides by: ``follow``: the batch where its weights train, else its running statistics;
    ``fixed``: running statistics everywhere; ``batch``: the batch everywhere, in frozen parts too."""
    optimizer: Literal["nesterov", "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"] = "nesterov"
    learning_rate: AboveZero
    schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    """``plateau``: times ``plateau_factor`` when validation has not improved for ``plateau_patience`` epochs."""
    final_learning_rate: NotNegative = 0.0
    """Where the half cosine ends, and what a plateau does not go below."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.75
    plateau_patience: Positive = 5
    warmup_epochs: NotNegative = 0.0
    """Linear warm-up from a tenth of the learning rate."""
    early_stop: Positive | None = None
    """End the stage when validation has not improved for this many epochs."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Faces a step, over all processes together; batch norm has nothing to normalize over in fewer than two each."""
    momentum: Fraction = 0.9
    """Of ``nesterov``, ``sgd`` and ``rmsprop``."""
    weight_decay: NotNegative = 5e-4
    """On the weights of convolutions and linear layers only."""
    clip_norm: AboveZero | None = None
    """Shorten gradients that are longer than this."""
    sam_rho: NotNegative = 0.0
    """Distance rho of sharpness-aware minimisation (Foret et al. 2021), which takes two passes a step; 0: none."""
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) must be fewer than epochs ({self.epochs})")
        return self


class Head(_Part):
    """One classifier on the shared features, for one label set of the table."""

    label_set: str
    """``fer2013``, ``ferplus`` or another of the table's; ``own``: the one that its labels are in."""
    targets: Literal["soft", "majority"] = "soft"
    """``soft``: what the table says, vote shares and the mean of merged copies; ``majority``: its most likely label."""
    loss: Literal["cross_entropy", "focal", "sigmoid"] = "cross_entropy"
    """``focal`` (Lin et al. 2017); ``sigmoid``: binary cross-entropy of each label by itself. The model file answers
    with a calibrated softmax after any of them."""
    focal_gamma: NotNegative = 2.0
    label_smoothing: Fraction = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced``: each label weighs by the inverse of how often it occurs in training, 1 on average over faces."""
    weight: AboveZero = 1.0
    """Of this head's loss in the sum."""


class Distillation(_Part):
    """Learn from finished runs or models too; see :mod:`mien.train.distillation`."""

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Run folders, installed models or model files; their answers are averaged, head by head."""
    temperature: AboveZero = 2.0
    """That answers of teachers and student are softened by."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Of the teachers; the labels have the rest."""


class Data(_Part):
    """How pictures enter."""

    size: Positive = 48
    """Pixels a side of the pictures that the network is built for."""
    color: Literal["grey", "rgb"] = "grey"
    """What the network sees inside."""
    mean: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (0.51,)
    """Per channel, of pixels in 0-1; one for all, or three. The default is FER2013's training pixels'."""
    std: Annotated[tuple[AboveZero, ...], Field(min_length=1)] = (0.25,)
    """Standard deviation, likewise."""
    merge_copies: bool = True
    """Give identical training pictures one row with the mean of their labels."""
    storage: Literal["auto", "memory", "mapped"] = "auto"
    """Decoded pictures in memory (on the GPU if there is one), or in a memory-mapped file in the cache folder;
    ``auto``: mapped above a quarter of the device's memory."""
    protocol: Literal["official", "deduplicated", "paper", "kfold", "kfold-random", "oversample-before-split"] = (
        "official"
    )
    """Which faces are for what; see :mod:`mien.data.protocol`."""
    folds: Annotated[int, Field(ge=2)] = 10
    fold: Annotated[int, Field(ge=0)] = 0
    """Of ``kfold`` and ``kfold-random``: how many, and which is validation."""
    limit: Annotated[int, Field(ge=2)] | None = None
    """At most this many faces of each split, to try a recipe; marked beside every figure. None: all."""

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in {1, self.channels}:
                raise ValueError(f"{name} has {len(getattr(self, name))} values: give 1 or {self.channels}")
        if self.protocol == "oversample-before-split" and self.merge_copies:
            raise ValueError("protocol oversample-before-split needs merge_copies: false, which would undo it")
        if self.fold >= self.folds:
            raise ValueError(f"fold ({self.fold}) counts from 0 and must be below folds ({self.folds})")
        return self

    @property
    def channels(self) -> int:
        """1 for grey, 3 for rgb."""
        return 1 if self.color == "grey" else 3


class Recipe(_Part):
    """The whole experiment; see the shipped ``*.yaml`` files for examples."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    description: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: Data = Data()
    network: Network = Residual()
    heads: Annotated[tuple[Head, ...], Field(min_length=1)]
    """The first is what users of the model file see as ``probabilities``."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    distillation: Distillation | None = None
    """Teachers; None: labels alone."""
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
        one_size = isinstance(self.network, Attentional)
        for number, stage in enumerate(self.stages):
            crop, changes = stage.augmentation.crop, stage.augmentation
            if crop is not None and one_size:
                raise ValueError(f"stages.{number}.augmentation.crop: kind: attentional takes whole faces only")
            if crop is not None and crop > self.data.size:
                raise ValueError(f"stages.{number}.augmentation.crop ({crop}) is larger than data.size")
            if self.data.color == "grey" and (changes.hue or changes.saturation):
                raise ValueError(f"stages.{number}.augmentation: hue and saturation need data.color: rgb")
        return self

    def for_labels(self, own: str) -> Recipe:
        """The recipe with ``own`` label sets named."""
        heads = tuple(h.model_copy(update={"label_set": own}) if h.label_set == "own" else h for h in self.heads)
        return self.model_copy(update={"heads": heads})

    def is_experiment_of(self, other: object) -> bool:
        """Whether both recipes train alike; what they say of themselves may differ."""
        words = {"description": "", "measured": ""}
        return isinstance(other, Recipe) and self.model_copy(update=words) == other.model_copy(update=words)

    @property
    def epochs(self) -> int:
        """Epochs of all stages together, if none stops early."""
        return sum(stage.epochs for stage in self.stages)
