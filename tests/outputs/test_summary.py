import dataclasses

import pytest

from mien.outputs.summary import Summary
from mien.results import Box, Face, Frame


def frame(at, *labels, source="clip.mp4"):
    faces = tuple(
        Face(Box(0, 0, 9, 9), 0.9, {"p": {label: 0.9, "other": 0.1}}, track=number)
        for number, label in enumerate(labels, start=1)
        if label
    )
    return Frame(source, 64, 48, faces, "yunet", "default 1", index=round(at * 10), time=at)


def test_shares_are_of_time_and_changes_are_counted():
    total = Summary()
    for at, label in [(0.0, "happy"), (0.5, "happy"), (0.6, "sad"), (1.0, "happy"), (1.1, "happy")]:
        total.add(frame(at, label))
    (person,) = total.persons.values()
    assert person.seconds == pytest.approx({"happy": 0.7, "sad": 0.4})
    assert list(person.shares) == ["happy", "sad"]
    assert sum(person.shares.values()) == pytest.approx(1)
    assert person.transitions == {("happy", "sad"): 1, ("sad", "happy"): 1}
    assert (person.first, person.last, person.frames) == (0.0, 1.1, 5)


def test_time_out_of_sight_counts_for_nothing():
    total = Summary()
    for at in (0.0, 10.0, 10.5):
        total.add(frame(at, "happy"))
    (person,) = total.persons.values()
    assert sum(person.seconds.values()) == pytest.approx(1.5)


def test_unsure_is_time_but_no_change():
    total = Summary()
    for at, label in [(0.0, "happy"), (0.2, "unsure"), (0.4, "happy")]:
        one = frame(at, label)
        if label == "unsure":
            faces = tuple(dataclasses.replace(face, threshold=0.95) for face in one.faces)
            one = dataclasses.replace(one, faces=faces)
        total.add(one)
    (person,) = total.persons.values()
    assert person.shares == pytest.approx({"happy": 0.5, "unsure": 0.5})
    assert not person.transitions


def test_the_smoothed_answer_counts_where_there_is_one():
    total = Summary()
    for at in (0.0, 0.1):
        one = frame(at, "happy")
        faces = tuple(dataclasses.replace(face, smoothed={"happy": 0.2, "sad": 0.8}) for face in one.faces)
        total.add(dataclasses.replace(one, faces=faces))
    (person,) = total.persons.values()
    assert list(person.shares) == ["sad"]


def test_persons_are_told_apart_by_clip_and_pictures_are_counted():
    total = Summary()
    total.add(frame(0.0, "happy", "sad"))
    total.add(frame(0.0, "happy", source="other.mp4"))
    total.add(Frame("a.jpg", 9, 9, (), "yunet", "default 1"))
    total.add(Frame("b.jpg", 0, 0, (), "yunet", "default 1", error="damaged"))
    document = total.to_dict()
    assert [(p["source"], p["track"]) for p in document["persons"]] == [
        ("clip.mp4", 1),
        ("clip.mp4", 2),
        ("other.mp4", 1),
    ]
    assert (document["pictures"], document["without_faces"], document["failed"]) == (4, 1, 1)
    assert document["faces"] == {"happy": 2, "sad": 1}
    assert document["persons"][0]["shares"] == {"happy": 1.0}
