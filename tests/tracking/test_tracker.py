import itertools
import math

import numpy as np
import pytest

from mien.detection.base import Detection
from mien.results import Box
from mien.tracking.follower import Follower
from mien.tracking.tracker import Tracker, assign

RATE = 25
SIZE = 40


def looks(seed):
    return np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)


def scene(places, width=400, height=200):
    """A frame with faces (seed to left, top), later ones in front, and what a detector would find in it.

    A face that is mostly covered is not found.
    """
    picture = np.full((height, width, 3), 128, np.uint8)
    found = []
    for number, (seed, (x, y)) in enumerate(places.items()):
        x, y = round(x), round(y)
        picture[y : y + SIZE, x : x + SIZE] = looks(seed)
        box = Box(x, y, SIZE, SIZE)
        later = [Box(round(a), round(b), SIZE, SIZE) for a, b in list(places.values())[number + 1 :]]
        if not any(box.overlap(other) > 0.3 for other in later):
            found.append((seed, Detection(box, 0.9)))
    return picture, found


def numbers_of(clip, **options):
    """The numbers that each face was given over a clip: seed to a list."""
    tracker, given = Tracker(**options), {}
    for index, places in enumerate(clip):
        picture, found = scene(places)
        numbers = tracker.update(picture, [one for _, one in found], index / RATE)
        assert len(set(numbers)) == len(numbers)
        for (seed, _), number in zip(found, numbers, strict=True):
            given.setdefault(seed, []).append(number)
    return given


def test_crossing_faces_keep_their_numbers():
    clip = [{1: (20 + 8 * n, 80), 2: (340 - 8 * n, 84)} for n in range(40)]
    given = numbers_of(clip)
    assert {seed: set(numbers) for seed, numbers in given.items()} == {1: {1}, 2: {2}}
    assert len(given[1]) < 40, "the one behind must be hidden for a while, or this test shows nothing"


def test_a_face_that_is_hidden_for_a_moment_keeps_its_number():
    clip = [{1: (100 + n, 50)} if not 20 <= n < 40 else {} for n in range(60)]
    assert set(numbers_of(clip)[1]) == {1}


def test_a_face_that_was_away_longer_than_the_memory_is_somebody_new():
    clip = [{1: (100, 50)} if not 20 <= n < 40 else {} for n in range(60)]
    assert set(numbers_of(clip, memory=0.5)[1]) == {1, 2}


def test_somebody_else_in_the_same_place_is_not_the_same():
    clip = [{1: (100, 50)}] * 10 + [{}] * 15 + [{2: (102, 50)}] * 10
    given = numbers_of(clip)
    assert given[1] == [1] * 10
    assert given[2] == [2] * 10


def test_frames_that_are_seconds_apart_still_know_the_same_person():
    tracker = Tracker()
    given = []
    for index in range(5):
        picture, found = scene({1: (100 + 10 * index, 50)})
        given += tracker.update(picture, [one for _, one in found], 4.0 * index)
    assert given == [1] * 5


def test_a_leap_across_the_picture_is_somebody_new():
    clip = [{1: (20, 50)}] * 5 + [{2: (300, 50)}] * 5
    given = numbers_of(clip)
    assert set(given[1]) != set(given[2])


@pytest.mark.parametrize("seed", range(20))
def test_assignment_is_the_best_there_is(seed):
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 6, 2)
    costs = rng.random((rows, columns))
    costs[rng.random(costs.shape) < 0.3] = np.inf
    pairs = assign(costs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    best = (0, 0.0)
    for count in range(1, min(rows, columns) + 1):
        sums = [
            sum(costs[row, column] for row, column in zip(chosen, order, strict=True))
            for chosen in itertools.combinations(range(rows), count)
            for order in itertools.permutations(range(columns), count)
        ]
        if min(sums) < math.inf:
            best = (count, min(sums))
    assert (len(pairs), sum(costs[pair] for pair in pairs)) == pytest.approx(best)


class Fake:
    """Finds bright squares, and counts the pixels it looks at."""

    name = "fake"
    notice = None

    def __init__(self):
        self.sizes = []

    def detect(self, picture, *, longest=800):
        self.sizes.append(picture.shape[:2])
        rows, columns = np.nonzero(picture[..., 0] > 200)
        if not len(rows):
            return []
        found = []
        for left in np.unique(columns // 300):  # one square in each 300 columns of the frame
            here = columns // 300 == left
            x, y = columns[here].min(), rows[here].min()
            found.append(Detection(Box(x, y, columns[here].max() - x + 1, rows[here].max() - y + 1), 0.9))
        return found


def frame(*places, size=60):
    picture = np.zeros((480, 900, 3), np.uint8)
    for x, y in places:
        picture[y : y + size, x : x + size] = 255
    return picture


def test_between_whole_frames_only_the_surroundings_are_searched():
    detector = Fake()
    follower = Follower(detector, interval=5)
    for n in range(10):
        ((found, number),) = follower.update(frame((100 + 3 * n, 200 + n)), n / RATE)
        assert (found.box.x, found.box.y, number) == (100 + 3 * n, 200 + n, 1)
    whole = [index for index, size in enumerate(detector.sizes) if size == (480, 900)]
    assert whole == [0, 5]
    assert all(max(size) <= 130 for index, size in enumerate(detector.sizes) if index not in whole)


def test_a_lost_face_is_looked_for_everywhere_at_once():
    detector = Fake()
    follower = Follower(detector, interval=100)
    follower.update(frame((100, 200)), 0.0)
    assert follower.update(frame((700, 100)), 0.04)
    assert detector.sizes[-1] == (480, 900)


def test_where_frames_are_far_apart_whole_ones_are_searched():
    detector = Fake()
    follower = Follower(detector, interval=5)
    for n in range(4):
        assert len(follower.update(frame((100, 200)), float(n))) == 1
    assert detector.sizes == [(480, 900)] * 4


def test_an_empty_picture_is_searched_now_and_then():
    detector = Fake()
    follower = Follower(detector, interval=5)
    assert [follower.update(frame(), n / RATE) for n in range(10)] == [[]] * 10
    assert len(detector.sizes) == 2


def test_a_second_face_is_found_with_the_next_whole_frame():
    detector = Fake()
    follower = Follower(detector, interval=5)
    counts = [len(follower.update(frame((100, 200), *[(700, 200)] * (n > 1)), n / RATE)) for n in range(7)]
    assert counts == [1, 1, 1, 1, 1, 2, 2]
