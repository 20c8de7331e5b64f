"""Faces that no one has to have: what the gate asks about where there is no data."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.models import Card

COUNT = 200


def made_faces(card: Card, count: int = COUNT) -> NDArray[np.uint8]:
    """The golden crop turned, moved, lit, blurred, covered and noised in many ways.

    Args:
        card: whose golden crop it is.
        count: of faces.

    Returns:
        RGB uint8 (count, height, width, 3), the same ones every time.
    """
    chance = np.random.default_rng(0)
    golden, (height, width) = card.golden_crop(), (card.height, card.width)
    return np.stack([_changed(golden, height, width, chance) for _ in range(count)])


def _changed(golden: NDArray[np.uint8], height: int, width: int, chance: np.random.Generator) -> NDArray[np.uint8]:
    face = golden[:, ::-1] if chance.random() < 0.5 else golden
    middle = (width / 2, height / 2)
    turn = cv2.getRotationMatrix2D(middle, chance.uniform(-10, 10), chance.uniform(0.9, 1.25))
    turn[:, 2] += chance.uniform(-0.06, 0.06, 2) * (width, height)
    turn[0, :2] *= chance.uniform(0.9, 1.1)
    face = cv2.warpAffine(np.ascontiguousarray(face), turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    part = face.astype(np.float32) / 255
    part = part ** chance.uniform(0.7, 1.5) * chance.uniform(0.6, 1.1) + chance.uniform(-0.05, 0.15)
    part = cv2.GaussianBlur(part, (0, 0), chance.uniform(0.1, 1.2))
    if chance.random() < 0.15:
        top, left = chance.integers(0, height * 2 // 3), chance.integers(0, width * 2 // 3)
        part[top : top + height // 4, left : left + width // 3] = chance.random()
    part = part + chance.normal(0, chance.uniform(0, 0.04), part.shape)
    return (part.clip(0, 1) * 255).round().astype(np.uint8)
