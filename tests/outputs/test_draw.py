import numpy as np
import pytest

from mien.expressions import BASIC_EIGHT
from mien.outputs.draw import COLOURS, annotate
from mien.results import Box, Face, Frame


def frame_of(picture, *boxes, expression="happy"):
    scores = {name: 0.9 if name == expression else 0.1 / 7 for name in BASIC_EIGHT}
    faces = tuple(Face(Box(*box), 0.9, {"probabilities": scores}) for box in boxes)
    return Frame(None, picture.shape[1], picture.shape[0], faces, "yunet", "stub 1")


def shows(picture, colour):
    return (picture == colour).all(axis=2)


def test_every_expression_has_its_own_colour():
    assert set(COLOURS) == set(BASIC_EIGHT)
    assert len(set(COLOURS.values())) == len(BASIC_EIGHT)


@pytest.mark.parametrize("size", [(512, 512), (1000, 600), (2400, 3200)])
def test_the_box_is_drawn_where_the_face_is_and_the_picture_stays(size):
    picture = np.full((*size, 3), 90, np.uint8)
    x, y, width, height = 0.4 * size[1], 0.4 * size[0], 0.2 * size[1], 0.25 * size[0]
    drawn = annotate(picture, frame_of(picture, (x, y, width, height)), charts=False)
    assert (picture == 90).all()
    assert drawn.shape == picture.shape
    rows, columns = np.nonzero(shows(drawn, COLOURS["happy"]))
    assert columns.min() == pytest.approx(x, abs=2)
    assert columns.max() == pytest.approx(x + width, abs=2)
    assert rows.max() == pytest.approx(y + height, abs=2)
    inside = drawn[int(y + 0.2 * height) : int(y + 0.8 * height), int(x + 0.2 * width) : int(x + 0.8 * width)]
    assert (inside == 90).all()


def test_small_pictures_are_enlarged_until_letters_can_be_read():
    picture = np.full((48, 36, 3), 90, np.uint8)
    drawn = annotate(picture, frame_of(picture, (5, 5, 20, 25)))
    assert drawn.shape == (512, 384, 3)
    _, columns = np.nonzero(shows(drawn, COLOURS["happy"]))
    assert columns.min() == pytest.approx(5 * 512 / 48, abs=3)


def test_no_face_leaves_the_picture_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (600, 520, 3), dtype=np.uint8)
    np.testing.assert_array_equal(annotate(picture, frame_of(picture)), picture)


def test_the_chart_shows_every_expression_and_covers_no_other_face():
    picture = np.full((600, 800, 3), 90, np.uint8)
    boxes = [(300, 200, 90, 110), (405, 200, 90, 110)]
    drawn = annotate(picture, frame_of(picture, *boxes))
    for name in BASIC_EIGHT:
        assert shows(drawn, COLOURS[name]).any(), name
    for x, y, width, height in boxes:
        assert (drawn[y + 10 : y + height - 10, x + 10 : x + width - 10] == 90).all()


def test_a_chart_without_room_is_left_out_and_the_label_stays():
    picture = np.full((512, 512, 3), 90, np.uint8)
    drawn = annotate(picture, frame_of(picture, (0, 0, 512, 512)))
    assert shows(drawn, COLOURS["happy"])[:60].sum() > 1000
    assert not shows(drawn, COLOURS["sad"]).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1)])
@pytest.mark.parametrize("box", [(-50, -50, 2000, 2000), (0, 0, 1, 1)])
def test_odd_sizes_do_not_fail(shape, box):
    picture = np.zeros((*shape, 3), np.uint8)
    assert annotate(picture, frame_of(picture, box)).max() > 0


def test_labels_of_other_data_sets_are_drawn_too():
    picture = np.zeros((512, 512, 3), np.uint8)
    face = Face(Box(100, 100, 80, 80), None, {"probabilities": {"bored": 0.7, "keen": 0.3}})
    drawn = annotate(picture, Frame(None, 512, 512, (face,), "none", "x 1"))
    assert shows(drawn, (255, 255, 255)).any()
