"""Features from a network: what it has in front of its classifier, for classifiers of another kind.

Nour et al. 2020 take AlexNet, VGG16 and ResNet as they were trained on ImageNet and fit a support vector machine to
what comes out before their last layer. Here the network is a run's, with its best checkpoint by validation, a
model file's, or a backbone of timm or torchvision with weights by name or from a file. Nothing of it learns.

Owns which weights a recipe means, and the module that turns pixels into features, which the exporter puts in front of
the fitted classifier. Refuses to build backbones and to read weights itself: :mod:`mien.networks.build` and
:mod:`mien.networks.weights` do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien.download import cache_folder, is_offline
from mien.errors import RecipeError, TrainingError, require, shown
from mien.networks import build as networks
from mien.networks import weights
from mien.networks.build import Classifier
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import NetworkFeatures
from mien.recipes.network_schema import Backbone, Weights
from mien.recipes.schema import Data, Head, Recipe, Stage
from mien.runs import RunFolder

_BATCH = 64
# Of ImageNet's pixels in 0-1, as torchvision's and most of timm's networks take them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FeatureNetwork(nn.Module):
    """A trained network without its heads, for grey pictures of any size; frozen and in evaluation mode.

    Args:
        network: whose features; its heads are taken away.
        size: pixels a side that pictures are resized to.
        channels: 1 or 3, that the network takes; grey is repeated.
    """

    def __init__(self, network: Classifier, size: int, channels: int) -> None:
        super().__init__()
        network.heads = nn.ModuleDict({"features": nn.Identity()})
        self.network, self.size, self.channels = network, size, channels
        self.requires_grad_(False).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels in 0-1, float (N, 1, S, S), to features, float (N, D)."""
        if pixels.shape[-1] != self.size:
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        return self.network(pixels.expand(-1, self.channels, -1, -1))["features"]


def module(spec: NetworkFeatures) -> FeatureNetwork:
    """The network that a recipe means, on the processor, with its weights.

    Raises:
        RecipeError: there is no such backbone, or it does not take pictures of this size.
        TrainingError: the run has no weights, the model holds no network, or the weights cannot be had, read, or do
            not fit the backbone.
        ModelError: there is no such model, or its file is damaged.
    """
    if spec.run is not None:
        folder = RunFolder(spec.run)
        if not folder.recipe.exists():
            raise TrainingError(
                f"features.run: {spec.run} is no run folder: train first, mien train RECIPE --data FILE"
            )
        data = recipes.load_network(folder.recipe).data
        return FeatureNetwork(networks.restore(folder), data.size, data.channels)
    if spec.model is not None:
        network, recipe, _ = weights.of_model(spec.model)
        return FeatureNetwork(network, recipe.data.size, recipe.data.channels)
    kind, name = ("timm", spec.timm) if spec.timm is not None else ("torchvision", spec.torchvision)
    assert name is not None  # the schema asks for one of the four
    recipe = _recipe(spec, kind, name)
    network = networks.build(recipe, {"features": 1})
    weights.start(network, recipe, {})
    return FeatureNetwork(network.eval(), spec.size, recipe.data.channels)


def build(spec: NetworkFeatures) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What computes the features that a recipe asks for; on the GPU if there is one.

    Returns:
        From uint8 (N, S, S) grey pictures to float32 (N, D); the same pictures in the same order give the same.

    Raises:
        RecipeError: as :func:`module`.
        TrainingError: as :func:`module`.
        ModelError: as :func:`module`.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = module(spec).to(device)

    def features(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            parts = [
                network(torch.as_tensor(pictures[start : start + _BATCH]).to(device)[:, None].float() / 255)
                for start in range(0, len(pictures), _BATCH)
            ]
            return torch.cat(parts).float().cpu().numpy()

    return features


def _recipe(spec: NetworkFeatures, kind: str, name: str) -> Recipe:
    """A recipe for the network alone; what it says of training is never asked."""
    mean, std = _MEAN, _STD
    if kind == "timm":
        config = require("timm", "train").models.get_pretrained_cfg(name, allow_unregistered=True)
        if config is not None:
            mean, std = tuple(config.mean), tuple(config.std)
        start = Weights(file=spec.weights) if spec.weights else Weights(hub=name)
        backbone = Backbone(kind="timm", name=name.partition(".")[0], weights=start)
    else:
        start = Weights(file=spec.weights or str(_from_torchvision(name)))
        backbone = Backbone(kind="torchvision", name=name, weights=start)
    return Recipe(
        name="features",
        description="",
        data=Data(size=spec.size, color="rgb", mean=mean, std=std),
        network=backbone,
        heads=(Head(label_set="features"),),
        stages=(Stage(epochs=1, learning_rate=1.0),),
    )


def _from_torchvision(name: str) -> Path:
    """The file of the weights that torchvision has for a backbone, fetched at first use."""
    models, hub = require("torchvision.models", "train"), require("torch.hub", "train")
    try:
        url = models.get_model_weights(name).DEFAULT.url
    except ValueError as error:
        raise RecipeError(f"features.torchvision: no backbone is called '{shown(name)}': {error}") from error
    folder = cache_folder() / "weights"
    path = folder / url.rpartition("/")[2]
    if not path.exists():
        if is_offline():
            raise TrainingError(
                f"MIEN_OFFLINE forbids fetching the weights of {name}: download {url}, put it at {path}"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rpartition("-")[2], progress=False)
        except Exception as error:  # urllib and torch raise many types of their own
            raise TrainingError(
                f"cannot fetch the weights of {name} ({type(error).__name__}); download {url} and put it at {path}"
            ) from error
    return path
