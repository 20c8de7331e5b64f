"""A cut ends every track; motion, light and a camera that is moved end none."""

import cv2
import numpy as np
import pytest

from mien.detection.base import Detection
from mien.results import Box
from mien.tracking.follower import Follower

RATE = 25
FACE = Box(140, 60, 40, 40)


class Middle:
    """Finds one face, always in the same place of the whole picture."""

    name: str = "none"
    notice: str | None = None

    def detect(self, picture, *, longest: int | None = 800):
        return [Detection(FACE, 0.9)]


def scene(seed, width=1280, height=180):
    coarse = np.random.default_rng(seed).integers(20, 230, (height // 15, width // 20, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def frame(background, face=1, *, left=0, light=1.0):
    """320x180: a part of a background, and a face before it."""
    picture = background[:, left : left + 320].copy()
    patch = np.kron(np.random.default_rng(face).integers(0, 255, (5, 5, 3), dtype=np.uint8), np.ones((8, 8, 1)))
    picture[60:100, 140:180] = patch
    return np.clip(picture * light, 0, 255).astype(np.uint8)


def numbers(frames, rate=RATE):
    follower = Follower(Middle())
    return [[number for _, number in follower.update(one, index / rate)] for index, one in enumerate(frames)]


@pytest.mark.parametrize("rate", [RATE, 2], ids=["25 frames/s", "2 frames/s"])
def test_a_cut_makes_everybody_new_even_who_looks_the_same(rate):
    clip = [frame(scene(1))] * 6 + [frame(scene(2))] * 6
    assert numbers(clip, rate) == [[1]] * 6 + [[2]] * 6


def test_before_the_same_wall_a_cut_shows_in_the_face():
    wall = np.full((180, 320, 3), 120, np.uint8)
    assert numbers([frame(wall, 1)] * 6 + [frame(wall, 2)] * 6) == [[1]] * 6 + [[2]] * 6


def test_a_cut_through_black_is_a_cut():
    black = np.zeros((180, 320, 3), np.uint8)
    given = numbers([frame(scene(1))] * 4 + [black] * 3 + [frame(scene(2))] * 4)
    assert given[0] == [1]
    assert given[-1] != [1]


@pytest.mark.parametrize(
    "frames",
    [
        [frame(scene(1), left=40 * index) for index in range(12)],
        [frame(scene(1), left=round(10 + 9 * np.sin(index * 2))) for index in range(12)],
        [frame(scene(1), light=2.5 if index in (4, 8) else 1) for index in range(12)],
        [frame(scene(1), light=0.4 if index // 3 % 2 else 1) for index in range(12)],
    ],
    ids=["the camera moves", "it shakes", "flashes", "light goes out and on"],
)
def test_no_track_ends_without_a_cut(frames):
    assert numbers(frames) == [[1]] * 12


def test_a_scene_that_is_back_at_once_was_never_left():
    hand = cv2.resize(np.random.default_rng(5).integers(20, 120, (3, 4, 3), dtype=np.uint8), (320, 180))
    given = numbers([frame(scene(1))] * 4 + [hand] * 3 + [frame(scene(1))] * 4)
    assert given[4] == [2], "the hand must look like a cut, or this test shows nothing"
    assert given[:4] + given[7:] == [[1]] * 8


def test_a_scene_that_is_back_later_is_another():
    given = numbers([frame(scene(1))] * 4 + [frame(scene(2))] * 12 + [frame(scene(1))] * 4)
    assert given == [[1]] * 4 + [[2]] * 12 + [[3]] * 4
