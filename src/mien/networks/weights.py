"""What a network starts from: weights of the hub, of a local file, of an earlier run, of a model file.

Owns fitting them to a backbone; ``weight_files`` reads files and ``unfolding`` reads models. What was not loaded is
always listed, and a file whose weights do not fit the backbone is an error: a training that silently starts from
scratch looks like one that did not work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien import models
from mien.errors import TrainingError
from mien.networks import build, unfolding, weight_files
from mien.networks.build import Classifier, stem_name
from mien.networks.residual import added_blocks, deepened
from mien.networks.weight_files import Expected
from mien.recipes import loader as recipes
from mien.recipes.network_schema import Backbone, Residual, Weights
from mien.recipes.schema import Recipe
from mien.runs import RunFolder

_LISTED = 6


@dataclass(frozen=True)
class Loaded:
    """What a network started from.

    Attributes:
        source: where the weights came from.
        loaded: how many of the network's tensors they filled.
        new: names of the network's tensors that start untrained.
        unused: names in the source that the network has no place for.
        batch_norm_folded: its batch norm has to be measured anew before it can train; see
            :func:`mien.networks.unfolding.restore_batch_norm`.
        lineage: what a file of weights says that it was trained on, and under which terms.
    """

    source: str
    loaded: int
    new: tuple[str, ...]
    unused: tuple[str, ...]
    batch_norm_folded: bool = False
    lineage: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For ``run.json``."""
        return asdict(self)

    def __str__(self) -> str:
        new, unused = _shortened(self.new), _shortened(self.unused)
        return f"{self.loaded} tensors from {self.source}; untrained: {new}; not used of it: {unused}"


def start(network: Classifier, recipe: Recipe, labels: Mapping[str, tuple[str, ...]]) -> Loaded | None:
    """Fill a network with the weights that its recipe starts from.

    Args:
        network: built by the recipe; changed in place.
        recipe: says which weights; None leaves the network as it is.
        labels: label set to labels, of the data at hand: a head is taken over only where they are the same.

    Returns:
        What was loaded and what was not; None where the recipe starts from scratch.

    Raises:
        TrainingError: the weights cannot be had or read, or do not fit the backbone.
        ModelError: there is no such model file.
    """
    spec = recipe.network.weights
    if spec is None:
        return None
    source, state, expected = _read(spec, labels, network, recipe.seed)
    added: set[str] = set()
    if spec.run is not None and isinstance(recipe.network, Residual):
        state, added = _deepened(state, RunFolder(spec.run), recipe.network)
    if spec.run is None and spec.model is None and isinstance(recipe.network, Backbone):
        state = _renamed(state, network.backbone)
    stem = f"backbone.{stem_name(network.backbone)}.weight"
    if expected is not None:
        _adapt_input(state, stem, network, expected)
    small = isinstance(recipe.network, Backbone) and recipe.network.stem == "small"
    target = network.state_dict()
    if stem in state and not (small and state[stem].shape[2:] != target[stem].shape[2:]):
        state[stem] = fold_channels(state[stem], target[stem].shape[1])
    fitting = {name: value for name, value in state.items() if name in target and value.shape == target[name].shape}
    # How many batches were averaged is bookkeeping that older files lack.
    new = tuple(name for name in target if name not in fitting and not name.endswith("num_batches_tracked"))
    replaced = {stem} if small else set()
    must = [name for name in new if name.startswith("backbone.") and name not in replaced]
    misfits = [name for name in must if name.split(".")[1] not in added]
    if misfits:
        raise TrainingError(
            f"{source} does not fit the backbone: {len(misfits)} of its {_count(target)} tensors would stay untrained"
            f" ({_shortened(misfits)}); the file has {_shortened(tuple(state))}. Name the network it was trained with"
        )
    network.load_state_dict(fitting, strict=False)
    unused = tuple(name.removeprefix("backbone.") for name in state if name not in fitting)
    folded = spec.model is not None or (expected is not None and expected.batch_norm == "folded")
    return Loaded(source, len(fitting), new, unused, folded, expected.lineage if expected else "")


def of_model(name: str) -> tuple[Classifier, Recipe, dict[str, tuple[str, ...]]]:
    """The network of a model file in evaluation mode, its recipe, and label set to labels of its heads.

    What is in the file besides the weights is left out: calibration, further views, the rounding of activations.

    Args:
        name: of an installed model, or the path of a model file.

    Raises:
        TrainingError: it holds no network, several, or another than its recipe builds.
        ModelError: there is no such model, or its file is damaged.
    """
    card = models.read_card(name)
    unfolding.check_single(name, card)
    recipe = recipes.parse(json.dumps(dict(card.recipe)), f"the recipe in {name}")
    if not isinstance(recipe, Recipe):
        raise TrainingError(f"{name} is a classical pipeline, and this needs a network")
    labels = {output.label_set: output.labels for output in card.heads.values()}
    network = build.build(recipe, {label_set: len(own) for label_set, own in labels.items()})
    itself = recipe.network.model_copy(update={"weights": Weights(model=name)})
    start(network, recipe.model_copy(update={"network": itself}), labels)
    return network.eval(), recipe, labels


def fold_channels(weight: Tensor, channels: int) -> Tensor:
    """A first convolution for another number of channels that answers alike to grey pictures.

    Args:
        weight: float (O, I, h, w).
        channels: wanted, 1 or 3.

    Returns:
        float (O, channels, h, w): RGB kernels summed for grey, a grey kernel shared out for RGB; else unchanged.
    """
    if channels == 1 and weight.shape[1] == 3:
        return weight.sum(dim=1, keepdim=True)
    if channels == 3 and weight.shape[1] == 1:
        return weight.expand(-1, 3, -1, -1) / 3
    return weight


def _count(target: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("backbone.") and not name.endswith("num_batches_tracked") for name in target)


def _shortened(names: tuple[str, ...] | list[str]) -> str:
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(names[:_LISTED]) + rest) or "none"


def _read(
    spec: Weights, labels: Mapping[str, tuple[str, ...]], network: Classifier, seed: int
) -> tuple[str, dict[str, Tensor], Expected | None]:
    """Where the weights come from, tensors by the network's own names, and what the file says that they expect."""
    if spec.hub:
        return f"{spec.hub} (hub)", _backbone_names(weight_files.from_hub(spec.hub)), None
    if spec.file:
        expected = weight_files.expected(Path(spec.file))
        theirs = {name: tuple(own) for name, own in expected.labels.items()} if expected else {}
        content = weight_files.read(Path(spec.file))
        heads = {name: value for name, value in content.items() if name.startswith("heads.") and theirs}
        rest = {name: value for name, value in content.items() if name not in heads}
        return spec.file, _backbone_names(rest) | _without_other_heads(heads, theirs, labels), expected
    if spec.run:
        return f"run {spec.run}", _from_run(RunFolder(spec.run), labels), None
    assert spec.model is not None
    state, theirs = unfolding.read(spec.model, network, seed)
    return f"model {spec.model}", _without_other_heads(state, theirs, labels), None


@torch.no_grad()
def _adapt_input(state: dict[str, Tensor], stem: str, network: Classifier, expected: Expected) -> None:
    """Fold another normalization and channel order into the first convolution and what follows it.

    Exact except at edges that are padded with zeros, where zero stands for another gray.
    """
    weight = state[stem].float()
    weight = weight.flip(1) if expected.order == "bgr" else weight
    mean, std = (torch.tensor(list(numbers)).view(1, -1, 1, 1) for numbers in (expected.mean, expected.std))
    mean, std = (t.flip(1) if expected.order == "bgr" else t for t in (mean, std))
    shift = (weight * (network.mean.cpu() - mean) / std).sum(dim=(1, 2, 3))
    state[stem] = weight * network.std.cpu() / std
    place = stem.removesuffix(".weight")
    norm = unfolding.norms_after_convolutions(network).get(place)
    if norm is not None:
        state[f"{norm[0]}.running_mean"] = state[f"{norm[0]}.running_mean"].float() - shift
    else:
        state[f"{place}.bias"] = state.get(f"{place}.bias", torch.zeros_like(shift)).float() + shift


def _backbone_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"backbone.{name}": value for name, value in state.items()}


def _renamed(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """The names that timm's network expects, by timm's own filter for files of other origin."""
    module = sys.modules[type(backbone).__module__]
    rename = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if rename is None:
        return state
    heads = {name: value for name, value in state.items() if name.startswith("heads.")}
    bare = {name.removeprefix("backbone."): value for name, value in state.items() if name not in heads}
    try:
        return _backbone_names(rename(bare, backbone)) | heads
    except TypeError:
        return _backbone_names(rename(bare)) | heads


def _from_run(run: RunFolder, labels: Mapping[str, tuple[str, ...]]) -> dict[str, Tensor]:
    state = run.load(run.best, missing=f"{run.path} holds no trained weights")["network"]
    theirs = {name: tuple(names) for name, names in run.read_state()["labels"].items()}
    return _without_other_heads(state, theirs, labels)


def _without_other_heads(
    state: Mapping[str, Tensor], theirs: Mapping[str, tuple[str, ...]], ours: Mapping[str, tuple[str, ...]]
) -> dict[str, Tensor]:
    """Heads only where the labels are the same, in our order; else they would be learned names for others."""
    kept = {}
    for name, value in state.items():
        if name.startswith("heads."):
            label_set = name.split(".")[1]
            own, wanted = theirs.get(label_set, ()), ours.get(label_set, ())
            if len(own) != len(value) or sorted(own) != sorted(wanted):
                continue
            value = value[[own.index(label) for label in wanted]]
        kept[name] = value
    return kept


def _deepened(state: dict[str, Tensor], run: RunFolder, deep: Residual) -> tuple[dict[str, Tensor], set[str]]:
    """The run's weights by the names of a network with more blocks a stage, and the names of those blocks."""
    shallow = recipes.load_network(run.recipe).network
    if not isinstance(shallow, Residual) or len(shallow.depths) != len(deep.depths):
        return state, set()
    if any(theirs > ours for theirs, ours in zip(shallow.depths, deep.depths, strict=True)):
        return state, set()
    backbone = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    rest = {name: value for name, value in state.items() if not name.startswith("backbone.")}
    return rest | _backbone_names(deepened(backbone, shallow, deep)), added_blocks(shallow, deep)
