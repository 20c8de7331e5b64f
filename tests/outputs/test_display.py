import pickle
import shutil
import sys

import numpy as np
import pandas
import pytest
from PIL import Image, ImageShow

import mien
from mien import recognizer
from mien.errors import MienError, MissingExtraError
from mien.outputs.draw import annotate
from mien.results import Box, Face, Frame
from support.stub_model import StubModel


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(recognizer, "load", lambda model, **_: StubModel())
    return recognizer.Recognizer(detector="none")


def frame_of(source, width=60, height=40, **more):
    face = Face(Box(5, 6, 20, 20), None, {"p": {"happy": 0.75, "sad": 0.25}})
    return Frame(str(source), width, height, (face,), "none", "stub 1", **more)


def test_a_frame_is_saved_as_it_is_annotated(reader, gradient, tmp_path):
    Image.fromarray(gradient).save(tmp_path / "a.png")
    frame = reader.predict(tmp_path / "a.png")
    assert frame.save(tmp_path / "b.png") == tmp_path / "b.png"
    assert np.array_equal(np.array(Image.open(tmp_path / "b.png")), annotate(gradient, frame))


def test_a_frame_of_an_array_shows_the_array_in_its_channel_order(reader, gradient, tmp_path):
    frame = reader.predict(gradient[..., ::-1], color="bgr")
    frame.save(tmp_path / "b.png")
    assert np.array_equal(np.array(Image.open(tmp_path / "b.png")), annotate(gradient, frame))
    again = pickle.loads(pickle.dumps(frame))
    assert again == frame
    assert again.origin is None


def test_the_picture_itself_is_never_written_over(reader, gradient, tmp_path):
    file = tmp_path / "a.jpg"
    Image.fromarray(gradient).save(file)
    before = file.read_bytes()
    with pytest.raises(MienError, match="choose another name"):
        reader.predict(file).save(tmp_path / "." / "a.jpg")
    assert file.read_bytes() == before


@pytest.mark.parametrize("form", ["a.gif", "a.csv", "a"])
def test_other_forms_are_refused_before_anything_is_read(form):
    with pytest.raises(MienError, match=r"\.jpg, \.jpeg, \.png, \.webp"):
        frame_of("missing.jpg").save(form)


def test_frames_of_videos_take_their_picture(gradient, tmp_path):
    frame = frame_of("clip.mp4", index=12, time=0.5)
    with pytest.raises(MienError, match=r"frame 12 of clip\.mp4 keeps no pixels"):
        frame.save(tmp_path / "b.png")
    frame.save(tmp_path / "b.png", gradient)
    assert np.array_equal(np.array(Image.open(tmp_path / "b.png")), annotate(gradient, frame))
    with pytest.raises(MienError, match="made from a picture of 60x40 pixels, this one has 60x20"):
        frame.save(tmp_path / "b.png", gradient[:20])


def test_show_hands_the_annotated_picture_to_the_viewer(reader, gradient, monkeypatch):
    shown = []
    monkeypatch.setattr(ImageShow, "show", lambda image, title: shown.append(np.array(image)) is None)
    frame = reader.predict(gradient, color="rgb")
    frame.show()
    assert np.array_equal(shown[0], annotate(gradient, frame))
    monkeypatch.setattr(ImageShow, "show", lambda image, title: False)
    with pytest.raises(MienError, match="no program that shows pictures"):
        frame.show()


def test_a_notebook_shows_picture_and_table_and_escapes_names(gradient, tmp_path):
    name = tmp_path / "<b>&.png"
    Image.fromarray(gradient).save(name)
    page = frame_of(name)._repr_html_()
    assert "data:image/jpeg;base64," in page
    assert "<td>happy</td><td>75.0%</td>" in page
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;.png" in page
    assert "<img" not in frame_of("gone.jpg")._repr_html_()


def test_a_repr_is_one_line():
    assert repr(frame_of("a.jpg")) == "<Frame a.jpg 60x40: 1 face: happy 75.0%>"
    assert repr(frame_of("a.jpg").faces[0]) == "<Face happy 75.0% at [5, 6, 20, 20]>"
    assert repr(Frame("b.mp4", 9, 8, (), "none", "stub 1", index=3)) == "<Frame b.mp4 frame 3 9x8: no face>"
    assert repr(Frame("c", 0, 0, (), "none", "stub 1", error="damaged")) == "<Frame c: not read: damaged>"


def test_a_table_keeps_whole_numbers_whole():
    blank = Frame("b.jpg", 60, 40, (), "none", "stub 1")
    table = pandas.concat([frame_of("a.jpg").to_df(), blank.to_df()], ignore_index=True)
    assert table["x"].dtype == table["face"].dtype == "Int64"
    assert table["x"].tolist()[0] == 5
    assert table["x"].isna().tolist() == [False, True]
    assert table["expression"].tolist()[0] == "happy"
    assert list(table.columns) == list(frame_of("a.jpg").to_rows()[0])


def test_a_table_without_pandas_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[pandas\]'"):
        frame_of("a.jpg").to_df()


def test_predict_loads_one_recognizer_and_keeps_it(monkeypatch, portrait, tmp_path):
    loaded = []
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    monkeypatch.setattr(recognizer, "load", lambda model, **_: loaded.append(model) or StubModel())
    recognizer._default.cache_clear()
    try:
        copy = shutil.copy(portrait, tmp_path)
        with pytest.warns(mien.MienWarning):  # offline, there is no YuNet
            frame = mien.predict(copy)
        assert mien.predict(copy) == frame
        assert len(frame.faces) == len(loaded) == 1
    finally:
        recognizer._default.cache_clear()


def test_every_public_name_is_there():
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    assert set(mien.__all__) <= set(dir(mien))
    errors = {name for name, value in vars(mien.errors).items() if isinstance(value, type)}
    assert errors - {"ModuleType"} <= set(mien.__all__)
