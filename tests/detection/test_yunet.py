from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from mien.detection.quality import roll_of
from mien.detection.yunet import YUNET, YuNet
from mien.recognizer import Recognizer
from mien.sources.images import read

FACE = (224, 115)  # where the middle of the face is in the portrait


@pytest.fixture(scope="module")
def file(shared):
    return shared / "models" / YUNET.name


@pytest.fixture(scope="module")
def yunet(file):
    return YuNet(file, threads=1)


def placed(portrait, width, height, head, x, y):
    """The portrait with its face (of 90 px) at a place of a grey picture, ``head`` pixels wide."""
    scale = head / 90
    move = np.array([[scale, 0, x - FACE[0] * scale], [0, scale, y - FACE[1] * scale]])
    small = cv2.GaussianBlur(read(portrait), (0, 0), max(0.3 / scale, 0.1)) if scale < 1 else read(portrait)
    return cv2.warpAffine(small, move, (width, height), flags=cv2.INTER_LINEAR, borderValue=(110, 110, 110))


@pytest.mark.parametrize(("width", "height"), [(512, 512), (320, 320), (301, 477), (65, 70), (250, 640), (800, 601)])
def test_it_sees_what_opencv_sees(file, yunet, portrait, width, height):
    picture = cv2.resize(read(portrait), (width, height), interpolation=cv2.INTER_AREA)
    network = cv2.FaceDetectorYN.create(str(file), "", (width, height), 0.3, 0.3, 5000)
    expected = network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    found = yunet.look(picture, 0.3)
    assert expected is not None
    assert len(found) == len(expected)
    assert found[:, :14] == pytest.approx(expected[:, :14], abs=0.01)
    assert found[:, 14] == pytest.approx(expected[:, 14], abs=1e-4)


def test_it_sees_several_faces_as_opencv_does(file, yunet, portrait):
    picture = np.hstack([read(portrait), read(portrait)[:, ::-1]])
    picture = np.vstack([picture, cv2.resize(picture, None, fx=1.0, fy=0.8)])
    height, width = picture.shape[:2]
    network = cv2.FaceDetectorYN.create(str(file), "", (width, height), 0.7, 0.3, 5000)
    expected = network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    assert expected.shape == (4, 15)
    assert yunet.look(picture, 0.7) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("width", "height", "head", "x", "y"),
    [(2400, 1800, 34, 1900, 1500), (600, 6000, 60, 300, 5500), (200, 150, 16, 120, 70), (4000, 3000, 3000, 2000, 1500)],
)
def test_faces_that_one_look_misses_are_found(yunet, portrait, width, height, head, x, y):
    (found,) = yunet.detect(placed(portrait, width, height, head, x, y))
    box = found.box
    assert (box.x + box.width / 2, box.y + box.height / 2) == pytest.approx((x, y), abs=0.25 * head)
    assert box.width == pytest.approx(head, rel=0.3)
    assert found.confidence >= 0.7
    nose = found.landmarks[2]
    assert nose == pytest.approx((x, y), abs=0.4 * head)


def test_a_quick_search_misses_small_faces_of_large_pictures(yunet, portrait):
    assert yunet.detect(placed(portrait, 2400, 1800, 34, 1900, 1500), longest=800) == []


def test_threads_share_one_network(file, portrait):
    yunet = YuNet(file)
    picture = read(portrait)
    pictures = [picture[: 200 + 9 * n, : 330 + 7 * n] for n in range(12)]
    alone = [yunet.detect(one) for one in pictures]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(yunet.detect, pictures)) == alone


def test_a_part_of_a_larger_array_is_read_rightly(yunet, portrait):
    picture = read(portrait)
    part = picture[20:400, 60:420]
    assert yunet.detect(part) == yunet.detect(part.copy())
    assert yunet.detect(picture[:, ::-1]) == yunet.detect(np.ascontiguousarray(picture[:, ::-1]))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_face_on_its_side_or_upside_down_is_seen_turned(yunet, portrait, turn):
    picture = read(portrait)
    (upright,) = yunet.detect(picture)
    (found,) = yunet.detect(np.ascontiguousarray(np.rot90(picture, turn)))
    assert not upright.turned
    assert found.turned
    assert found.confidence == pytest.approx(upright.confidence, abs=0.02)
    assert (roll_of(found.landmarks) + 90 * turn) % 360 == pytest.approx(roll_of(upright.landmarks) % 360, abs=8)


def test_a_turned_face_is_answered_as_the_upright_one(yunet, portrait):
    picture = read(portrait)
    recognizer = Recognizer(detector=yunet)
    (upright,) = recognizer.predict(picture, color="rgb").faces
    for turn in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(picture, turn))
        (face,) = recognizer.predict(turned, color="rgb").faces
        assert face.expression == upright.expression == "happy"
        assert face.probability == pytest.approx(upright.probability, abs=0.05)
        (unaware,) = Recognizer(detector=yunet, search="quick").predict(turned, color="rgb").faces
        assert unaware.probability < 0.6, "what the turn is there for"
