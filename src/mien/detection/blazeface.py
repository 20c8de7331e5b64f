"""What the numbers of BlazeFace for short range mean: boxes, eyes and scores.

Owns its anchors, the decoding and the suppression of doubles, as MediaPipe's graph ``face_detection_short_range`` has
them. Refuses to run the network; ``landmarks`` does.

Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.results import Box

#: Pixels a side of the picture that the network sees.
SIZE = 128
# Least score of a detection, and least overlap of two detections of the same face: MediaPipe's numbers.
_SURE, _SAME = 0.5, 0.3


def detections(
    regressors: NDArray[np.float32], scores: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.floating], float]]:
    """The faces in what the network gives for one picture, the surest first.

    Args:
        regressors: float32 (896, 16).
        scores: float32 (896,), before the sigmoid.

    Yields:
        For each face (8, 2) places 0-1 in the picture that the network saw: the box's upper left and lower
        right corner, the eyes, the nose tip, the middle of the mouth, the ears, in each pair the one on the picture's
        left first; and its score, 0-1. Of several detections of one face these are the means, weighted by their scores.
    """
    sure = 1 / (1 + np.exp(-np.clip(scores, -80, 80)))
    kept = np.flatnonzero(sure >= _SURE)
    kept = kept[np.argsort(-sure[kept], kind="stable")]
    numbers, weights, anchors = regressors[kept].reshape(-1, 8, 2) / SIZE, sure[kept], _ANCHORS[kept, None]
    middle, half = numbers[:, :1] + anchors, numbers[:, 1:2] / 2
    places = np.concatenate([middle - half, middle + half, numbers[:, 2:] + anchors], axis=1)
    while len(weights):
        boxes = [Box(*low, *(high - low)) for low, high in places[:, :2].astype(np.float64)]
        same = np.array([box.overlap(boxes[0]) > _SAME for box in boxes])
        same[0] = True  # also where it has no area
        yield np.average(places[same], axis=0, weights=weights[same]), float(weights[0])
        places, weights = places[~same], weights[~same]


def _anchors() -> NDArray[np.float32]:
    """(896, 2): the middles of the network's cells, 0-1: two for each square of 8 pixels, then six for each of 16."""
    parts: list[NDArray[np.float32]] = []
    for stride, count in ((8, 2), (16, 6)):
        middles = (np.arange(SIZE // stride) + 0.5) * stride / SIZE
        x, y = np.meshgrid(middles, middles)
        parts.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(count, axis=0).astype(np.float32))
    return np.concatenate(parts)


_ANCHORS = _anchors()
