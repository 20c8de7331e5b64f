import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from mien.detection.detectors import build
from mien.detection.mtcnn import Mtcnn
from mien.errors import MissingExtraError
from mien.results import Box
from mien.sources.images import read


@pytest.fixture(scope="module")
def mtcnn():
    pytest.importorskip("facenet_pytorch", reason="facenet-pytorch is not installed; docs/faces.md says how")
    return build("mtcnn")


def test_the_face_is_found_with_its_landmarks(mtcnn, portrait):
    (found,) = mtcnn.detect(read(portrait))
    assert (mtcnn.name, mtcnn.notice) == ("mtcnn", None)
    assert found.box.overlap(Box(178, 63, 90, 114)) > 0.8  # as YuNet sees it
    assert 0.9 < found.confidence <= 1
    expected = [(200, 102), (247, 103), (221, 127), (199, 142), (241, 143)]
    np.testing.assert_allclose(found.landmarks, expected, atol=8)
    assert all(isinstance(value, float) for point in found.landmarks for value in point)


def test_boxes_are_in_the_pictures_own_pixels(mtcnn, portrait):
    picture = read(portrait)
    (found,) = mtcnn.detect(picture)
    large = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    (larger,) = mtcnn.detect(large)
    box = larger.box
    assert Box(box.x / 4, box.y / 4, box.width / 4, box.height / 4).overlap(found.box) > 0.8
    np.testing.assert_allclose(np.array(larger.landmarks) / 4, found.landmarks, atol=5)


def test_faces_come_from_left_to_right(mtcnn, portrait):
    picture = read(portrait)
    faces = mtcnn.detect(np.hstack([picture, picture, picture]))
    assert [round((face.box.x + face.box.width / 2) // 512) for face in faces] == [0, 1, 2]


def test_one_detector_serves_many_threads(mtcnn, portrait):
    picture = read(portrait)
    pictures = [picture[: 300 + 40 * i, : 320 + 32 * i] for i in range(4)] * 2
    alone = [mtcnn.detect(one) for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(mtcnn.detect, pictures), alone, strict=True):
            assert [one.box for one in found] == [one.box for one in expected]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 500), (19, 19), (48, 48), (300, 300)])
def test_no_face_is_an_empty_list(mtcnn, shape):
    assert mtcnn.detect(np.full((*shape, 3), 128, np.uint8)) == []
    assert mtcnn.detect(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)) == []


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(MissingExtraError, match=r"mtcnn needs facenet_pytorch.*pip install --no-deps facenet-pytorch"):
        build("mtcnn")


def test_what_the_package_needs_is_named_too(monkeypatch):
    def fails(name):
        raise ModuleNotFoundError("No module named 'requests'", name="requests")

    monkeypatch.setattr("importlib.import_module", fails)
    with pytest.raises(MissingExtraError, match=r"mtcnn needs requests.*pip install torch torchvision requests"):
        Mtcnn()
