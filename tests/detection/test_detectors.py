from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from mien.detection.detectors import DETECTORS, build
from mien.errors import DetectorError, DownloadError
from mien.sources.images import read

FACE = (224, 115)  # where the middle of the face is in the portrait


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def yunet(shared, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    return build("yunet")


def centre(box):
    return box.x + box.width / 2, box.y + box.height / 2


def test_haar_finds_the_face_without_any_download(portrait):
    detector = build("haar")
    assert detector.notice is None
    boxes = [found.box for found in detector.detect(read(portrait))]
    assert any(centre(box) == pytest.approx(FACE, abs=25) and 70 < box.width < 150 for box in boxes)


def test_yunet_finds_the_one_face_with_its_landmarks(yunet, portrait):
    (found,) = yunet.detect(read(portrait))
    assert centre(found.box) == pytest.approx(FACE, abs=25)
    assert 0.7 <= found.confidence <= 1
    (eye_left, eye_right, nose, mouth_left, mouth_right) = found.landmarks
    assert eye_left[0] < nose[0] < eye_right[0]
    assert mouth_left[0] < mouth_right[0]
    assert eye_left[1] < nose[1] < mouth_left[1]


@pytest.mark.parametrize("name", ["yunet", "haar"])
def test_boxes_are_in_the_pictures_own_pixels(name, portrait, request):
    detector = request.getfixturevalue("yunet") if name == "yunet" else build(name)
    picture = read(portrait)
    large = cv2.resize(picture, None, fx=4, fy=3, interpolation=cv2.INTER_LINEAR)
    expected = (FACE[0] * 4, FACE[1] * 3)
    middles = [centre(found.box) for found in detector.detect(large)]
    assert any(middle == pytest.approx(expected, abs=100) for middle in middles)


def test_yunet_finds_a_small_cropped_face(yunet, portrait):
    face = cv2.resize(read(portrait)[50:190, 155:295], (48, 48), interpolation=cv2.INTER_AREA)
    (found,) = yunet.detect(face)
    assert centre(found.box) == pytest.approx((24, 24), abs=6)


def test_faces_come_from_left_to_right(yunet, portrait):
    picture = read(portrait)
    faces = yunet.detect(np.hstack([picture, picture, picture]))
    assert len(faces) == 3
    assert [face.box.x for face in faces] == sorted(face.box.x for face in faces)


def test_one_detector_serves_many_threads(yunet, portrait):
    picture = read(portrait)
    pictures = [picture[: 300 + 20 * i, : 320 + 16 * i] for i in range(10)] * 2
    alone = [yunet.detect(one) for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(yunet.detect, pictures)) == alone


def test_none_takes_the_whole_picture():
    (found,) = build("none").detect(np.zeros((30, 20, 3), np.uint8))
    assert found.box.to_list() == [0, 0, 20, 30]
    assert found.confidence is None


@pytest.mark.parametrize("name", ["yunet", "haar"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 500), (48, 48), (300, 300)])
def test_no_face_is_an_empty_list(name, shape, request):
    detector = request.getfixturevalue("yunet") if name == "yunet" else build(name)
    assert detector.detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_auto_takes_yunet_where_its_file_is(shared, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    detector = build("auto")
    assert (detector.name, detector.notice) == ("yunet", None)


def test_auto_falls_back_to_haar_and_says_so():
    detector = build("auto")
    assert detector.name == "haar"
    assert "Viola-Jones" in detector.notice
    assert "MIEN_OFFLINE" in detector.notice


def test_yunet_by_name_does_not_fall_back():
    with pytest.raises(DownloadError, match="MIEN_OFFLINE"):
        build("yunet")


def test_opencv_5_has_no_cascades(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(DetectorError, match=r"no Viola-Jones cascade.*opencv-python-headless<5"):
        build("haar")
    with pytest.raises(DetectorError, match="YuNet is not there either"):
        build("auto")


def test_a_file_that_is_no_network_is_a_detector_error(tmp_path):
    from mien.detection.yunet import YuNet

    file = tmp_path / "broken.onnx"
    file.write_bytes(b"nothing")
    with pytest.raises(DetectorError, match=r"cannot load .*broken\.onnx"):
        YuNet(file)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(DetectorError, match="retinaface.*" + ", ".join(DETECTORS)):
        build("retinaface")
