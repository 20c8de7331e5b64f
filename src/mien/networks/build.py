"""Networks: a backbone that turns faces into features, and one linear head per label set on top.

Owns how a recipe becomes a network and which of its parts train. Every network takes pixels in 0-1, float
(N, C, H, W), normalises them itself and returns logits per label set, so that nothing outside has to know a mean
or a std. Backbones are timm's, torchvision's or mien's own, one file each; :mod:`mien.networks.weights` owns what
they start from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.errors import RecipeError, require, shown
from mien.networks.attentional import AttentionalBackbone
from mien.networks.residual import ResidualBackbone
from mien.networks.separable import SeparableBackbone
from mien.networks.vgg import VggBackbone
from mien.recipes import loader as recipes
from mien.recipes.network_schema import Attentional, Backbone, Network, Residual, Separable, Vgg
from mien.recipes.schema import Recipe, Stage
from mien.runs import RunFolder

_OWN = (ResidualBackbone, VggBackbone, SeparableBackbone, AttentionalBackbone)


class Classifier(nn.Module):
    """Normalisation, backbone, global average pooling, dropout and one linear head per label set.

    Args:
        recipe: whose network to build, with untrained weights.
        classes: label set to number of labels; the order is the order of the outputs.

    Raises:
        RecipeError: no such backbone, or it does not take pictures of this size.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe, classes: Mapping[str, int]) -> None:
        super().__init__()
        spec, data = recipe.network, recipe.data
        self.register_buffer("mean", torch.tensor(data.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).view(1, -1, 1, 1), persistent=False)
        self.backbone = _backbone(spec, data.channels, data.size)
        width = self._features(recipe)
        layers: list[nn.Module] = []
        for units in (spec.hidden_units,) if isinstance(spec.hidden_units, int) else spec.hidden_units or ():
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        self.hidden = nn.Sequential(*layers) if layers else nn.Identity()
        self.dropout = nn.Dropout(spec.dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(width, k) for name, k in classes.items()})
        if isinstance(self.backbone, _OWN):
            self.backbone.initialise()

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """Pixels in 0-1, float (N, C, H, W), to logits (N, K) per label set."""
        features = _pooled(self.backbone((faces - self.mean) / self.std))
        features = self.dropout(self.hidden(features))
        return {name: head(features) for name, head in self.heads.items()}

    def blocks(self) -> list[nn.Module]:
        """The backbone's blocks in its own order: its children, and the children of those that are sequences."""
        found = []
        for child in self.backbone.children():
            found += list(child.children()) if isinstance(child, nn.Sequential) else [child]
        return [block for block in found if any(True for _ in block.parameters())]

    def prepare(self, stage: Stage) -> None:
        """Choose what trains in a stage.

        Raises:
            RecipeError: the backbone has fewer blocks than the stage wants to train.
        """
        self.backbone.requires_grad_(stage.trainable == "all")
        if isinstance(stage.trainable, int):
            blocks = self.blocks()
            if stage.trainable > len(blocks):
                raise RecipeError(f"stages: trainable is {stage.trainable}, but the backbone has {len(blocks)} blocks")
            for block in blocks[-stage.trainable :]:
                block.requires_grad_(True)

    def train_as(self, stage: Stage) -> None:
        """Training mode for what trains, evaluation mode for what is frozen, batch norm as the stage says."""
        self.train()
        for module in self.backbone.modules():
            own = list(module.parameters(recurse=False))
            if own and not own[0].requires_grad:
                module.eval()
            if isinstance(module, _BatchNorm) and stage.batch_norm != "follow":
                module.train(stage.batch_norm == "batch")
        if not any(p.requires_grad for p in self.backbone.parameters()):
            for module in self.backbone.modules():
                module.training = module.training and isinstance(module, _BatchNorm)

    def _features(self, recipe: Recipe) -> int:
        """How wide the features are, found by running the backbone once."""
        size = recipe.data.size
        training = self.backbone.training
        try:
            with torch.no_grad():
                return _pooled(self.backbone.eval()(torch.zeros(1, recipe.data.channels, size, size))).shape[1]
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise RecipeError(f"the backbone does not take pictures of {size}x{size} px: {reason}") from error
        finally:
            self.backbone.train(training)


def _pooled(features: Tensor) -> Tensor:
    """The mean over places of feature maps (N, F, h, w); features (N, F) as they are."""
    return features.mean(dim=(2, 3)) if features.ndim == 4 else features


def build(recipe: Recipe, classes: Mapping[str, int]) -> Classifier:
    """A recipe's network with untrained weights, drawn from torch's random state.

    Args:
        recipe: the experiment.
        classes: label set to number of labels.

    Raises:
        RecipeError: no such backbone, or it does not take pictures of this size.
    """
    return Classifier(recipe, classes)


def restore(run: RunFolder) -> Classifier:
    """The network of a run, its best checkpoint by validation, in evaluation mode.

    Raises:
        TrainingError: the run has no best weights yet.
    """
    best = run.load(run.best)
    labels = run.read_state()["labels"]
    network = build(recipes.load_network(run.recipe), {name: len(names) for name, names in labels.items()})
    network.load_state_dict(best["network"])
    return network.eval()


def parameters(network: nn.Module) -> int:
    """How many numbers a network has to learn."""
    return sum(p.numel() for p in network.parameters())


def _backbone(spec: Network, channels: int, size: int) -> nn.Module:
    match spec:
        case Residual():
            return ResidualBackbone(spec, channels)
        case Vgg():
            return VggBackbone(spec, channels)
        case Separable():
            return SeparableBackbone(spec, channels)
        case Attentional():
            return AttentionalBackbone(spec, channels, size)
        case Backbone():
            return _library_backbone(spec, channels)


def _library_backbone(spec: Backbone, channels: int) -> nn.Module:
    backbone = _from_timm(spec, channels) if spec.kind == "timm" else _from_torchvision(spec, channels)
    if spec.stem == "small":
        _make_stem_small(backbone, spec.name)
    return backbone


def _from_timm(spec: Backbone, channels: int) -> nn.Module:
    timm = require("timm", "train")
    options: dict[str, Any] = {"drop_path_rate": spec.drop_path} if spec.drop_path else {}
    if spec.padding == "same":
        options["pad_type"] = "same"
    if not timm.is_model(spec.name.partition(".")[0]):
        near = timm.list_models(f"*{spec.name[:6]}*")[:5]
        raise RecipeError(f"timm has no backbone '{shown(spec.name)}'" + (f"; near: {', '.join(near)}" if near else ""))
    try:
        return timm.create_model(spec.name, pretrained=False, num_classes=0, in_chans=channels, **options)
    except (TypeError, RuntimeError, AssertionError) as error:
        raise RecipeError(f"timm cannot build '{shown(spec.name)}' like this: {str(error).splitlines()[0]}") from error


def _from_torchvision(spec: Backbone, channels: int) -> nn.Module:
    models = require("torchvision.models", "train")
    options = {"aux_logits": False, "init_weights": True} if spec.name in {"inception_v3", "googlenet"} else {}
    try:
        network = models.get_model(spec.name, weights=None, **options)
    except ValueError as error:
        raise RecipeError(
            f"torchvision has no backbone '{shown(spec.name)}'; it has {', '.join(models.list_models())}"
        ) from error
    linear = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise RecipeError(f"torchvision's '{shown(spec.name)}' has no linear classifier to replace: take timm's")
    _replace(network, linear[-1][0], nn.Identity())
    if channels != 3:
        name, first = next(_convolutions(network))
        grey = nn.Conv2d(
            channels,
            first.out_channels,
            _pair(first.kernel_size),
            _pair(first.stride),
            first.padding if isinstance(first.padding, str) else _pair(first.padding),
            bias=first.bias is not None,
        )
        _replace(network, name, grey)
        if getattr(network, "transform_input", False):
            network.transform_input = False  # pyright: ignore[reportArgumentType]  a flag of torchvision's
    return network


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    height, width = size
    return height, width


def _convolutions(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    return ((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))


def stem_name(backbone: nn.Module) -> str:
    """The name of a backbone's first convolution, as in ``conv1``."""
    return next(_convolutions(backbone))[0]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _make_stem_small(backbone: nn.Module, name: str) -> None:
    place, first = next(_convolutions(backbone))
    if first.stride == (1, 1) or not isinstance(getattr(backbone, "maxpool", None), nn.Module):
        raise RecipeError(
            f"stem: small replaces a strided convolution and a max pooling, which '{shown(name)}' has not"
        )
    small = nn.Conv2d(first.in_channels, first.out_channels, 3, padding=1, bias=first.bias is not None)
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    _replace(backbone, place, small)
    backbone.maxpool = nn.Identity()
