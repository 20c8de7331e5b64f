import sys

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError, MissingExtraError
from mien.outputs import timeline
from mien.outputs.draw import COLOURS
from mien.outputs.timeline import Timeline
from mien.results import Box, Face, Frame


def face(happy, track=1, smoothed=None):
    scores = {"happy": happy, "sad": 1 - happy}
    return Face(Box(0, 0, 9, 9), 0.9, {"p": scores}, track=track, smoothed=smoothed)


def frame(at, *faces, source="clip.mp4"):
    return Frame(source, 64, 48, faces, "haar", "stub 1", index=round(at * 25), time=at)


def collect(frames):
    collected = Timeline()
    for one in frames:
        collected.add(one)
    return collected


def strips(collected):
    """What is drawn: (times, scores) by (source, track)."""
    return {key: timeline._with_gaps(strip) for key, strip in collected._strips.items()}


def test_a_picture_with_a_strip_per_person_is_drawn(tmp_path):
    frames = [frame(number / 5, face(1.0), face(0.0, 2)) for number in range(20)]
    collect(frames).save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    for label in ("happy", "sad"):
        assert ((np.abs(pixels.astype(int) - COLOURS[label]).max(axis=2) < 3).mean()) > 0.1
    upper, lower = np.array_split(pixels, 2)
    happy, sad = ((upper == COLOURS[label]).all(axis=2).mean() for label in ("happy", "sad"))
    assert happy > 0.1 > sad
    assert (lower == COLOURS["sad"]).all(axis=2).mean() > 0.1


def test_vector_forms_name_the_persons(tmp_path):
    collect([frame(number / 5, face(1.0), face(0.0, 7)) for number in range(20)]).save(tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text()
    assert "<svg" in text
    for said in ("face 1", "face 7", "happy", "sad", "seconds"):
        assert said in text
    collect([frame(number / 5, face(1.0)) for number in range(20)]).save(tmp_path / "out.pdf")
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")


def test_several_clips_are_named(tmp_path):
    names = ("b $x$ y_1.mp4", r"a$\frac$.mp4")
    frames = [frame(number / 5, face(1.0), source=f"in/{name}") for name in names for number in range(5)]
    collect(frames).save(tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text()
    assert text.index(r"a$\frac$.mp4, face 1") < text.index("b $x$ y_1.mp4, face 1")


def test_names_in_all_languages_are_drawn_without_a_word(tmp_path, capfd):
    names = ("日本", "größe", "caf\udce9")
    frames = [frame(number / 5, face(1.0), source=f"{name}.mp4") for name in names for number in range(5)]
    for suffix in timeline.SUFFIXES:
        collect(frames).save(tmp_path / f"out{suffix}")
    assert capfd.readouterr() == ("", "")
    assert r"caf\udce9.mp4, face 1" in (tmp_path / "out.svg").read_text(encoding="utf-8")


def test_where_nobody_was_followed_there_is_no_timeline(tmp_path):
    for frames in ([], [frame(0.0)], [Frame("a.jpg", 9, 9, (face(0.5, None),), "haar", "stub 1")]):
        with pytest.raises(MienError, match=r"out\.png: no face was followed through a video"):
            collect(frames).save(tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_said(tmp_path):
    collected = collect([frame(number / 5, face(1.0)) for number in range(5)])
    with pytest.raises(MienError, match=r"cannot write .*out\.png: the folder .*none does not exist"):
        collected.save(tmp_path / "none" / "out.png")
    with pytest.raises(MienError, match=r"out\.xyz: a timeline is drawn as"):
        collected.save(tmp_path / "out.xyz")
    for suffix in timeline.SUFFIXES:
        collected.save(tmp_path / f"out{suffix}")


def test_without_matplotlib_it_is_said_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[tables\]'"):
        Timeline()


def test_smoothed_answers_are_drawn_where_there_are_some():
    collected = collect([frame(at, face(1.0, smoothed={"happy": 0.25, "sad": 0.75})) for at in (0.0, 0.5)])
    ((_, scores),) = strips(collected).values()
    assert scores.tolist() == [[0.25, 0.75]] * 2


def test_a_gap_is_left_empty():
    seen = [0.0, 0.2, 0.4, 0.6, 5.0, 5.2, 5.4, 6.3]
    ((times, scores),) = strips(collect([frame(at, face(1.0)) for at in seen])).values()
    assert times.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.601, 4.999, 5, 5.2, 5.4, 6.3])
    assert scores.sum(axis=1).tolist() == pytest.approx([1, 1, 1, 1, 0, 0, 1, 1, 1, 1])


def test_rare_frames_are_no_gaps():
    ((times, scores),) = strips(collect([frame(at, face(1.0)) for at in (0.0, 2.0, 4.0, 6.0, 30.0)])).values()
    assert times.tolist() == pytest.approx([0, 2, 4, 6, 6.001, 29.999, 30])
    assert scores.sum(axis=1).tolist() == pytest.approx([1, 1, 1, 1, 0, 0, 1])


@pytest.mark.parametrize("count", [4096, 4097, 8191, 8192, 8193, 20_000])
def test_long_clips_are_kept_in_some_thousand_points(count):
    values = np.random.default_rng(0).random(count)
    collected = collect(frame(number / 25, face(value)) for number, value in enumerate(values))
    ((times, scores),) = strips(collected).values()
    assert len(times) <= timeline._POINTS
    assert len(times) > timeline._POINTS / 4
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert scores.sum(axis=1).tolist() == pytest.approx([1] * len(times))
    # Each point stands for the frames up to the next one, of which it is the mean.
    ends = np.append(times[1:], count / 25)
    assert (scores[:, 0] * (ends - times)).sum() == pytest.approx(values.sum() / 25)


def test_a_point_is_the_mean_of_what_it_stands_for():
    rising = [number / 8192 for number in range(8192)]
    ((times, scores),) = strips(collect(frame(at, face(at)) for at in rising)).values()
    ends = np.append(times[1:], 1.0)
    assert scores[:, 0] == pytest.approx((times + ends) / 2, abs=1 / 8192)
    assert np.diff(times).max() == pytest.approx(np.diff(times).min()), "the beginning is kept as finely as the end"


def test_of_very_many_persons_those_seen_longest_are_drawn(tmp_path):
    frames = [
        frame(number / 25, *(face(1.0, track) for track in range(1, 41) if number < track)) for number in range(40)
    ]
    collect(frames).save(tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text()
    assert [track for track in range(1, 41) if f"face {track} " in text.replace("-->", " ")] == list(range(29, 41))


def test_who_was_seen_longest_does_not_depend_on_how_many_points_are_kept(tmp_path):
    collected = collect(frame(number / 25, face(1.0)) for number in range(4100))
    for track in range(2, 14):
        for number in range(2100):
            collected.add(frame(number / 25, face(0.0, track)))
    collected.save(tmp_path / "out.svg")
    assert "<!-- face 1 -->" in (tmp_path / "out.svg").read_text()
