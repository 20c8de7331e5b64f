"""A split of the data table in memory, as training takes it: pixels and targets as tensors on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.data.table import Table
from mien.errors import TrainingError
from mien.train.recipe import Head, Recipe


@dataclass(frozen=True)
class Faces:
    """Faces of one split.

    Attributes:
        pixels: luma, uint8 (N, 1, size, size).
        targets: label set to probabilities, float32 (N, K); a row of zeros where a face has no label.
        truth: label set to label indices, int64 (N,), -1 for none.
    """

    pixels: Tensor
    targets: dict[str, Tensor]
    truth: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.pixels)


def load(table: Table, split: str, recipe: Recipe, device: torch.device) -> Faces:
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
            raise TrainingError(f"no {split} face of {table.info.name!r} has a label in {name!r}: leave that head out")
    pixels = torch.from_numpy(part.pictures(recipe.data.size, grey=True)).unsqueeze(1)
    return Faces(
        pixels.to(device),
        {name: torch.tensor(rows, device=device) for name, rows in targets.items()},
        {name: torch.tensor(rows, device=device) for name, rows in truth.items()},
    )


def _check_labels(table: Table, targets: dict[str, np.ndarray], heads: Sequence[Head]) -> None:
    for head in heads:
        absent = np.flatnonzero(targets[head.label_set].sum(axis=0) == 0)
        if len(absent):
            names = ", ".join(table.label_sets[head.label_set][k] for k in absent)
            raise TrainingError(
                f"no training face of {table.info.name!r} is labelled {names} in {head.label_set!r}:"
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
