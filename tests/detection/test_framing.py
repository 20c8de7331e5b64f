import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.detection.detectors import DETECTORS
from mien.detection.framing import FER2013_FRAMING, Framing, crop, resize
from mien.errors import PictureError
from mien.results import Box


def test_a_square_is_centred_on_the_moved_centre_of_the_box():
    square = Framing(scale=1.2, dx=0.1, dy=-0.05).square(Box(100, 200, 40, 90))
    assert square.width == square.height == pytest.approx(1.2 * 60)
    assert square.x + square.width / 2 == pytest.approx(100 + 20 + 4)
    assert square.y + square.height / 2 == pytest.approx(200 + 45 - 4.5)


def test_framing_goes_to_a_card_and_back():
    framing = Framing(1.1, 0.02, -0.03)
    assert framing.to_dict() == {"scale": 1.1, "dx": 0.02, "dy": -0.03}
    assert Framing.from_dict(framing.to_dict() | {"faces": 1000}) == framing


def test_a_card_need_not_name_every_detector():
    card = {name: FER2013_FRAMING[name].to_dict() for name in ("yunet", "haar", "none")}
    assert Framing.of(card, "haar") == FER2013_FRAMING["haar"]
    assert Framing.of(card, "mediapipe") == FER2013_FRAMING["mediapipe"]
    assert Framing.of(card | {"dlib": {"scale": 2, "dx": 0, "dy": 0}}, "mtcnn") == FER2013_FRAMING["mtcnn"]
    assert Framing.of(card, "dlib") is None
    other = {"scale": 1.2, "dx": 0.0, "dy": 0.0}
    assert Framing.of(card | {"mediapipe": other}, "mediapipe") == Framing(1.2)
    assert Framing.of(card | {"haar": other}, "mediapipe") is None
    assert Framing.of({"none": card["none"]}, "mediapipe") is None
    assert Framing.of({}, "mediapipe") is None


def test_the_whole_picture_of_a_face_is_the_face(gradient):
    face = np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop(face, Box(0, 0, 48, 48), FER2013_FRAMING["none"], 48, 48), face)
    tall = crop(gradient, Box(0, 0, 60, 40), FER2013_FRAMING["none"], 48, 48)
    assert tall.shape == (48, 48, 3)


def test_a_crop_inside_the_picture_is_cut_exactly(gradient):
    cut = crop(gradient, Box(10, 5, 20, 20), Framing(), 20, 20)
    np.testing.assert_array_equal(cut, gradient[5:25, 10:30])


def test_beyond_the_picture_its_outermost_pixels_are_repeated(gradient):
    cut = crop(gradient, Box(-10, -10, 30, 30), Framing(), 30, 30)
    np.testing.assert_array_equal(cut[10:, 10:], gradient[:20, :20])
    assert (cut[:10, :10] == gradient[0, 0]).all()
    np.testing.assert_array_equal(cut[0, 10:], gradient[0, :20])
    cut = crop(gradient, Box(45, 25, 30, 30), Framing(), 30, 30)
    np.testing.assert_array_equal(cut[:15, :15], gradient[25:, 45:])
    assert (cut[15:, 15:] == gradient[-1, -1]).all()


@settings(deadline=None)
@given(
    x=st.floats(-60, 59),
    y=st.floats(-40, 39),
    side=st.floats(61, 300),
    size=st.integers(1, 64),
)
def test_a_crop_has_the_asked_size_wherever_the_box_is(x, y, side, size):
    picture = np.full((40, 60, 3), 77, np.uint8)
    cut = crop(picture, Box(x, y, side, side), Framing(), size, size + 1)
    assert cut.shape == (size + 1, size, 3)
    assert (cut == 77).all()


@pytest.mark.parametrize("box", [Box(100, 0, 20, 20), Box(0, -50, 20, 20), Box(5, 5, 0.2, 0.2)])
def test_a_box_outside_or_without_size_is_an_error(gradient, box):
    with pytest.raises(PictureError, match="outside the picture of 60x40"):
        crop(gradient, box, Framing(), 48, 48)


def test_resizing_averages_to_shrink_and_leaves_the_right_size_alone(gradient):
    checks = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (24, 24))
    assert (resize(checks, 24, 24) == 100).all()
    assert resize(gradient, 60, 40) is gradient
    assert resize(gradient, 90, 80).shape == (80, 90, 3)


def test_the_measured_framings_are_near_what_a_detectors_box_is():
    """Guards against a swapped sign or an inverted ratio in the constants."""
    assert set(FER2013_FRAMING) == {*DETECTORS} - {"auto"}
    assert FER2013_FRAMING["none"] == Framing()
    for framing in FER2013_FRAMING.values():
        assert 0.8 < framing.scale < 1.3
        assert abs(framing.dx) < 0.05
        assert abs(framing.dy) < 0.1
