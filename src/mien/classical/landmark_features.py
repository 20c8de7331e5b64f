"""Features from where the points of a face mesh lie: Siam et al. 2022 after MediaPipe's landmarker.

Siam et al. 2022, "Deploying Machine Learning Techniques for Human Emotion Detection" (Computational Intelligence and
Neuroscience, article 8032673), take 27 points of the mesh, join them by 38 edges, and describe a face by ten angles
between these edges, before PCA and a classifier. Theirs are the 38 edges (table 4) and the ten angles (table 5). The
points are read from the paper's list as public re-implementations do; where these disagree about two of them (291 or
292, 278 or 289) we take the ones that mirror 61 and 48. Ours are: each angle is counted within half a turn of what it
is in most faces, where the paper's 0-360 degrees let one that closes jump from end to end; ``distances``, the lengths
of the 38 edges, which the paper does not use; and the face is enlarged without a network.

Owns the encodings. Refuses to find points, which :mod:`mien.detection.mediapipe` does, and to answer for faces without
a mesh: their rows are nan.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.mediapipe import POINTS, Landmarker
from mien.recipes.classical_schema import LandmarkFeatures

#: The 27 points of the mesh, in the paper's order: mouth corners and lips, cheeks, nose, eyes, bridge, brows.
KEY_POINTS = (
    *(61, 291, 0, 17, 50, 280, 48, 4, 278, 206, 426, 133, 130, 159),
    *(145, 362, 359, 386, 374, 122, 351, 46, 105, 107, 276, 334, 336),
)
#: The paper's table 4, as positions in :data:`KEY_POINTS`; the edge it leaves out by mistake is (5, 1).
EDGES = (
    *((0, 2), (0, 3), (1, 2), (1, 3), (7, 6), (7, 8), (6, 4), (8, 5), (6, 9), (9, 0)),
    *((4, 0), (8, 10), (10, 1), (5, 1), (7, 19), (7, 20), (7, 0), (7, 1), (19, 23), (19, 14)),
    *((23, 22), (22, 21), (21, 12), (12, 13), (12, 14), (11, 13), (11, 14), (14, 4), (20, 26), (26, 25)),
    *((25, 24), (24, 16), (16, 17), (16, 18), (15, 17), (15, 18), (18, 20), (18, 5)),
)
#: The paper's table 5: the angle at the second point, from the first to the third.
ANGLES = (
    *((2, 0, 3), (0, 2, 1), (6, 7, 8), (9, 7, 10), (0, 7, 1)),
    *((1, 5, 8), (1, 10, 8), (13, 12, 14), (21, 22, 23), (6, 19, 23)),
)
# Medians of the angles over 1,865 of FER2013's Training faces, in degrees.
_USUAL = np.array([44, 215, 204, 231, 289, 48, 116, 34, 231, 139], np.float32)


def build(spec: LandmarkFeatures) -> MeshFeatures:
    """What computes the features that a recipe asks for.

    Raises:
        MissingExtraError: LiteRT is not installed.
        DownloadError: the landmarker's file cannot be had.
        DetectorError: it is damaged.
    """
    return MeshFeatures(spec)


class MeshFeatures:
    """Angles or lengths in a face's mesh.

    How many of FER2013's faces have a mesh does not hang on the size they are enlarged to, for the landmarker enlarges
    them itself: of 2,000 Training faces between 93.0 and 93.3 % at 48 px (as they are), 144, 192 and 256, measured by
    ``benchmarks/mesh.py``.

    Args:
        spec: of the recipe.
        landmarker: to share one; None loads one and raises as :func:`build` does.
    """

    def __init__(self, spec: LandmarkFeatures, landmarker: Landmarker | None = None) -> None:
        self._spec = spec
        self._landmarker = landmarker or Landmarker()

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of uint8 (N, S, S) grey pictures of one face each.

        Returns:
            float32 (N, 10) angles in degrees, (N, 38) lengths, or (N, 48) both; a row of nan for a face without mesh.
        """
        points = np.stack([self._points(picture) for picture in pictures])[:, KEY_POINTS]
        parts = {"angles": (angles,), "distances": (distances,), "both": (angles, distances)}[self._spec.encoding]
        return np.concatenate([encode(points) for encode in parts], axis=1)

    def _points(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The mesh of a grey picture (S, S): x and y (478, 2), or nan."""
        side = self._spec.size
        if picture.shape != (side, side):
            picture = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        mesh = self._landmarker.mesh(np.repeat(picture[..., None], 3, axis=2))
        return np.full((POINTS, 2), np.nan, np.float32) if mesh is None else mesh.points[:, :2]


def angles(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The paper's ten angles.

    Args:
        points: float32 (N, 27, 2), x to the right and y down.

    Returns:
        float32 (N, 10), degrees clockwise from the first edge to the second, as the paper's equations 1-3 with the
        quadrant kept; within 180 of the usual one.
    """
    first, middle, last = (points[:, [one[place] for one in ANGLES]] for place in range(3))
    turn = _direction(last - middle) - _direction(first - middle)
    return ((turn - _USUAL + 180) % 360 - 180 + _USUAL).astype(np.float32)


def distances(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lengths of the paper's 38 edges, in units of how far the points lie from their middle (root mean square).

    Args:
        points: float32 (N, 27, 2).

    Returns:
        float32 (N, 38); the same for a face that is larger, smaller, moved or turned.
    """
    edges = points[:, [one for one, _ in EDGES]] - points[:, [other for _, other in EDGES]]
    away = points - points.mean(axis=1, keepdims=True)
    spread = np.sqrt((away**2).sum(axis=2).mean(axis=1))
    return (np.hypot(edges[..., 0], edges[..., 1]) / spread[:, None]).astype(np.float32)


def _direction(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of (..., 2) vectors, in degrees clockwise from the right."""
    return np.degrees(np.arctan2(vectors[..., 1], vectors[..., 0]))
