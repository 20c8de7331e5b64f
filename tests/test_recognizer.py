import io
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import mien
from mien import models
from mien.detection.detectors import build
from mien.errors import DetectorError, ModelError, PictureError
from mien.recognizer import Recognizer
from mien.sources.images import read
from support.stub_model import StubModel

PORTRAIT = Path(__file__).resolve().parents[1] / "docs" / "astronaut.jpg"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))


@pytest.fixture
def recognizer(shared, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    return Recognizer(StubModel())


def same(one, other):
    """The same faces; where a picture came from is not part of that."""
    return one.to_dict() | {"source": None} == other.to_dict() | {"source": None}


def test_every_form_of_a_picture_gives_the_same_answer(recognizer):
    expected = recognizer.predict(PORTRAIT)
    assert len(expected.faces) == 1
    assert (expected.source, expected.detector, expected.model) == (str(PORTRAIT), "yunet", "stub 1")
    pixels = read(PORTRAIT)
    with Image.open(PORTRAIT) as image:
        assert same(recognizer.predict(image), expected)
        assert same(recognizer.predict(np.asarray(image), color="rgb"), expected)
    assert same(recognizer.predict(str(PORTRAIT)), expected)
    assert same(recognizer.predict(PORTRAIT.read_bytes()), expected)
    assert same(recognizer.predict(pixels[..., ::-1], color="bgr"), expected)
    assert recognizer.predict(pixels, color="rgb").source is None
    wrong = recognizer.predict(pixels, color="bgr")
    assert not same(wrong, expected), "the channel order must matter, or this test shows nothing"


def test_a_rotated_photo_is_read_upright(recognizer, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise when shown
    turned = tmp_path / "turned.png"
    with Image.open(PORTRAIT) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    assert same(recognizer.predict(turned), recognizer.predict(PORTRAIT))
    as_opencv_reads_it = cv2.imread(str(turned))
    assert same(recognizer.predict(as_opencv_reads_it, color="bgr"), recognizer.predict(PORTRAIT))


def test_all_faces_of_a_picture_are_scored_in_one_batch(recognizer):
    pixels = read(PORTRAIT)
    frame = recognizer.predict(np.hstack([pixels, pixels[:, ::-1], pixels]), color="rgb")
    assert len(frame.faces) == 3
    assert recognizer.model.batches == [3]
    assert [face.box.x for face in frame.faces] == sorted(face.box.x for face in frame.faces)
    assert all(len(face.landmarks) == 5 for face in frame.faces)


def test_all_outputs_of_the_model_are_there_with_its_labels(recognizer):
    (face,) = recognizer.predict(PORTRAIT).faces
    assert list(face.outputs) == ["probabilities", "probabilities_fer2013"]
    assert [len(scores) for scores in face.outputs.values()] == [8, 7]
    for scores in face.outputs.values():
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_no_face_is_an_empty_result(recognizer):
    frame = recognizer.predict(np.full((300, 400, 3), 120, np.uint8), color="rgb")
    assert frame.faces == ()
    assert (frame.width, frame.height) == (400, 300)
    assert recognizer.model.batches == []


def test_without_a_network_viola_jones_steps_in_and_says_so():
    with pytest.warns(mien.MienWarning, match="not with YuNet: .*MIEN_OFFLINE.*mien models fetch yunet") as caught:
        recognizer = Recognizer(StubModel())
    assert [str(one.message) for one in caught] == [recognizer.notice]
    assert caught[0].filename == __file__
    assert recognizer.detector.name == "haar"
    frame = recognizer.predict(PORTRAIT)
    assert frame.detector == "haar"
    assert len(frame.faces) >= 1


def test_a_detector_that_is_asked_for_or_handed_in_is_no_warning():
    assert Recognizer(StubModel(), "haar").notice is None
    assert "Viola-Jones" in Recognizer(StubModel(), build("auto")).notice


def test_the_whole_picture_can_be_the_face():
    model = StubModel()
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    (found,) = Recognizer(model, detector="none").predict(face, color="rgb").faces
    assert found.box.to_list() == [0, 0, 48, 48]
    expected = model.score(face[None])["probabilities"][0]
    assert list(found.probabilities.values()) == pytest.approx(expected.tolist())


def test_one_recognizer_serves_many_threads(recognizer):
    pixels = read(PORTRAIT)
    pictures = [np.ascontiguousarray(pixels[: 300 + 20 * i]) for i in range(8)]
    alone = [recognizer.predict(one, "rgb") for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda one: recognizer.predict(one, "rgb"), pictures)) == alone


def test_faults_keep_their_kind(recognizer, tmp_path):
    with pytest.raises(PictureError, match="no such file"):
        recognizer.predict(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="channel order"):
        recognizer.predict(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(PictureError):
        recognizer.predict(io.BytesIO())
    with pytest.raises(DetectorError, match="dlib"):
        Recognizer(StubModel(), detector="dlib")
    with pytest.raises(ModelError):
        Recognizer("no-such-model", detector="none")


def test_a_model_that_was_not_framed_for_a_detector_is_refused():
    model = StubModel()
    model.card.framing["yunet"]["scale"] = 1.3
    del model.card.framing["haar"]
    with pytest.raises(ModelError, match="'stub' does not say how to frame a face that 'haar' finds"):
        Recognizer(model, detector="haar")


def test_a_model_framed_for_fer2013_takes_a_detector_that_its_card_does_not_name():
    newer, older = StubModel(), StubModel()
    del older.card.framing["haar"]
    expected, found = (Recognizer(model, detector="haar").predict(PORTRAIT) for model in (newer, older))
    assert found.faces
    assert found == expected


def test_public_names_are_there_and_listed():
    assert set(mien.__all__) <= set(dir(mien))
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    assert mien.Recognizer is Recognizer
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        mien.Recogniser  # noqa: B018  looking it up is what raises


def test_importing_mien_loads_nothing_heavy_and_a_prediction_no_training_library():
    code = """
import sys
import mien
loaded = {name.partition('.')[0] for name in sys.modules}
assert not loaded & {'numpy', 'cv2', 'PIL', 'onnxruntime', 'rich', 'typer'}, loaded
sys.path.insert(0, sys.argv[1])
from support.stub_model import StubModel
mien.Recognizer(StubModel(), detector='haar').predict(sys.argv[2])
heavy = {'torch', 'matplotlib', 'sklearn', 'pandas', 'pyarrow', 'fastapi', 'pydantic', 'yaml', 'onnx', 'scipy'}
loaded = {name.partition('.')[0] for name in sys.modules}
assert not loaded & heavy, loaded & heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(PORTRAIT)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_probabilities_are_carried_to_the_prior_of_the_user_and_the_frame_says_which():
    model = StubModel()
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    labels = model.card.outputs["probabilities"].labels
    before = np.arange(1, 9) / 36
    model.card.outputs["probabilities"].prior = tuple(before)
    plain = Recognizer(model, detector="none").predict(face, color="rgb")
    assert plain.prior == pytest.approx(dict(zip(labels, before, strict=True)))
    wanted = dict(zip(labels, before[::-1].tolist(), strict=True))
    there = Recognizer(model, detector="none", prior=wanted).predict(face, color="rgb")
    assert there.to_dict()["prior"] == pytest.approx(wanted, abs=1e-4)
    moved = np.array(list(plain.faces[0].probabilities.values())) * before[::-1] / before
    assert list(there.faces[0].probabilities.values()) == pytest.approx(moved / moved.sum(), abs=1e-6)
    assert there.faces[0].outputs["probabilities_fer2013"] == plain.faces[0].outputs["probabilities_fer2013"]


def test_a_model_that_does_not_say_its_prior_has_no_other_either():
    with pytest.raises(ModelError, match="does not say under which prior"):
        Recognizer(StubModel(), detector="none", prior="balanced")
    assert Recognizer(StubModel(), detector="none").predict(np.zeros((48, 48), np.uint8)).prior is None


@pytest.mark.parametrize("detector", ["haar", "none"])
def test_a_recognizer_that_was_pickled_answers_the_same(portrait, detector):
    recognizer = Recognizer("fast", detector, threads=1, min_size=20, search="quick")
    data = pickle.dumps(recognizer)
    assert len(data) < 5000, "by name, not with the model in it"
    again = pickle.loads(data)
    assert again.made() == recognizer.made()
    assert again.predict(portrait) == recognizer.predict(portrait)


def test_a_pickled_model_is_not_taken_for_another(tmp_path):
    fast, default = (models.load(name).path for name in ("fast", "default"))
    path = tmp_path / "model.onnx"
    path.write_bytes(fast.read_bytes())
    data = pickle.dumps(models.load(path, threads=1))
    path.write_bytes(default.read_bytes())
    with pytest.raises(ModelError, match="another model"):
        pickle.loads(data)


@pytest.mark.parametrize("name", ["https://example.org/" + "a" * 500, "clip\n.mp4"])
def test_an_address_is_shown_short_and_escaped(name):
    with pytest.raises(PictureError, match="stream") as raised:
        Recognizer("fast", "none").predict(name)
    assert len(str(raised.value)) < 160
    assert "\n" not in str(raised.value)
