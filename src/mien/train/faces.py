"""A split of the data table as training takes it: targets as tensors on the device, pixels there too or mapped.

Owns where decoded pictures lie: small sets as uint8 on the device, those that do not fit in a memory-mapped file in
the cache folder, of which only the batches go to the device.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.data import protocol
from mien.data.table import Table
from mien.download import cache_folder
from mien.errors import TrainingError, shown
from mien.recipes.loader import Experiment
from mien.recipes.schema import Data, Head
from mien.train import losses

# Decoded pictures may take this share of the memory before they are mapped.
_SHARE = 0.25


@dataclass(frozen=True)
class Faces:
    """Faces of one split.

    Attributes:
        pixels: uint8 (N, C, size, size), C = 1 for luma or 3 for RGB; on the device, or mapped.
        targets: label set to probabilities, float32 (N, K); a row of zeros where a face has no label.
        truth: label set to label indices, int64 (N,), -1 for none.
    """

    pixels: Tensor
    targets: dict[str, Tensor]
    truth: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Pixels in 0-1, float (n, C, size, size), and targets by label set, float (n, K), of some faces."""
        pixels = self.pixels.index_select(0, indices.to(self.pixels.device)).to(device)
        return pixels.float() / 255, {name: rows[indices] for name, rows in self.targets.items()}

    def labelled(self, indices: Tensor) -> dict[str, Tensor]:
        """How many of some faces have a label, by label set; scalars."""
        return {name: rows[indices].sum(dim=1).sum() for name, rows in self.targets.items()}


def as_trained(table: Table, recipe: Experiment) -> Table:
    """A table, as imported, with the splits that a recipe's protocol makes, and no more faces than its limit.

    Raises:
        DataError: the table lacks the rows that the protocol is about.
    """
    data = recipe.data
    return protocol.limited(protocol.apply(table, data.protocol, folds=data.folds, fold=data.fold), data.limit)


def load(table: Table, split: str, recipe: Experiment, device: torch.device) -> Faces:
    """Decode one split for a recipe; with ``data.merge_copies`` the training split has each picture once.

    Raises:
        TrainingError: a head's label set lacks a label among the training faces, so it could not be learned, or
            has none at all in the split, so nothing could be selected by it.
        DataError: the table lacks the split or a label set, or a picture cannot be decoded.
    """
    part = table.split(split)
    targets = {head.label_set: part.targets(head.label_set) for head in recipe.heads}
    truth = {head.label_set: part.truth(head.label_set) for head in recipe.heads}
    if split == "train":
        _check_labels(table, targets, recipe.heads)
        if recipe.data.merge_copies:
            keep, group = _merge(part.digests)
            targets = {name: _mean_by(group, rows) for name, rows in targets.items()}
            part, truth = part.take(keep), {name: labels[keep] for name, labels in truth.items()}
    for name, labels in truth.items():
        if not (labels >= 0).any():
            raise TrainingError(
                f"no {split} face of '{shown(table.info.name)}' has a label in '{shown(name)}': leave that head out"
            )
    learned = {name: torch.tensor(rows, device=device) for name, rows in targets.items()}
    return Faces(
        pixels(part, recipe.data, device),
        losses.chosen(recipe.heads, learned),
        {name: torch.tensor(rows, device=device) for name, rows in truth.items()},
    )


def pixels(table: Table, data: Data, device: torch.device | str = "cpu") -> Tensor:
    """Pictures as a recipe's network takes them, uint8 (N, C, size, size); on the device, or mapped if they are many.

    Raises:
        DataError: a picture cannot be decoded.
    """
    bytes_needed = len(table) * data.channels * data.size**2
    mapped = data.storage == "mapped" or (data.storage == "auto" and bytes_needed > _SHARE * _memory(device))
    grey = data.color == "grey"
    pictures = table.pictures(data.size, grey=grey, mapped=cache_folder() / "pixels" if mapped else None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes to it
        found = torch.from_numpy(pictures)
    found = found.unsqueeze(1) if grey else found.permute(0, 3, 1, 2)
    return found if mapped else found.contiguous().to(device)


def _memory(device: torch.device | str) -> int:
    """Bytes of memory where decoded pictures would lie: of the host, or of the GPU if that has less."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**34
    if torch.device(device).type != "cuda":
        return host  # also of mps, whose memory is the host's
    return min(host, torch.cuda.get_device_properties(device).total_memory)


def _check_labels(table: Table, targets: dict[str, np.ndarray], heads: Sequence[Head]) -> None:
    for head in heads:
        absent = np.flatnonzero(targets[head.label_set].sum(axis=0) == 0)
        if len(absent):
            names = ", ".join(table.label_sets[head.label_set][k] for k in absent)
            raise TrainingError(
                f"no training face of '{shown(table.info.name)}' is labelled {names} in '{shown(head.label_set)}':"
                " such a label cannot be learned; import the data with the labels that it has"
            )


def _merge(digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First index of each distinct picture in order, and for every row which of those it is a copy of."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _mean_by(group: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean of the labelled rows of each group; a group without one stays zero."""
    sums = np.zeros((group.max() + 1, rows.shape[1]), np.float32)
    np.add.at(sums, group, rows)
    totals = sums.sum(axis=1, keepdims=True)
    return np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
