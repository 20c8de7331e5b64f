"""A fitted pipeline as a torch module, so that it can be exported as networks are.

Owns which pipelines ONNX expresses: features that are pixels or a network's, and classifiers that are affine maps,
ReLU or a sum of squares. Refuses the others with the reason: they are evaluate-only. Small by intent: what scikit-learn
has fitted is written down, nothing is fitted here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.classical.pipeline import Pipeline
from mien.recipes.classical_schema import ClassicalRecipe, Logistic, Mlp, NaiveBayes, NetworkFeatures, Pixels, Svm

#: A model file must not be larger, in bytes.
LARGEST = 25_000_000


def obstacle(recipe: ClassicalRecipe, pipeline: Pipeline) -> str:
    """Why a pipeline does not become a model file; "" where it does.

    Raises:
        MienError: the network that its features come from is missing.
    """
    kind = recipe.classifier.kind
    if not isinstance(recipe.features, Pixels | NetworkFeatures):
        return f"ONNX does not express {recipe.features.kind} features"
    if kind == "knn":
        return "nearest neighbours keep the training faces, and no model file may hold those"
    if not _is_expressible(recipe):
        return f"ONNX does not express {'an rbf svm' if kind == 'svm' else f'a {kind}'} here"
    needed = 4 * sum(weight.numel() for weight in module(recipe, pipeline).parameters())
    if needed > LARGEST:
        return f"a model file of {needed / 1e6:.0f} MB is larger than {LARGEST / 1e6:.0f} MB"
    return ""


def _is_expressible(recipe: ClassicalRecipe) -> bool:
    spec = recipe.classifier
    return isinstance(spec, Logistic | NaiveBayes | Mlp) or (isinstance(spec, Svm) and spec.kernel == "linear")


def parameters(recipe: ClassicalRecipe, pipeline: Pipeline) -> int | None:
    """How many numbers were fitted; None where the classifier keeps faces or trees instead.

    A network's that features come from are not among them.
    """
    if not _is_expressible(recipe):
        return None
    return sum(weight.numel() for weight in nn.Sequential(*_layers(pipeline.steps)).parameters())


def module(recipe: ClassicalRecipe, pipeline: Pipeline) -> nn.Module:
    """Pixels in 0-1, float (N, 1, S, S), to the label set's logits float (N, K), in evaluation mode.

    Args:
        recipe: with pixels or a network's features, and a classifier that has a module.
        pipeline: fitted by it.
    """
    first: nn.Module = nn.Flatten()
    if isinstance(recipe.features, NetworkFeatures):
        from mien.classical import network_features

        first = network_features.module(recipe.features)
    made = _Answer(recipe.label_set, nn.Sequential(first, *_layers(pipeline.steps)))
    return made.requires_grad_(False).eval()


class _Answer(nn.Module):
    """Logits by label set, as networks answer."""

    def __init__(self, label_set: str, layers: nn.Sequential) -> None:
        super().__init__()
        self.label_set, self.layers = label_set, layers

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {self.label_set: self.layers(pixels)}


class _Standardise(nn.Module):
    def __init__(self, scaler: Any) -> None:
        super().__init__()
        self.mean, self.scale = _weight(scaler.mean_), _weight(scaler.scale_)

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.scale


class _NaiveBayes(nn.Module):
    """Log of the joint probability of features and label; squares of differences lose nothing in 32 bit."""

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        deviation = np.sqrt(classifier.var_)
        self.mean, self.deviation = _weight(classifier.theta_), _weight(deviation)
        self.bias = _weight(np.log(classifier.class_prior_) - np.log(deviation).sum(axis=1))

    def forward(self, features: Tensor) -> Tensor:
        far = (features[:, None, :] - self.mean) / self.deviation
        return self.bias - 0.5 * (far * far).sum(dim=2)


def _layers(steps: Any) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for name, step in steps.steps:
        match name, type(step).__name__:
            case "standardise", _:
                layers.append(_Standardise(step))
            case "reduce", _:
                scale = np.sqrt(step.explained_variance_) if step.whiten else np.ones(len(step.components_))
                rows = step.components_.astype(np.float64) / scale[:, None]
                layers.append(_affine(rows, -rows @ step.mean_))
            case _, "GaussianNB":
                layers.append(_NaiveBayes(step))
            case _, "MLPClassifier":
                layers += _dense(step)
            case _:
                layers.append(_affine(*_of_all(step.coef_, step.intercept_)))
    return layers


def _dense(classifier: Any) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for weights, bias in zip(classifier.coefs_[:-1], classifier.intercepts_[:-1], strict=True):
        layers += [_affine(weights.T, bias), nn.ReLU()]
    return [*layers, _affine(*_of_all(classifier.coefs_[-1].T, classifier.intercepts_[-1]))]


def _of_all(weights: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of two labels scikit-learn keeps the second one's row alone: the first one's logit is 0."""
    return (weights, bias) if len(weights) > 1 else (np.pad(weights, ((1, 0), (0, 0))), np.pad(bias, (1, 0)))


def _affine(weights: NDArray[Any], bias: NDArray[Any]) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    layer.weight, layer.bias = _weight(weights), _weight(bias)
    return layer


def _weight(values: NDArray[Any]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(np.ascontiguousarray(values), dtype=torch.float32), requires_grad=False)
