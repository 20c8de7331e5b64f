import io
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.data.writer import TableInfo
from mien.errors import DataError, LabelError, ModelError, PictureError
from mien.evaluate.predictions import predict
from mien.explain import occlusion, occlusion_plots
from mien.explain.occlusion import PLACES, Explained, MeanMap
from mien.recognizer import Recognizer
from support.made_table import write_table
from support.stub_model import StubModel

LABELS = ("bright", "dark")


class Corner:
    """Answers by the upper left eighth of the face alone: bright or dark."""

    def __init__(self, side=48):
        self.card = SimpleNamespace(
            name="corner",
            version="1",
            graph_sha256="0",
            width=side,
            height=side,
            outputs={
                "probabilities": SimpleNamespace(
                    labels=LABELS, label_set="corners", temperature=1.0, bias=(), power=1.0
                )
            },
            framing={"none": {"scale": 1.0, "dx": 0.0, "dy": 0.0}},
        )

    def score(self, crops):
        side = self.card.width // 8
        bright = crops[:, :side, :side].mean(axis=(1, 2, 3)) / 255
        return {"probabilities": np.stack([bright, 1 - bright], axis=1).astype(np.float32)}


def cornered(corner=255, rest=0, side=48):
    face = np.full((side, side, 3), rest, np.uint8)
    face[: side // 8, : side // 8] = corner
    return face


def test_the_map_is_where_the_model_looks():
    (worth,) = occlusion.falls(Corner(), cornered()[None], "probabilities", np.array([0]), patch=0.1)
    assert worth.shape == (PLACES, PLACES)
    assert np.unravel_index(worth.argmax(), worth.shape) <= (1, 1)
    assert worth.max() > 0.4
    assert worth[3:].max() == worth[:, 3:].max() == 0


def test_a_place_that_hides_all_of_it_is_worth_all_of_it():
    face = cornered()
    (worth,) = occlusion.falls(Corner(), face[None], "probabilities", np.array([0]), patch=0.3)
    left = round(face.mean()) / 255  # of its probability, which was 1 but for what 32 bits tell apart
    assert worth.max() == pytest.approx(np.log2(1e7) - np.log2(left / (1 - left)), abs=0.01)


def test_hiding_what_speaks_against_a_label_raises_it():
    for_bright, for_dark = (
        occlusion.falls(Corner(), cornered()[None], "probabilities", np.array([label]))[0] for label in (0, 1)
    )
    assert for_dark == pytest.approx(-for_bright, abs=1e-4)
    assert for_dark.min() < -0.4


def test_the_square_is_of_the_mean_grey():
    plain = np.full((48, 48, 3), 77, np.uint8)
    assert (occlusion._hidden(plain, 0.2) == 77).all()
    colours = np.tile(np.array([200, 50, 100], np.uint8), (48, 48, 1))
    hidden = occlusion._hidden(colours, 0.2)[0, 0, 0]
    assert len(set(hidden.tolist())) == 1


@pytest.mark.parametrize(("side", "patch"), [(48, 0.2), (96, 0.35), (40, 0.01), (224, 0.5)])
def test_squares_reach_from_edge_to_edge_and_hide_every_place_alike(side, patch):
    spans = occlusion._spans(side, patch)
    assert len(spans) == PLACES
    assert spans[0].start <= side / PLACES
    assert all(0 <= span.start < span.stop for span in spans)
    assert min(spans[-1].stop, side) >= side - side / PLACES
    middle = spans[PLACES // 2]
    assert middle.stop - middle.start == max(round(patch * side), 1)
    assert abs((middle.start + middle.stop) / 2 - side / 2) <= 1


def test_each_face_has_its_own_map():
    crops = np.stack([cornered(255), cornered(255, 200)])
    worth = occlusion.falls(Corner(), crops, "probabilities", np.array([0, 0]))
    assert worth[0].max() > worth[1].max() + 5 > 5


def test_faces_of_a_picture():
    stub = Recognizer(StubModel(), "none")
    picture = np.zeros((120, 90, 3), np.uint8)
    picture[:30] = 250  # the first label's band
    (one,) = occlusion.explain(stub, picture)
    assert one.label == "angry"
    assert one.probabilities["angry"] == max(one.probabilities.values())
    assert one.pixels.shape == (240, 240, 3)
    assert one.falls[0].max() > 0.1 > abs(one.falls[-1]).max()
    (seven,) = occlusion.explain(stub, picture, label="neutral", output="probabilities_fer2013", face=1)
    assert (seven.label, len(seven.probabilities)) == ("neutral", 7)


def test_what_is_not_there_is_said():
    stub = Recognizer(StubModel(), "none")
    picture = np.zeros((60, 60, 3), np.uint8)
    with pytest.raises(PictureError, match="no face 2: 1 were found"):
        occlusion.explain(stub, picture, face=2)
    with pytest.raises(LabelError, match="no label 'contempt' in the model's probabilities_fer2013"):
        occlusion.explain(stub, picture, label="contempt", output="probabilities_fer2013")
    with pytest.raises(ModelError, match="no output 'other', only probabilities, probabilities_fer2013"):
        occlusion.explain(stub, picture, output="other")


@pytest.fixture
def corners(tmp_path):
    """12 bright and 6 dark corners, the last dark one labelled bright."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(18):
        face = rng.integers(100, 120, (48, 48), dtype=np.uint8)
        face[:6, :6] = 250 if number < 12 else 5
        rows.append((face, 0 if number < 12 or number == 17 else 1, "validation"))
    return write_table(tmp_path / "corners.parquet", TableInfo("corners", "corners", LABELS), rows)


def test_means_are_of_faces_that_are_answered_right(corners):
    model = Corner()
    (scores,) = predict(model, corners, "validation").scores
    said = []
    bright, dark = occlusion.average(model, corners, scores, faces=100, patch=0.1, say=said.append)
    assert (bright.label, bright.n, dark.label, dark.n) == ("bright", 12, "dark", 5)
    assert bright.probability == pytest.approx(250 / 255, abs=1e-3)
    assert bright.face.shape == (48, 48)
    assert bright.face[:6, :6].mean() == pytest.approx(250, abs=1)
    for one in (bright, dark):
        assert np.unravel_index(one.falls.argmax(), one.falls.shape) <= (1, 1)
        assert one.falls.max() > 0.15
    assert said == ["bright: hiding places of 12 faces", "dark: hiding places of 5 faces"]
    fewer = occlusion.average(model, corners, scores, faces=6, patch=0.1)
    assert [one.n for one in fewer] == [3, 3]
    numbers = bright.to_dict()
    assert numbers["falls"][0][0] == pytest.approx(bright.falls[0, 0], abs=1e-3)
    assert "face" not in numbers


def test_nothing_right_is_nothing_to_explain(corners):
    model = Corner()
    model.score = lambda crops: {"probabilities": np.tile(np.float32([1, 0]), (len(crops), 1))}
    dark = corners.take(np.arange(12, 17))
    (scores,) = predict(model, dark, "validation").scores
    with pytest.raises(DataError, match="answers no face of 'corners' right"):
        occlusion.average(model, dark, scores)


def explained(falls):
    return Explained(np.full((240, 240, 3), 128, np.uint8), {"happy": 0.75, "$a$": 0.25}, "happy", falls)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_a_drawing_is_yellow_where_the_map_is_high():
    falls = np.zeros((PLACES, PLACES), np.float32)
    falls[:7] = 5
    drawn = pixels(occlusion_plots.draw([explained(falls)], "title $x"))
    # Inches from the lower left corner, at 160 to an inch: the map's upper and lower quarter.
    height = len(drawn)
    yellow = drawn[..., 0] - drawn[..., 2]
    upper, lower = (yellow[height - round(160 * y), round(160 * 3.2) : round(160 * 4.6)].mean() for y in (2.3, 0.4))
    assert upper > 60 > 20 > lower
    assert drawn.shape[1] == round(9.2 * 160)


def test_each_face_and_each_label_has_its_place():
    falls = np.zeros((PLACES, PLACES), np.float32)
    two = pixels(occlusion_plots.draw([explained(falls)] * 2, "x"))
    assert len(two) == pytest.approx((2 * 2.8 + 0.65) * 160, abs=2)
    face = np.full((48, 48), 90, np.float32)
    five = pixels(occlusion_plots.draw_means([MeanMap(f"label {n}", 3, face, 0.5, falls) for n in range(5)], "x"))
    assert five.shape[:2] == pytest.approx(((2 * 2.8 + 0.65) * 160, 4 * 3.35 * 160), abs=2)
    last = five[-round(2.7 * 160) :]
    assert (last[:, 640:] == 255).all()  # the fifth is alone in its row
    assert not (last[:, :560] == 255).all()


def test_a_smile_is_read_from_the_mouth():
    photo = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"
    picture = cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2RGB)
    (one,) = occlusion.explain(Recognizer("default", "haar"), picture, patch=0.4)
    assert one.label == "happy"
    row, column = np.unravel_index(one.falls.argmax(), one.falls.shape)
    assert 8 <= row <= 13
    assert 4 <= column <= 10
