"""The sizes and tiles at which a picture is searched, with a made network that sees squares of some sizes only."""

import cv2
import numpy as np
import pytest

from mien.detection import search

SURE = 0.7


class Network:
    """Sees bright squares: is sure of those of 20 to 480 px, doubts those of 10 to 700, and misses all others."""

    def __init__(self):
        self.shown = []

    def __call__(self, picture, least):
        self.shown.append(picture.shape[:2])
        bright = cv2.threshold(picture[..., 0], 127, 1, cv2.THRESH_BINARY)[1]
        _, _, places, _ = cv2.connectedComponentsWithStats(bright)
        rows = []
        for x, y, width, height, _ in places[1:].tolist():
            side = max(width, height)
            score = 0.9 if 20 <= side <= 480 else 0.4 if 10 <= side <= 700 else 0.0
            if score >= least and width >= 10 and height >= 10:
                rows.append([x, y, width, height, *[x, y] * 5, score])
        return np.array(rows, np.float32).reshape(-1, 15)


def picture(width, height, *squares):
    made = np.zeros((height, width, 3), np.uint8)
    for x, y, side in squares:
        made[y : y + side, x : x + side] = 255
    return made


def boxes(rows):
    return sorted(tuple(round(value) for value in row[:4].tolist()) for row in rows)


def row(x, y, width, height, score):
    return [x, y, width, height, *[0.0] * 10, score]


@pytest.mark.parametrize(
    ("width", "height", "x", "y", "side"),
    [
        (60, 40, 20, 10, 12),
        (200, 150, 100, 70, 8),
        (512, 384, 5, 5, 374),
        (1280, 960, 20, 20, 920),
        (2000, 1500, 1900, 1400, 24),
        (3000, 2000, 100, 60, 1900),
        (4000, 3000, 2500, 1000, 30),
        (600, 6000, 300, 5900, 40),
        (6000, 600, 20, 30, 540),
    ],
)
def test_a_face_of_any_size_is_found_once_where_it_is(width, height, x, y, side):
    (found,) = search.full(Network(), picture(width, height, (x, y, side)), SURE)
    assert found[:4] == pytest.approx((x, y, side, side), abs=max(0.08 * side, 2))
    assert found[4:6] == pytest.approx((x, y), abs=max(0.08 * side, 2))


def test_faces_on_the_borders_of_tiles_are_found_once():
    places = [(x, y, 60) for x in range(40, 4900, 190) for y in range(30, 3900, 310)]
    network = Network()
    found = boxes(search.full(network, picture(5000, 4000, *places), SURE))
    assert len([shape for shape in network.shown if min(shape) > 700]) > 1, "one tile only, so this test shows nothing"
    assert len(found) == len(places)
    for box, place in zip(found, sorted(places), strict=True):
        assert box[:2] == pytest.approx(place[:2], abs=4)


@pytest.mark.parametrize("size", [1, 1024, 1025, 1888, 1889, 8000])
def test_tiles_cover_a_side_and_share_enough(size):
    spans = list(search._spans(size))
    assert spans[0][0] == 0
    assert spans[-1][1] == size
    assert all(end - start <= 1024 for start, end, _, _ in spans)
    assert [low for _, _, low, _ in spans][1:] == [high for _, _, _, high in spans][:-1]
    for start, end, low, high in spans:
        assert start == 0 or low - start >= 79
        assert end == size or end - high >= 79


def test_what_is_doubtful_counts_only_where_a_second_look_is_sure():
    class Doubtful(Network):
        def __call__(self, picture, least):
            rows = super().__call__(picture, least)
            return rows if picture.shape[1] > 200 else rows[:0]

    squares = picture(600, 400, (100, 100, 11))
    assert len(search.full(Network(), squares, SURE)) == 1
    assert len(search.full(Doubtful(), squares, SURE)) == 0


def test_a_doubt_inside_a_face_is_not_looked_at_again():
    class Twice(Network):
        def __call__(self, picture, least):
            rows = super().__call__(picture, least)
            inner = np.array([row(120, 120, 30, 30, 0.5)], np.float32)
            return np.concatenate([rows, inner]) if len(rows) else rows

    network = Twice()
    assert boxes(search.full(network, picture(600, 400, (100, 100, 100)), SURE)) == [(100, 100, 100, 100)]
    assert network.shown == [(400, 600)]


def test_a_picture_without_faces_is_enlarged_once():
    network = Network()
    assert len(search.full(network, picture(200, 150), SURE)) == 0
    turned = [(200, 150), (150, 200), (200, 150)]
    assert network.shown == [(150, 200), (600, 800), (150, 200), *turned]


def test_a_quick_search_looks_once_and_again_where_nothing_is_seen():
    network = Network()
    assert len(search.quick(network, picture(1600, 1200, (100, 100, 200)), SURE, 800)) == 1
    assert network.shown == [(600, 800)]
    network = Network()
    (found,) = search.quick(network, picture(1600, 1200, (100, 20, 1150)), SURE, 800)
    assert found[:4] == pytest.approx((100, 20, 1150, 1150), abs=10)
    assert network.shown == [(600, 800), (180, 240)]
    network = Network()
    assert len(search.quick(network, picture(1600, 1200, (100, 100, 500)), SURE, 224)) == 1
    assert network.shown == [(168, 224)]


def test_the_surest_of_boxes_that_overlap_is_kept():
    rows = np.array([row(0, 0, 10, 10, 0.8), row(2, 0, 10, 10, 0.9), row(20, 0, 10, 10, 0.7)], np.float32)
    assert boxes(search.suppressed(rows)) == [(2, 0, 10, 10), (20, 0, 10, 10)]
    assert search.suppressed(rows)[0, 14] == pytest.approx(0.9)
    assert search.suppressed(rows[:0]).shape == (0, 15)


def test_suppression_is_that_of_opencv():
    random = np.random.default_rng(3)
    rows = np.zeros((400, 15), np.float32)
    rows[:, :2], rows[:, 2:4] = random.uniform(0, 100, (400, 2)), random.uniform(0.5, 40, (400, 2))
    rows[:, 14] = random.permutation(np.linspace(0.1, 0.9, 400))
    cut = np.trunc(rows[:, :4]).astype(int)
    expected = cv2.dnn.NMSBoxes(cut.tolist(), rows[:, 14].tolist(), 0.0, 0.3)
    assert np.array_equal(search.suppressed(rows), rows[np.asarray(expected).ravel()])


class Heads:
    """Sees squares with a red mark for the eyes and a blue one for the mouth, surest where the red one is on top."""

    def __init__(self, upright=0.92, other=0.8):
        self.upright, self.other, self.looks = upright, other, 0

    def __call__(self, picture, least):
        self.looks += 1
        _, _, places, _ = cv2.connectedComponentsWithStats((picture[..., 1] > 60).astype(np.uint8))
        rows = []
        for x, y, width, height, _ in places[1:].tolist():
            part = picture[y : y + height, x : x + width].astype(int)
            red = np.argwhere(part[..., 0] - part[..., 2] > 60).mean(axis=0)
            blue = np.argwhere(part[..., 2] - part[..., 0] > 60).mean(axis=0)
            score = self.upright if blue[0] - red[0] > height / 3 else self.other
            eyes = [x + 0.3 * width, y + 0.3 * height, x + 0.7 * width, y + 0.3 * height]
            if score >= least:
                rows.append([x, y, width, height, *eyes, *[x + width / 2, y + height / 2] * 3, score])
        return np.array(rows, np.float32).reshape(-1, 15)


def head(turn, at=(180, 60)):
    """A head of 80x100 before it is turned by quarters, clockwise, in a picture of 400x300; and its box."""
    made = np.full((100, 80, 3), 120, np.uint8)
    made[5:25, 10:70] = (250, 120, 40)
    made[75:95, 10:70] = (40, 120, 250)
    made = np.rot90(made, -turn)
    x, y = at
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[y : y + made.shape[0], x : x + made.shape[1]] = made
    return picture, (x, y, made.shape[1], made.shape[0])


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_turned_face_has_the_box_and_eyes_of_the_upright_one(turn):
    shown, box = head(turn)
    (found,) = search.full(Heads(), shown, SURE)
    assert found[:4] == pytest.approx(box, abs=2)
    assert found[14] == pytest.approx(0.92)
    x, y, width, height = box
    left, right = [(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)], [(0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.3)]
    eyes = [(x + across * width, y + down * height) for across, down in (left[turn], right[turn])]
    assert found[4:8] == pytest.approx([place for eye in eyes for place in eye], abs=2)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_face_that_is_not_seen_as_it_lies_is_found_in_the_picture_turned(turn):
    shown, box = head(turn)
    (expected,) = search.full(Heads(), shown, SURE)
    (found,) = search.full(Heads(other=0.05), shown, SURE)
    assert found == pytest.approx(expected, abs=2)
    assert found[:4] == pytest.approx(box, abs=2)
    large = cv2.resize(shown, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    (found,) = search.full(Heads(other=0.05), large, SURE)
    assert found[:4] == pytest.approx([3 * value for value in box], abs=6)


def test_in_a_turned_picture_only_a_sure_face_counts_and_others_with_it():
    shown, _ = head(2)
    assert len(search.full(Heads(upright=0.89, other=0.05), shown, SURE)) == 0
    assert len(search.quick(Heads(other=0.05), shown, SURE, 800)) == 0, "frames of videos are not turned"

    class Sizes(Heads):
        def __call__(self, picture, least):
            rows = super().__call__(picture, least)
            rows[rows[:, 2] < 60, 14] -= 0.15
            return rows[rows[:, 14] >= least]

    small = cv2.resize(shown, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
    two = np.concatenate([shown, np.pad(small, ((0, 150), (0, 0), (0, 0)))], axis=1)
    assert len(search.full(Sizes(other=0.05), two, SURE)) == 2


def test_a_sure_face_is_not_looked_at_turned_and_a_tie_stays_as_it_is():
    shown, box = head(0)
    network = Heads(upright=0.89)
    search.full(network, shown, SURE)
    assert network.looks == 1
    for turn in range(4):
        shown, box = head(turn)
        (found,) = search.full(Heads(upright=0.82, other=0.8), shown, SURE)
        assert found[:4] == pytest.approx(box, abs=2)
        assert found[5] == pytest.approx(found[7], abs=2), "its eyes lie level, as the network put them"


def test_of_many_upright_faces_few_are_looked_at_turned():
    shown = np.zeros((600, 1600, 3), np.uint8)
    for across in range(0, 1600, 160):
        for down in range(0, 600, 150):
            shown[down + 10 : down + 140, across + 10 : across + 150] = head(0)[0][50:180, 150:290]
    network = Heads(upright=0.8, other=0.75)
    assert len(search.full(network, shown, SURE)) == 40
    assert network.looks < 30
