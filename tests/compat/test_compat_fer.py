import base64
import inspect
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.compat.fer import FER, InvalidImage
from mien.errors import MienError, ModelError
from mien.recognizer import Recognizer
from support.stub_model import StubModel

PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"
ORDER = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


class Contemptuous(StubModel):
    """Nine tenths contempt; of the rest sad has most."""

    def score(self, crops):
        row = np.array([0.01, 0.01, 0.01, 0.01, 0.04, 0.01, 0.01, 0.9], np.float32)
        return {"probabilities": np.tile(row, (len(crops), 1)), "probabilities_fer2013": np.eye(7)[[0] * len(crops)]}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def portrait():
    return cv2.imread(str(PORTRAIT))


@pytest.fixture(scope="module")
def couple(portrait):
    """A small face on the left, the same one twice as large on the right."""
    picture = np.zeros((1024, 1536, 3), np.uint8)
    picture[:512, :512] = portrait
    picture[:, 512:] = cv2.resize(portrait, (1024, 1024))
    return picture


def test_the_arguments_are_those_of_fer_with_its_defaults():
    theirs = {
        "cascade_file": None,
        "mtcnn": False,
        "tfserving": False,
        "use_tflite": True,
        "scale_factor": 1.1,
        "min_face_size": 50,
        "min_neighbors": 5,
        "offsets": (10, 10),
    }
    ours = inspect.signature(FER).parameters
    assert {name: ours[name].default for name in list(ours)[: len(theirs)]} == theirs
    detect = inspect.signature(FER.detect_emotions).parameters
    assert list(detect) == ["self", "img", "face_rectangles"]
    assert list(inspect.signature(FER.find_faces).parameters) == ["self", "img", "bgr", "gray_img"]
    assert detect["face_rectangles"].default is None
    FER("x.xml", False, True, False, 1.3, 24, 3, (0, 0), model=StubModel())


def test_the_shipped_model_answers_in_the_documented_shape(portrait):
    detector = FER()
    (face,) = detector.detect_emotions(portrait)
    assert list(face) == ["box", "emotions"]
    assert type(face["box"]) is list
    assert [type(number) for number in face["box"]] == [int] * 4
    x, y, width, height = face["box"]
    assert 0 <= x < x + width <= 512
    assert 0 <= y < y + height <= 512
    assert list(face["emotions"]) == ORDER
    for score in face["emotions"].values():
        assert type(score) is float
        assert score == round(score, 2)
        assert 0 <= score <= 1
    assert sum(face["emotions"].values()) == pytest.approx(1, abs=0.035)
    assert detector.top_emotion(portrait) == ("happy", face["emotions"]["happy"])
    assert json.loads(json.dumps([face])) == [face]


def test_arrays_are_bgr(portrait):
    model = StubModel()
    expected = Recognizer(model, detector="haar").predict(portrait[..., ::-1], color="rgb").faces[0].outputs
    seven = list(expected["probabilities"].values())[:7]
    (face,) = FER(model=model).detect_emotions(portrait)
    assert list(face["emotions"].values()) == pytest.approx([share / sum(seven) for share in seven], abs=0.0051)
    box = [face["box"]]
    wrong = FER(model=model).detect_emotions(portrait[..., ::-1], box)
    assert wrong[0]["emotions"] != face["emotions"], "the channel order must matter, or this test shows nothing"


def test_paths_and_data_uris_are_pictures_too(portrait):
    detector = FER(model=StubModel())
    expected = detector.detect_emotions(portrait)
    uri = "data:image/jpeg;base64," + base64.encodebytes(PORTRAIT.read_bytes()).decode()
    assert detector.detect_emotions(str(PORTRAIT)) == expected
    assert detector.detect_emotions(uri) == expected
    assert detector.batch_detect_emotions([portrait, uri]) == [expected, expected]
    assert len(detector.detect_emotions(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY))) == 1


def test_the_largest_face_comes_first(couple):
    detector = FER(model=StubModel())
    boxes = [face["box"] for face in detector.detect_emotions(couple)]
    assert len(boxes) >= 2
    areas = [width * height for _, _, width, height in boxes]
    assert areas == sorted(areas, reverse=True)
    assert boxes[0][0] > 512
    assert detector.find_faces(couple) == boxes
    label, score = detector.top_emotion(couple)
    assert detector.detect_emotions(couple)[0]["emotions"][label] == score


def test_small_faces_are_left_out(couple, portrait):
    assert FER(model=StubModel(), min_face_size=95).detect_emotions(portrait) == []
    assert FER(model=StubModel(), min_face_size=95).top_emotion(portrait) == (None, None)
    large = FER(model=StubModel(), min_face_size=120).find_faces(couple)
    assert large
    assert min(min(box[2:]) for box in large) >= 120
    assert len(large) < len(FER(model=StubModel()).find_faces(couple))


def test_given_rectangles_are_read_in_their_order(portrait):
    detector = FER(model=StubModel())
    (box,) = detector.find_faces(portrait)
    (found,) = detector.detect_emotions(portrait)
    other = (0, 0, 50, 60)
    faces = detector.detect_emotions(portrait, face_rectangles=[other, box])
    assert [face["box"] for face in faces] == [list(other), box]
    assert faces[1] == found
    assert detector.detect_emotions(portrait, np.array([box], np.int32)) == [found]
    assert detector.detect_emotions(portrait, []) == []
    outside = [(600, 0, 50, 50), (0, -80, 50, 50), (10, 10, 0, 40)]
    assert detector.detect_emotions(portrait, outside) == []
    assert detector.detect_emotions(portrait) == [found], "the given boxes must not stay"


def test_contempt_is_left_out_and_the_rest_sums_to_one(portrait):
    detector = FER(model=Contemptuous())
    (face,) = detector.detect_emotions(portrait)
    assert face["emotions"] == dict.fromkeys(ORDER, 0.1) | {"sad": 0.4}
    assert detector.top_emotion(portrait) == ("sad", 0.4)


def test_a_model_of_other_labels_is_refused():
    model = StubModel()
    model.card.outputs = {
        "probabilities": type(model.card.outputs["probabilities"])(labels=("awake", "sleepy"), prior=())
    }
    with pytest.raises(ModelError, match=r"awake, sleepy.*mien\.Recognizer"):
        FER(model=model).detect_emotions(np.zeros((48, 48, 3), np.uint8), [(0, 0, 48, 48)])


def test_no_face_is_an_empty_list():
    detector = FER(model=StubModel())
    nobody = np.full((300, 400, 3), 120, np.uint8)
    assert detector.detect_emotions(nobody) == []
    assert detector.find_faces(nobody) == []
    assert detector.top_emotion(nobody) == (None, None)
    assert detector.batch_detect_emotions([nobody, nobody]) == [[], []]
    assert detector.batch_detect_emotions([]) == []


def test_mtcnn_is_the_better_detector_or_says_why_not(shared, monkeypatch, portrait):
    with pytest.warns(UserWarning, match="Viola-Jones") as caught:
        assert FER(mtcnn=True, model=StubModel()).recognizer.detector.name == "haar"
    assert caught[0].filename == __file__
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    detector = FER(mtcnn=True, min_face_size=500, model=StubModel())
    assert detector.recognizer.detector.name == "yunet"
    assert len(detector.detect_emotions(portrait)) == 1, "fer ignores min_face_size with MTCNN"


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (None, "cv2.imread"),
        ("no-such.jpg", "no such file"),
        ("https://example.org/face.jpg", "not fetched"),
        ("data:image/png;base64,!!!!", "damaged"),
        ("data:image/png,abc", "base64"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
    ],
)
def test_an_unreadable_picture_is_an_invalid_image(picture, message):
    with pytest.raises(InvalidImage, match=message) as caught:
        FER(model=StubModel()).detect_emotions(picture)
    assert isinstance(caught.value, MienError)
