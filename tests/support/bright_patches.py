"""Stand-ins for faces that cost next to nothing: textured patches on black, and a detector that finds them."""

import cv2
import numpy as np

from mien.detection.base import Detection
from mien.results import Box

SIDE = 40


class Patches:
    """Finds patches in whole pictures and in parts of them; keeps the width and height of what it searched."""

    name, notice = "haar", None

    def __init__(self):
        self.searched = []

    def detect(self, picture, *, longest=800):
        self.searched.append(picture.shape[1::-1])
        _, _, places, _ = cv2.connectedComponentsWithStats(np.uint8(picture.max(axis=2) > 30))
        boxes = sorted(tuple(place[:4].tolist()) for place in places[1:] if place[4] > 30)
        return [Detection(Box(*map(float, box)), 0.9, eyes_of(*box)) for box in boxes]


def eyes_of(x, y, width, height):
    """Eyes, nose and mouth of a face that fills a box."""
    points = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    return tuple((x + width * right, y + height * down) for right, down in points)


def looks(seed):
    """A patch of its own for each seed, RGB uint8 (40, 40, 3)."""
    coarse = np.random.default_rng(seed).integers(60, 255, (8, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((5, 5, 1), np.uint8))


def draw(places, width=320, height=120):
    """RGB uint8 (height, width, 3) with a patch for each seed: {seed: (left, top)}."""
    picture = np.zeros((height, width, 3), np.uint8)
    for seed, (x, y) in places.items():
        picture[y : y + SIDE, x : x + SIDE] = looks(seed)
    return picture
