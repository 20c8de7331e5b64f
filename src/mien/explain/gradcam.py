"""Where a network looks: Grad-CAM (Selvaraju et al. 2017) on single faces.

Written with a hook instead of the grad-cam or captum library: the method is three lines of arithmetic, grad-cam comes
as a source archive with dependencies of its own, and both want to be told the layer, which is the part that differs
from network to network and is found here. Owns the maps and how they are laid over a face. Refuses to say what they
prove: a map shows which places raised the score of one label, not why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import TrainingError
from mien.networks.build import Classifier

#: A map coarser than this many places a side shows no parts of a face.
LEAST_MAP = 6
_LARGEST_FACTOR = 8
_USUAL_SIZE = 224
_COLOURS = cv2.COLORMAP_CIVIDIS  # rises evenly in brightness, for colour-blind readers too


@dataclass(frozen=True)
class Heatmaps:
    """Maps of some faces.

    Attributes:
        maps: float32 (N, S, S) in 0-1, at the size of the faces as they were given.
        layer: the module whose output was weighed.
        size: pixels a side that the faces were enlarged to.
        places: places a side of the map itself.
        agreeing: for how many faces the network, at that size, still says what the map explains.
    """

    maps: NDArray[np.float32]
    layer: str
    size: int
    places: int
    agreeing: int


def explain(network: Classifier, faces: Tensor, label_set: str, predicted: NDArray[np.integer]) -> Heatmaps:
    """Which places of each face raise the score of the predicted label.

    Args:
        network: in evaluation mode.
        faces: uint8 (N, C, S, S), of the size the network was trained at. They are enlarged by the smallest whole
            factor at which the last feature map is at least 6x6.
        label_set: of the head to explain.
        predicted: (N,) the label to explain for each face.

    Raises:
        TrainingError: the network has no feature maps, or does not take larger faces.
    """
    pixels = faces.float() / 255
    name, module, factor = _find(network, pixels[:1])
    pixels = _enlarge(pixels, factor)
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()  # what follows may change its input in place

    handle = module.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = network(pixels.requires_grad_())[label_set]
            asked = torch.as_tensor(predicted, device=logits.device)
            (gradient,) = torch.autograd.grad(logits.gather(1, asked[:, None]).sum(), kept[-1])
    finally:
        handle.remove()
    features = kept[-1].detach()
    maps = torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True))
    maps = maps / maps.amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    maps = F.interpolate(maps, size=faces.shape[-2:], mode="bilinear", align_corners=False)
    agreeing = int((logits.argmax(dim=1) == asked).sum())
    return Heatmaps(maps[:, 0].cpu().numpy(), name, pixels.shape[-1], features.shape[-1], agreeing)


def overlay(face: NDArray[np.uint8], heat: NDArray[np.floating], side: int = 144) -> NDArray[np.uint8]:
    """A face with its map over it.

    Args:
        face: RGB uint8 (H, W, 3).
        heat: (H, W) in 0-1.
        side: pixels of the result.

    Returns:
        RGB uint8 (side, side, 3): the face in grey, brightest colours where the map is high.
    """
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    grey = cv2.cvtColor(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    spread = np.clip(cv2.resize(heat.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR), 0, 1)
    coloured = cv2.cvtColor(cv2.applyColorMap((255 * spread).astype(np.uint8), _COLOURS), cv2.COLOR_BGR2RGB)
    weight = (0.15 + 0.45 * spread)[..., None]
    return np.round((1 - weight) * grey + weight * coloured).astype(np.uint8)


def _enlarge(pixels: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return pixels.clone()
    return F.interpolate(pixels, scale_factor=factor, mode="bicubic", align_corners=False, antialias=False).clamp(0, 1)


def _find(network: Classifier, face: Tensor) -> tuple[str, nn.Module, int]:
    """The last module of the backbone that puts out a map, and the factor at which this map is large enough."""
    factors = range(1, _LARGEST_FACTOR + 1)
    try:
        # At the usual 224 px no map of the features has shrunk to one place, only those behind the pooling.
        seen = _map_sizes(network, _enlarge(face, min(_LARGEST_FACTOR, -(-_USUAL_SIZE // face.shape[-1]))))
        if not seen:
            raise TrainingError("the network puts out no feature maps, so there is nothing that Grad-CAM could weigh")
        name = list(seen)[-1]
        factor = next(f for f in factors if _map_sizes(network, _enlarge(face, f)).get(name, 0) >= LEAST_MAP)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the network takes no larger faces, which Grad-CAM needs here: {reason}") from error
    except StopIteration:
        size = _LARGEST_FACTOR * face.shape[-1]
        raise TrainingError(f"the last feature map is below {LEAST_MAP}x{LEAST_MAP} even at {size} px") from None
    return name, network.get_submodule(name), factor


def _map_sizes(network: Classifier, face: Tensor) -> dict[str, int]:
    """Places a side of the output of each module of the backbone that is a map, in the order they ran."""
    sizes: dict[str, int] = {}
    handles = []

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
                sizes.pop(name, None)
                sizes[name] = output.shape[-1]

        return hook

    for name, module in network.named_modules():
        if name.partition(".")[0] == "backbone":
            handles.append(module.register_forward_hook(note(name)))
    try:
        with torch.no_grad():
            network(face)
    finally:
        for handle in handles:
            handle.remove()
    return sizes
