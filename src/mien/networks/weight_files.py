"""Files of weights from elsewhere: safetensors with what they say of their input, PyTorch's own, and the hub's."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.download import cache_folder, is_offline
from mien.errors import TrainingError, require, shown


@dataclass(frozen=True)
class Expected:
    """What weights of a file expect of their input, as its metadata says under ``mien``.

    Attributes:
        mean, std: per channel in the file's order, of pixels in 0-1.
        order: of the channels, ``rgb`` or ``bgr``.
        batch_norm: ``folded``: its running statistics are not those of the input at hand, and are measured anew.
        lineage: what the weights were trained on, and under which terms; goes into the card.
        labels: label set to labels of the heads that the file holds beside its backbone, as ``heads.<label set>``.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: str = "rgb"
    batch_norm: str = "measured"
    lineage: str = ""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


def expected(path: Path) -> Expected | None:
    """What a weights file says under ``mien`` in its metadata; None where it says nothing.

    Raises:
        TrainingError: what it says cannot be read.
    """
    if path.suffix != ".safetensors":
        return None
    with require("safetensors", "train").safe_open(path, framework="pt") as opened:
        text = (opened.metadata() or {}).get("mien")
    if text is None:
        return None
    try:
        said = Expected(**json.loads(text))
        {label_set: tuple(own) for label_set, own in said.labels.items()}
        return said
    except (ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} says of its input what cannot be read: {error}") from error


def from_hub(name: str) -> dict[str, Tensor]:
    """Weights of timm's hub, from the file that was put into the cache for them or from the network.

    Raises:
        TrainingError: the hub has none of that name, or they cannot be fetched.
    """
    timm = require("timm", "train")
    local = cache_folder() / "weights" / f"{name}.safetensors"
    if local.exists():
        return read(local)
    config = timm.models.get_pretrained_cfg(name) if timm.models.is_model_pretrained(name) else None
    if config is None or not config.hf_hub_id:
        known = timm.list_models(f"{name.partition('.')[0]}*", pretrained=True)[:8]
        raise TrainingError(f"the hub has no weights '{shown(name)}'; it has {', '.join(known) or 'none of that name'}")
    address = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    if is_offline():
        raise TrainingError(f"MIEN_OFFLINE forbids fetching {name}: download {address} and put it at {local}")
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # it announces each of its retries
    try:
        return timm.models.load_state_dict_from_hf(config.hf_hub_id)
    except Exception as error:  # the hub's client raises many types of its own
        raise TrainingError(
            f"cannot fetch {name} from the hub ({type(error).__name__}); download {address} and put it at {local}"
        ) from error
    finally:
        log.setLevel(level)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name: safetensors, or what torch saved.

    Raises:
        TrainingError: it does not exist, cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = require("safetensors.torch", "train").load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"the weights file {path} does not exist") from error
    except Exception as error:  # torch and safetensors raise many types of their own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise TrainingError(f"{path} is not a readable weights file: {reason}") from error
    for key in ("state_dict", "model", "network"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise TrainingError(f"{path} holds no table of weights by name")
    return {name.removeprefix("module."): value for name, value in content.items()}
