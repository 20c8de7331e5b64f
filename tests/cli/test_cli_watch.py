import csv
import os
import signal
import time

import numpy as np
import pytest

from mien import cli, recognizer
from mien.cli import watch
from mien.errors import SourceError
from mien.outputs import viewer
from mien.recognizer import Recognizer
from mien.tracking.options import TrackingOptions
from support.bright_patches import Patches, draw
from support.numbered_frames import write_video
from support.stub_model import StubModel

COUNT = 4


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(recognizer, "load", lambda model, **_: StubModel())
    monkeypatch.setattr(recognizer, "build", lambda name, threads=None: Patches())


def written(path, places):
    """A video of still faces, 20 frames a second."""
    return write_video(path, COUNT, code="MJPG", size=(160, 160), rate=20, picture=lambda _: draw(places, 160, 160))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """One face, left of the middle."""
    return written(tmp_path_factory.mktemp("clip") / "clip.avi", {1: (20, 60)})


def seen(source, *, charts=False, mirror=False):
    return list(watch.sights(Recognizer(), str(source), TrackingOptions(), None, charts=charts, mirror=mirror))


@pytest.mark.parametrize(
    ("places", "counted"), [({}, "0 faces"), ({1: (30, 60)}, "1 face"), ({1: (30, 60), 2: (100, 20)}, "2 faces")]
)
def test_every_frame_is_shown_and_its_faces_are_counted(tmp_path, places, counted):
    captions = [text for _, text in seen(written(tmp_path / "clip.avi", places))]
    assert len(captions) == COUNT
    assert all(f" frames/s, {counted} (haar, stub 1)" in caption for caption in captions)


def test_a_mirror_turns_the_picture_and_not_the_writing(clip):
    plain, turned = seen(clip)[-1][0], seen(clip, mirror=True)[-1][0]
    middle = plain.shape[1] // 2
    assert plain[:, :middle].any(axis=2).sum() > 10 * plain[:, middle:].any(axis=2).sum()
    assert turned[:, middle:].any(axis=2).sum() > 10 * turned[:, :middle].any(axis=2).sum()
    assert not np.array_equal(turned, plain[:, ::-1])


def test_charts_are_drawn_unless_they_are_not_wanted(clip):
    bare, charted = (seen(clip, charts=charts)[-1][0] for charts in (False, True))
    assert (charted > 30).sum() > (bare > 30).sum()


def test_what_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.mp4"):
        seen(tmp_path / "absent.mp4")


def test_a_table_keeps_what_was_seen_before_the_window_closed(clip, tmp_path, monkeypatch):
    def show(title, opened):
        assert str(clip) in title
        sights = opened()
        for _ in range(3):
            next(sights)

    monkeypatch.setattr(viewer, "show", show)
    monkeypatch.setattr("sys.argv", ["mien", "watch", str(clip), "-o", str(tmp_path / "seen.csv")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    rows = list(csv.DictReader((tmp_path / "seen.csv").read_text().splitlines()))
    assert [row["frame"] for row in rows] == ["0", "1", "2"]
    assert all(row["expression"] for row in rows)


@pytest.mark.parametrize(("source", "code"), [("clip.mp4", 130), ("camera:0", 0), ("rtsp://camera/1", 0)])
def test_control_c_breaks_off_a_video_and_leaves_a_camera(source, code, monkeypatch):
    def show(title, opened):
        raise KeyboardInterrupt

    monkeypatch.setattr(viewer, "show", show)
    monkeypatch.setattr("sys.argv", ["mien", "watch", source])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code or 0) == code


@pytest.fixture
def left(clip, tmp_path, monkeypatch, capsys):
    """What a watch of three frames ends with: the exit code, what it said, and the table's name."""

    def run(ending, source=clip, name="seen.csv"):
        def show(title, opened):
            sights = opened()
            for _ in range(3):
                next(sights)
            ending()

        monkeypatch.setattr(viewer, "show", show)
        monkeypatch.setattr("sys.argv", ["mien", "watch", str(source), "-o", str(tmp_path / name)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, capsys.readouterr().err, tmp_path / name

    return run


def interrupt():
    raise KeyboardInterrupt


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)


def test_control_c_says_what_the_table_holds(left):
    code, said, table = left(interrupt)
    assert (code, said) == (130, f"mien: interrupted: what was read so far is written to {table}\n")
    assert len(table.read_text().splitlines()) == 4


def test_sigterm_keeps_the_rows_under_their_temporary_name(left):
    code, said, table = left(terminate)
    assert (code, said) == (143, f"mien: stopped: what was read so far is kept in {table}.partial\n")
    assert not table.exists()
    assert len((table.parent / f"{table.name}.partial").read_text().splitlines()) == 4


def test_sigterm_keeps_the_older_table_of_a_form_that_is_written_whole(left, tmp_path):
    (tmp_path / "seen.json").write_text("[]")
    code, said, table = left(terminate, name="seen.json")
    assert (code, said) == (143, f"mien: stopped: {table} is not written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["seen.json"]
    assert table.read_text() == "[]"


def test_a_window_closed_before_the_end_is_said(left):
    code, said, table = left(lambda: None)
    assert code == 0
    assert said == f"mien: note: the window was closed before the end: {table} holds what was read so far\n"


def test_what_cannot_be_opened_leaves_the_older_table(left, tmp_path):
    (tmp_path / "seen.csv").write_text("older\n")
    code, said, table = left(interrupt, source=tmp_path / "absent.mp4")
    assert code == 2
    assert "absent.mp4" in said
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == ["seen.csv"]
    assert table.read_text() == "older\n"
