import copy
import dataclasses
import json
import pickle

import pytest

from mien.results import COLUMNS, Box, Face, Frame, Quality

SCORES = {"probabilities": {"angry": 0.1, "happy": 0.65, "sad": 0.25}, "other": {"a": 0.3, "b": 0.7}}


@pytest.fixture
def frame():
    faces = (
        Face(Box(10.4, 20.6, 30, 40), 0.98765, SCORES, ((1.0, 2.0), (3.04, 4.0))),
        Face(Box(50, 20, 30, 40), None, SCORES),
    )
    return Frame("a.jpg", 100, 80, faces, "yunet", "default 1")


def test_the_first_output_is_what_users_see(frame):
    face = frame.faces[0]
    assert face.expression == "happy"
    assert face.probability == 0.65
    assert face.top(2) == [("happy", 0.65), ("sad", 0.25)]
    assert list(face.probabilities) == ["angry", "happy", "sad"]


def test_results_cannot_be_changed(frame):
    face = frame.faces[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        face.confidence = 1.0
    with pytest.raises(TypeError):
        face.probabilities["happy"] = 1.0
    with pytest.raises(TypeError):
        face.outputs["probabilities"] = {}
    scores = {"probabilities": {"happy": 1.0}}
    later = Face(Box(0, 0, 1, 1), None, scores)
    scores["probabilities"]["happy"] = 0.0
    assert later.probability == 1.0


def test_results_travel_between_processes(frame):
    quality = Quality(30.0, 0.9, 0.1, -3.0, 0.7)
    faces = tuple(
        dataclasses.replace(f, quality=quality, track=3, smoothed={"a": 1.0}, threshold=0.5) for f in frame.faces
    )
    frame = dataclasses.replace(frame, faces=faces, index=4, time=0.2)
    again = pickle.loads(pickle.dumps(frame))
    assert again == frame
    assert copy.deepcopy(frame) == frame
    with pytest.raises(TypeError):
        again.faces[0].probabilities["happy"] = 1.0


def test_the_dict_is_json(frame):
    document = json.loads(json.dumps(frame.to_dict()))
    assert document["source"] == "a.jpg"
    assert document["faces"][0] == {
        "box": [10, 21, 30, 40],
        "confidence": 0.9877,
        "landmarks": [[1.0, 2.0], [3.0, 4.0]],
        "quality": None,
        "track": None,
        "expression": "happy",
        "probability": 0.65,
        "smoothed": None,
        "smoothed_expression": None,
        "outputs": SCORES,
    }
    assert document["faces"][1]["confidence"] is None


def test_rows_are_flat_and_numbered_from_one(frame):
    first, second = frame.to_rows()
    assert first["face"] == 1
    assert second["face"] == 2
    assert (first["x"], first["y"], first["width"], first["height"]) == (10, 21, 30, 40)
    assert first["happy"] == 0.65
    assert list(first) == [*COLUMNS, "angry", "happy", "sad"]


def test_a_picture_without_faces_has_a_row_that_says_so(frame):
    (row,) = dataclasses.replace(frame, faces=(), index=7, time=0.28).to_rows()
    assert row == dict.fromkeys(COLUMNS) | {"source": "a.jpg", "frame": 7, "time": 0.28}
    (failed,) = Frame("b.jpg", 0, 0, (), "yunet", "default 1", error="damaged").to_rows()
    assert failed["error"] == "damaged"


def test_a_note_is_in_the_dict_and_in_every_row(frame):
    noted = dataclasses.replace(frame, note="cut off")
    assert noted.to_dict()["note"] == "cut off"
    assert [row["note"] for row in noted.to_rows()] == ["cut off"] * 2
    assert [row["note"] for row in dataclasses.replace(noted, faces=()).to_rows()] == ["cut off"]
    assert frame.to_dict()["note"] is None


def test_below_the_threshold_the_answer_is_unsure():
    scores = {"happy": 0.6, "sad": 0.4}
    assert Face(Box(0, 0, 1, 1), None, {"p": scores}, threshold=0.6).expression == "happy"
    face = Face(Box(0, 0, 1, 1), None, {"p": scores}, threshold=0.7, smoothed={"happy": 0.1, "sad": 0.9})
    assert (face.expression, face.probability) == ("unsure", 0.6)
    assert face.smoothed_expression == "sad"
    assert face.steadiest == ("sad", 0.9)
    assert face.to_row()["expression"] == "unsure"
    assert Face(Box(0, 0, 1, 1), None, {"p": scores}).smoothed_expression is None


def test_a_face_of_few_pixels_is_unsure_however_sure_the_model_is():
    scores = {"happy": 0.9, "sad": 0.1}
    for size, answer in ((5.9, "unsure"), (16.9, "unsure"), (17.0, "happy"), (200.0, "happy")):
        face = Face(Box(0, 0, size, size), None, {"p": scores}, quality=Quality(size, 1.0, None, None, 0.1))
        assert face.expression == answer
        smoothed = dataclasses.replace(face, smoothed=scores)
        assert (smoothed.smoothed_expression, smoothed.steadiest) == (answer, (answer, 0.9))


def test_overlap_is_symmetric_and_zero_where_boxes_only_touch():
    one, other = Box(0, 0, 10, 10), Box(5, 0, 10, 20)
    assert one.overlap(other) == other.overlap(one) == pytest.approx(50 / 250)
    assert one.overlap(one) == 1
    assert one.overlap(Box(10, 0, 5, 5)) == 0


def test_equal_faces_and_frames_have_equal_hashes():
    def frame(happy):
        face = Face(Box(1, 2, 3, 4), 0.5, {"fer2013": {"happy": happy, "sad": 1 - happy}})
        return Frame("a.jpg", 9, 9, (face,), "none", "default 1")

    assert hash(frame(0.5)) == hash(frame(0.5))
    assert len({frame(0.5), frame(0.5), frame(0.25)}) == 2


def test_equal_frames_have_equal_hashes():
    made = [Frame("a.jpg", 4, 3, (), "haar", "m 1", prior={"happy": share}) for share in (1.0, 1.0, 0.5)]
    assert len(set(made)) == 2
    assert hash(made[0]) == hash(made[1])
