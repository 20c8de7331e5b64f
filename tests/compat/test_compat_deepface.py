import base64
import inspect
import io
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien.compat import deepface as DeepFace
from mien.detection.base import Detection
from mien.errors import DownloadError, MienError, PictureError
from mien.recognizer import Recognizer
from mien.results import Box
from support.stub_model import StubModel

PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"
ORDER = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
NOBODY = np.full((300, 400, 3), 120, np.uint8)


class Contemptuous(StubModel):
    """All contempt but a trace of sad."""

    def score(self, crops):
        row = np.array([0, 0, 0, 0.0001, 0.0003, 0, 0, 0.9996], np.float32)
        return {"probabilities": np.tile(row, (len(crops), 1)), "probabilities_fer2013": np.eye(7)[[0] * len(crops)]}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    DeepFace._recognizer.cache_clear()


@pytest.fixture(scope="module")
def portrait():
    return cv2.imread(str(PORTRAIT))


def seeing(detections):
    """A model, and a recognizer whose detector finds just these."""
    model = StubModel()
    recognizer = Recognizer(model, detector="haar")
    recognizer.detector = SimpleNamespace(name="yunet", notice=None, detect=lambda picture, **_: detections)
    return model, recognizer


def test_the_arguments_are_those_of_deepface_with_its_defaults_but_for_the_actions():
    theirs = {
        "img_path": inspect.Parameter.empty,
        "actions": ("emotion",),
        "enforce_detection": True,
        "detector_backend": "opencv",
        "align": True,
        "expand_percentage": 0,
        "silent": False,
        "anti_spoofing": False,
    }
    ours = inspect.signature(DeepFace.analyze).parameters
    assert {name: ours[name].default for name in list(ours)[: len(theirs)]} == theirs


def test_the_shipped_model_answers_in_the_documented_shape():
    (face,) = DeepFace.analyze(str(PORTRAIT), ["emotion"], align=False, expand_percentage=20, silent=True)
    assert list(face) == ["emotion", "dominant_emotion", "region", "face_confidence"]
    assert list(face["emotion"]) == ORDER
    assert {type(score) for score in face["emotion"].values()} == {float}
    assert all(0 <= score <= 100 for score in face["emotion"].values())
    assert sum(face["emotion"].values()) == pytest.approx(100)
    assert face["dominant_emotion"] == "happy" == max(face["emotion"], key=face["emotion"].get)
    assert list(face["region"]) == ["x", "y", "w", "h", "left_eye", "right_eye"]
    assert [type(face["region"][name]) for name in "xywh"] == [int] * 4
    assert face["region"]["left_eye"] is face["region"]["right_eye"] is None
    assert face["face_confidence"] == 1.0
    assert json.loads(json.dumps([face])) == [face]


def test_arrays_are_bgr(portrait):
    model = StubModel()
    eight = Recognizer(model, detector="none").predict(portrait[..., ::-1], color="rgb").faces[0].probabilities
    (face,) = DeepFace.analyze(portrait, detector_backend="skip", model=model)
    left = sum(eight[label] for label in ORDER)
    assert face["emotion"] == pytest.approx({label: 100 * eight[label] / left for label in ORDER})
    (wrong,) = DeepFace.analyze(portrait[..., ::-1], detector_backend="skip", model=model)
    assert wrong["emotion"] != pytest.approx(face["emotion"]), "the channel order must matter"


def test_every_form_of_a_picture_gives_the_same_answer(portrait):
    model = StubModel()
    expected = DeepFace.analyze(portrait, model=model)
    uri = "data:image/jpeg;base64," + base64.b64encode(PORTRAIT.read_bytes()).decode()
    assert DeepFace.analyze(PORTRAIT, model=model) == expected
    assert DeepFace.analyze(uri, model=model) == expected
    with PORTRAIT.open("rb") as file:
        file.seek(100)
        assert DeepFace.analyze(file, model=model) == expected


def test_several_pictures_give_a_list_of_lists(portrait):
    model = StubModel()
    one = DeepFace.analyze(portrait, model=model)
    assert DeepFace.analyze([portrait, str(PORTRAIT)], model=model) == [one, one]
    assert DeepFace.analyze(np.stack([portrait, portrait]), model=model) == [one, one]
    assert DeepFace.analyze([portrait], model=model) == [one]
    assert DeepFace.analyze([], model=model) == []


def test_the_largest_face_comes_first(portrait):
    picture = np.zeros((1024, 1536, 3), np.uint8)
    picture[:512, :512] = portrait
    picture[:, 512:] = cv2.resize(portrait, (1024, 1024))
    faces = DeepFace.analyze(picture, model=StubModel())
    assert len(faces) >= 2
    areas = [face["region"]["w"] * face["region"]["h"] for face in faces]
    assert areas == sorted(areas, reverse=True)
    assert faces[0]["region"]["x"] > 512


def test_contempt_is_left_out_and_the_rest_sums_to_a_hundred(portrait):
    (face,) = DeepFace.analyze(portrait, model=Contemptuous())
    assert face["emotion"] == pytest.approx(dict.fromkeys(ORDER, 0) | {"happy": 25, "sad": 75}, abs=1e-4)
    assert face["dominant_emotion"] == "sad"


def test_no_face_is_an_error_unless_it_is_said_to_be_none():
    with pytest.raises(ValueError, match="Face could not be detected") as caught:
        DeepFace.analyze(NOBODY, model=StubModel())
    assert isinstance(caught.value, DeepFace.FaceNotDetected)
    assert isinstance(caught.value, MienError)
    (face,) = DeepFace.analyze(NOBODY, enforce_detection=False, model=StubModel())
    assert face["region"] == {"x": 0, "y": 0, "w": 400, "h": 300, "left_eye": None, "right_eye": None}
    assert face["face_confidence"] == 0.0
    assert sum(face["emotion"].values()) == pytest.approx(100)


def test_the_error_names_the_file(tmp_path):
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), NOBODY)
    with pytest.raises(DeepFace.FaceNotDetected, match=r"wall\.png"):
        DeepFace.analyze([str(PORTRAIT), str(path)], model=StubModel())


def test_skip_takes_the_whole_picture():
    (face,) = DeepFace.analyze(NOBODY, detector_backend="skip", model=StubModel())
    assert face["region"] == {"x": 0, "y": 0, "w": 400, "h": 300, "left_eye": None, "right_eye": None}
    assert face["face_confidence"] == 0.0


def test_left_and_right_are_the_persons_own(monkeypatch):
    points = ((30.2, 40.0), (70.0, 41.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0))
    model, recognizer = seeing([Detection(Box(-5.0, 10.0, 110.0, 120.0), 0.876, points)])
    monkeypatch.setattr(DeepFace, "_recognizer", lambda detector, model: recognizer)
    picture = np.zeros((100, 100, 3), np.uint8)
    (face,) = DeepFace.analyze(picture, detector_backend="yunet", model=model)
    eyes = {"left_eye": (70, 41), "right_eye": (30, 40)}
    assert face["region"] == {"x": 0, "y": 10, "w": 100, "h": 90} | eyes
    assert face["face_confidence"] == 0.88
    (face,) = DeepFace.analyze(picture, detector_backend="retinaface", model=model)
    mouth = {"nose": (50, 60), "mouth_left": (65, 80), "mouth_right": (35, 80)}
    assert face["region"] == {"x": 0, "y": 10, "w": 100, "h": 90} | eyes | mouth


def test_an_eye_outside_the_picture_is_none(monkeypatch):
    points = ((-3.0, 40.0), (70.0, 41.0), (50.0, 60.0), (35.0, 120.0), (65.0, 80.0))
    model, recognizer = seeing([Detection(Box(0.0, 10.0, 90.0, 90.0), 0.9, points)])
    monkeypatch.setattr(DeepFace, "_recognizer", lambda detector, model: recognizer)
    (face,) = DeepFace.analyze(np.zeros((100, 100, 3), np.uint8), detector_backend="retinaface", model=model)
    assert face["region"]["right_eye"] is face["region"]["mouth_right"] is None
    assert face["region"]["left_eye"] == (70, 41)


@pytest.mark.parametrize(
    "actions", [("age",), ["emotion", "age"], "gender", ("emotion", "age", "gender", "race"), (), []]
)
def test_other_actions_are_refused(actions, portrait):
    with pytest.raises(DeepFace.UnimplementedError, match="expressions only") as caught:
        DeepFace.analyze(portrait, actions=actions, model=StubModel())
    assert isinstance(caught.value, MienError)
    assert isinstance(caught.value, ValueError)


def test_the_action_may_be_a_word(portrait):
    assert len(DeepFace.analyze(portrait, actions="emotion", model=StubModel())) == 1


def test_anti_spoofing_is_refused_not_ignored(portrait):
    with pytest.raises(ValueError, match="anti_spoofing"):
        DeepFace.analyze(portrait, anti_spoofing=True, model=StubModel())


@pytest.mark.parametrize("backend", ["mtcnn", "retinaface", "yolov8n"])
def test_other_detectors_are_the_better_one_or_it_is_said_why_not(backend, portrait):
    model = StubModel()
    with pytest.warns(UserWarning, match="Viola-Jones") as caught:
        faces = DeepFace.analyze([portrait], detector_backend=backend, model=model)
    assert caught[0].filename == __file__
    assert len(faces[0]) == 1
    assert DeepFace.analyze([portrait], detector_backend=backend, silent=True, model=model) == faces


def test_detectors_by_name(portrait, shared, monkeypatch):
    with pytest.raises(DownloadError):
        DeepFace.analyze(portrait, detector_backend="yunet", model=StubModel())
    with pytest.raises(ValueError, match="'haar', expected opencv, yunet, skip"):
        DeepFace.analyze(portrait, detector_backend="haar", model=StubModel())
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    (face,) = DeepFace.analyze(portrait, detector_backend="yunet", model=StubModel())
    assert face["region"]["right_eye"][0] < face["region"]["left_eye"][0]
    assert 0.5 < face["face_confidence"] < 1


def test_models_are_loaded_once(portrait, monkeypatch):
    made = []
    monkeypatch.setattr(
        DeepFace, "Recognizer", lambda *args, **options: made.append(args) or Recognizer(*args, **options)
    )
    model = StubModel()
    for _ in range(3):
        DeepFace.analyze(portrait, model=model)
    ((loaded, _),) = made
    assert loaded is model


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (None, "cv2.imread"),
        ("no-such.jpg", "no such file"),
        ("HTTPS://example.org/face.jpg", "not fetched"),
        ("data:image/png;base64,!!!!", "damaged"),
        (io.StringIO("text"), "'rb'"),
        (io.BytesIO(b"no picture"), "not a picture"),
        (7, "int"),
    ],
)
def test_an_unreadable_picture_is_a_value_error(picture, message):
    with pytest.raises(ValueError, match=message) as caught:
        DeepFace.analyze(picture, model=StubModel())
    assert isinstance(caught.value, DeepFace.ImgNotFound)
    assert isinstance(caught.value, PictureError)


@pytest.mark.parametrize("option", ["actions", "detector_backend"])
def test_none_is_refused_in_the_shims_own_words(portrait, option):
    with pytest.raises(DeepFace.UnimplementedError, match=f"{option}=None"):
        DeepFace.analyze(portrait, **{option: None})


def test_the_picture_of_a_list_that_fails_is_named(portrait):
    with pytest.raises(DeepFace.FaceNotDetected, match="item 1: "):
        DeepFace.analyze([portrait, np.zeros((99, 99, 3), np.uint8)], detector_backend="opencv")
    with pytest.raises(DeepFace.ImgNotFound, match="item 0: ") as raised:
        DeepFace.analyze(["A" * 100_000])
    assert len(str(raised.value)) < 300
