"""What a network says of faces, and how often it is right; in fp32 and evaluation mode, whatever training ran in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from mien.networks.tta import Views
from mien.recipes.schema import Head
from mien.train.faces import Faces

# Faces at once. On a CPU the C library asks the system for the memory of each larger layer anew, which takes as long
# as the arithmetic.
_BATCH, _BATCH_CPU = 512, 64


@torch.inference_mode()
def score(network: nn.Module, pixels: Tensor, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Logits per label set, float32 (N, K), of pixels uint8 (N, C, H, W)."""
    network.eval()
    looks = network.count if isinstance(network, Views) else 1
    size = max((_BATCH_CPU if torch.device(device).type == "cpu" else _BATCH) // looks, 1)
    parts = [network(batch.to(device).float() / 255) for batch in pixels.split(size)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def figures(network: nn.Module, faces: Faces, heads: Sequence[Head], fabric: Fabric) -> dict[str, float]:
    """Mean negative log-likelihood and top-1 per head, of the faces that have a label.

    Args:
        network: on the device; the same weights in every process.
        faces: of one split; each process scores its share.
        heads: of the recipe.
        fabric: of the training.

    Returns:
        ``validation_loss_<set>`` and ``validation_top1_<set>`` (0-1), the same in every process.
    """
    mine = slice(fabric.global_rank, None, fabric.world_size)
    scores = score(network, faces.pixels[mine], fabric.device)
    found = {}
    for head in heads:
        truth = faces.truth[head.label_set][mine]
        logits, truth = scores[head.label_set][truth >= 0], truth[truth >= 0]
        losses, hits = F.cross_entropy(logits, truth, reduction="sum"), (logits.argmax(dim=1) == truth).sum()
        sums = torch.stack([losses, hits, torch.tensor(len(truth), device=fabric.device)])
        summed = fabric.all_reduce(sums, reduce_op="sum")
        assert isinstance(summed, torch.Tensor)
        loss, right, count = summed.tolist()
        found[f"validation_loss_{head.label_set}"] = loss / count
        found[f"validation_top1_{head.label_set}"] = right / count
    return found
