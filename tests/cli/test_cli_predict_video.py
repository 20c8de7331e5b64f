import csv
import io
import json
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import cli, recognizer
from mien.errors import SourceError
from mien.sources import camera as live
from mien.sources import sources, video
from mien.sources.images import read
from mien.sources.source_frame import SourceFrame
from support.bright_patches import Patches, draw
from support.command_line import without_closing_line
from support.numbered_frames import write_video
from support.stub_model import StubModel

FACELESS = (5, 6)  # frames of the clip
COUNT = 12


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(recognizer, "load", lambda model, **_: StubModel())
    monkeypatch.setattr(recognizer, "build", lambda name, threads=None: Patches())


def picture(number):
    """The frame of a clip in which a face moves, in changing light, and is away for two frames."""
    light = 0.6 + 0.4 * (number % 3) / 2
    return np.uint8(light * draw({} if number in FACELESS else {1: (50 + number, 60)}, 160, 160))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    return write_video(path, COUNT, code="MJPG", size=(160, 160), picture=picture)


@pytest.fixture
def clip(made, tmp_path):
    """The clip, alone in a folder."""
    (tmp_path / "in").mkdir()
    return Path(shutil.copy(made, tmp_path / "in" / "clip.avi"))


@pytest.fixture
def photo(tmp_path):
    """A picture with a face, in another folder."""
    (tmp_path / "photos").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "photos" / "photo.png")
    return tmp_path / "photos" / "photo.png"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``mien predict`` as a user does; returns exit code, stdout and stderr up to its closing line."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["mien", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, without_closing_line(captured.err)

    return call


@pytest.fixture
def without_ffmpeg(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def counted(path):
    return sum(source_frame.error is None for source_frame in video.read_file(path))


# ------------------------------------------------------------------------------------- printing


def test_of_a_video_the_table_has_a_line_for_each_person(run, clip):
    code, out, err = run(clip)
    assert (code, err) == (0, "")
    title, line = out.strip().splitlines()
    assert title.split() == ["video", "person", "seen", "frames", "share", "of", "the", "time"]
    assert str(clip) in line
    assert " 1  0.0-1.1 s      10 " in line
    assert "%" in line


def test_pictures_and_videos_share_the_screen(run, clip):
    Image.new("RGB", (60, 60)).save(clip.parent / "blank.png")
    code, out, _ = run(clip.parent)
    assert code == 0
    assert out.index("no face found") < out.index("share of the time")
    assert out.count("clip.avi") == 1


def test_csv_has_a_row_for_frames_without_a_face(run, clip):
    code, out, err = run(clip, "--csv")
    rows = rows_of(out)
    assert (code, err) == (0, "")
    assert [int(row["frame"]) for row in rows] == list(range(COUNT))
    assert [float(row["time"]) for row in rows] == pytest.approx([number / 10 for number in range(COUNT)])
    assert [number for number, row in enumerate(rows) if not row["face"]] == list(FACELESS)
    seen = [row for row in rows if row["face"]]
    assert {(row["face"], row["track"], row["source"]) for row in seen} == {("1", "1", str(clip))}
    assert all(row["expression"] and row["smoothed"] and row["quality"] and not row["error"] for row in seen)
    first = seen[0]
    assert float(first["probability"]) == float(first["smoothed_probability"]) == float(first[first["expression"]])
    assert any(row["probability"] != row["smoothed_probability"] for row in seen)


def test_parts_of_a_video_and_of_what_is_done_with_it(run, clip):
    _, out, _ = run(clip, "--jsonl", "--start", 0.2, "--end", 0.9, "--stride", 3, "--no-track")
    frames = [json.loads(line) for line in out.splitlines()]
    assert [frame["frame"] for frame in frames] == [2, 5, 8]
    assert {face["track"] for frame in frames for face in frame["faces"]} == {None}
    _, out, _ = run(clip, "--json", "--smooth", 0, "--end", 0.3)
    assert [face["smoothed"] for frame in json.loads(out) for face in frame["faces"]] == [None] * 4
    _, out, _ = run(clip, "--jsonl", "--min-size", 150)
    assert not any(json.loads(line)["faces"] for line in out.splitlines())


def test_a_video_that_breaks_off_is_said_and_what_was_whole_is_kept(run, clip):
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    code, out, err = run(clip, "--csv")
    *whole, last = rows_of(out)
    assert code == 1
    assert len(whole) > 4
    assert not any(row["error"] for row in whole)
    assert err == f"mien: {last['error']}\n"
    assert f"{clip}: breaks off after {len(whole)} of {COUNT} frames" in err


# ---------------------------------------------------------------------------------------- files


def test_a_table_is_written_instead_of_printed(run, clip, tmp_path):
    _, printed, _ = run(clip, "--csv")
    assert run(clip, "-o", tmp_path / "out.csv") == (0, "", "")
    assert (tmp_path / "out.csv").read_text() == printed
    _, lines, _ = run(clip, "--jsonl", "-o", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [json.loads(line) for line in lines.splitlines()]


def test_a_parquet_table_has_the_same_rows(run, clip, tmp_path):
    from pyarrow import parquet

    _, printed, _ = run(clip, "--csv", "-o", tmp_path / "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    texts = [{key: "" if value is None else str(value) for key, value in row.items()} for row in found]
    assert texts == rows_of(printed)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_an_interrupted_table_is_gone_on_with(run, clip, photo, tmp_path, monkeypatch, suffix):
    for name in ("a.avi", "b.avi"):
        shutil.copy(clip, clip.parent / name)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.write(photo, "in/photo.png")
    words = (clip.parent, tmp_path / "z.zip")
    run(*words, "-o", tmp_path / f"whole{suffix}")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    read_anew = []
    read_file = video.read_file
    monkeypatch.setattr(
        video, "read_file", lambda path, **options: read_anew.append(path.name) or read_file(path, **options)
    )
    path = tmp_path / f"cut{suffix}"
    shutil.copy(tmp_path / f".whole{suffix}.made.json", tmp_path / f".cut{suffix}.made.json")
    for share, expected in [(0.1, ["a", "b", "clip"]), (0.6, ["b", "clip"]), (1.0, [])]:
        path.write_bytes(whole[: int(len(whole) * share)])
        read_anew.clear()
        code, _, err = run(*words, "-o", path, "--resume")
        assert (code, err) == (0, "")
        assert path.read_bytes() == whole
        assert read_anew == [f"{name}.avi" for name in expected]


def test_resuming_covers_what_was_read_before(run, clip, photo, tmp_path):
    summary, path = tmp_path / "sum.json", tmp_path / "out.csv"
    run(clip, photo, "-o", path, "--summary", summary)
    whole = summary.read_text()
    absent = tmp_path / "later.png"
    words = (absent, clip, photo, "-o", path, "--summary", summary, "--resume")
    code, _, err = run(*words)
    assert code == 1, err
    assert "no such file" in err
    assert run(*words)[0] == 1, "what could not be read is tried again, and told again"
    shutil.copy(photo, absent)
    assert run(*words)[0] == 0
    document = json.loads(summary.read_text())
    assert document["persons"] == json.loads(whole)["persons"]
    assert (document["pictures"], document["failed"]) == (COUNT + 2, 0)


def test_another_detector_or_option_does_not_go_on_with_a_table(run, clip, tmp_path):
    path = tmp_path / "out.jsonl"
    run(clip, "-o", path)
    before = path.read_bytes()
    for option in (("--every", 2), ("--min-size", 9), ("--no-track",)):
        code, _, err = run(clip, "-o", path, "--resume", *option)
        assert (code, path.read_bytes()) == (2, before)
        assert "made by something else" in err


def test_a_summary_says_what_each_person_showed(run, clip, photo, tmp_path):
    code, _, err = run(clip, photo, tmp_path / "none.jpg", "--summary", tmp_path / "sum.json")
    assert code == 1
    assert "none.jpg: no such file" in err
    document = json.loads((tmp_path / "sum.json").read_text())
    assert (document["pictures"], document["without_faces"], document["failed"]) == (COUNT + 2, 2, 1)
    (person,) = document["persons"]
    assert (person["source"], person["track"], person["frames"]) == (str(clip), 1, 10)
    assert (person["first"], person["last"]) == (0.0, 1.1)
    assert sum(person["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert sum(document["faces"].values()) == 11


def test_a_timeline_is_drawn(run, clip, tmp_path):
    assert run(clip, "--timeline", tmp_path / "out.svg", "-o", tmp_path / "out.csv") == (0, "", "")
    assert "face 1" in (tmp_path / "out.svg").read_text()


def test_where_nobody_was_seen_the_other_files_are_written_all_the_same(run, photo, tmp_path):
    asked = ("--timeline", tmp_path / "out.png", "--summary", tmp_path / "sum.json", "-o", tmp_path / "out.csv")
    code, _, err = run(photo, *asked)
    assert (code, err) == (
        2,
        f"mien: {tmp_path}/out.png: no face was followed through a video, so there is no timeline\n",
    )
    assert json.loads((tmp_path / "sum.json").read_text())["pictures"] == 1
    assert len(rows_of((tmp_path / "out.csv").read_text())) == 1


# --------------------------------------------------------------------------------------- copies


def is_drawn_on(picture, original):
    """Whether there is more on the picture than on the original, which was enlarged for it."""
    enlarged = Image.fromarray(original).resize(picture.shape[1::-1])
    return np.abs(np.asarray(enlarged, int) - picture).mean() > 1


def test_a_video_is_annotated_into_the_file_that_was_named(run, clip, tmp_path):
    code, _, err = run(clip, "--annotate", tmp_path / "new" / "out.mp4")
    assert code == 0
    note = "" if shutil.which("ffmpeg") else err.splitlines(keepends=True)[0]
    assert err == f"{note}mien: annotated: {tmp_path / 'new' / 'out.mp4'}\n"
    drawn, plain = list(video.read_file(tmp_path / "new" / "out.mp4")), list(video.read_file(clip))
    assert [source_frame.index for source_frame in drawn] == list(range(COUNT))
    assert [is_drawn_on(a.pixels, b.pixels) for a, b in zip(drawn, plain, strict=True)] == [
        number not in FACELESS for number in range(COUNT)
    ]
    assert max(drawn[0].pixels.shape) == 512


def test_without_ffmpeg_videos_are_annotated_all_the_same(run, clip, tmp_path, without_ffmpeg):
    code, _, err = run(clip, "--annotate", tmp_path / "out.mp4")
    assert code == 0
    note, told = err.splitlines()
    assert note.startswith("mien: note: without ffmpeg, out.mp4 is written as MPEG-4 part 2")
    assert told == f"mien: annotated: {tmp_path / 'out.mp4'}"
    assert counted(tmp_path / "out.mp4") == COUNT


def test_a_folder_takes_copies_of_all(run, clip, photo, tmp_path, without_ffmpeg):
    shutil.copy(clip, clip.parent / "another.avi")
    shutil.copy(photo, clip.parent / "clip.png")
    (clip.parent / "deep").mkdir()
    shutil.copy(clip, clip.parent / "deep" / "clip.avi")
    code, _, _ = run(clip.parent, "--annotate", tmp_path / "out")
    assert code == 0
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["another-mien.mp4", "clip-mien-2.mp4", "clip-mien.jpg", "clip-mien.mp4"]
    assert [counted(tmp_path / "out" / name) for name in made if name.endswith("mp4")] == [COUNT] * 3
    assert is_drawn_on(read(tmp_path / "out" / "clip-mien.jpg"), read(photo))


def test_copies_of_thinned_out_videos_keep_their_pace(run, clip, tmp_path, without_ffmpeg):
    run(clip, "--stride", 4, "--start", 0.2, "--annotate", tmp_path / "out.mp4")
    assert counted(tmp_path / "out.mp4") == 9  # 0.2 to 1.0 s, each picture until the next one
    assert video.rate_of(tmp_path / "out.mp4") == pytest.approx(10)


def test_one_file_cannot_hold_several_videos(run, clip, photo, tmp_path, without_ffmpeg):
    other, target, table = clip.parent / "b.avi", tmp_path / "out.mp4", tmp_path / "table.csv"
    shutil.copy(clip, other)
    table.write_text("before")
    for words in ((clip.parent,), (clip, other), (f"{clip.parent}/*.avi",)):
        code, _, err = run(*words, "--annotate", target, "-o", table)
        assert (code, err) == (2, f"mien: {target} is one video, and there are 2 sources: name a folder\n")
        assert not target.exists()
        assert table.read_text() == "before"
    code, _, err = run(photo, "--annotate", target)
    assert (code, err.count("\n"), target.exists()) == (2, 1, False)
    assert "photo.png is no video" in err


def test_a_source_is_never_written_over(run, clip, tmp_path):
    mp4 = write_video(tmp_path / "in" / "a.mp4", 3)
    before = mp4.read_bytes()
    for words in ((mp4, "--annotate", mp4), (tmp_path / "in", "--annotate", mp4)):
        code, _, err = run(*words)
        assert code == 2
        assert f"mien: {mp4} is one " in err or f"mien: cannot write {mp4}: it is {mp4}, one of" in err
        assert mp4.read_bytes() == before
    shutil.copy(mp4, tmp_path / "in" / "a-mien.mp4")
    run(tmp_path / "in", "--annotate", tmp_path / "in")
    assert mp4.read_bytes() == before == (tmp_path / "in" / "a-mien.mp4").read_bytes()
    assert (tmp_path / "in" / "a-mien-2.mp4").exists()


# ------------------------------------------------------------------------------ cameras and Ctrl-C


@pytest.fixture
def camera(monkeypatch):
    """A camera that gives so many frames and then raises an error."""

    def plug(count, error):
        def read_camera(number):
            for index in range(count):
                yield SourceFrame(f"camera:{number}", picture(0), None, index, index / 10, live=True)
            raise error

        monkeypatch.setattr(live, "read_camera", read_camera)

    return plug


def test_control_c_keeps_what_was_read(run, camera, tmp_path, without_ffmpeg):
    camera(7, KeyboardInterrupt())
    outputs = ("-o", tmp_path / "out.csv", "--annotate", tmp_path / "copies", "--summary", tmp_path / "sum.json")
    code, out, err = run("camera:0", *outputs, "--json")
    assert code == 0
    assert "mien: interrupted: what was read so far is written\n" in err
    assert len(json.loads(out)) == 7
    assert len(rows_of((tmp_path / "out.csv").read_text())) == 7
    assert json.loads((tmp_path / "sum.json").read_text())["persons"][0]["frames"] == 7
    (copy,) = (tmp_path / "copies").iterdir()
    assert copy.name == "camera_0-mien.mp4"
    assert counted(copy) == 16  # at 25 frames a second from 0 to 0.6 s
    assert not any(thread.name.startswith("mien") for thread in threading.enumerate())


def test_sigterm_says_where_the_rows_are(run, camera, tmp_path):
    camera(7, SystemExit(143))
    code, _, err = run("camera:0", "-o", tmp_path / "out.csv")
    partial = tmp_path / "out.csv.partial"
    assert code == 143
    assert f"mien: stopped: what was read so far is kept in {partial}; --resume continues it\n" in err
    assert not (tmp_path / "out.csv").exists()
    assert len(rows_of(partial.read_text())) == 7


def test_control_c_keeps_parquet_and_the_table_of_persons(run, camera, tmp_path):
    from pyarrow import parquet

    camera(7, KeyboardInterrupt())
    run("camera:0", "-o", tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 7
    code, out, _ = run("camera:0")
    assert code == 0
    assert "0.0-0.6 s" in out


def test_control_c_within_a_video_ends_its_thread(run, clip, monkeypatch):
    unread = sources.unread

    def interrupted(*arguments):
        for count, source_frame in enumerate(unread(*arguments)):
            if count == 9:
                raise KeyboardInterrupt
            yield source_frame

    monkeypatch.setattr(sources, "unread", interrupted)
    code, out, err = run(clip, "--csv")
    assert (code, len(rows_of(out))) == (130, 8), "those that waited to be scored together are lost"
    assert "interrupted" in err
    assert not any(thread.name.startswith("mien") for thread in threading.enumerate())


def test_control_c_is_a_success_only_where_every_source_is_live(run, camera, clip):
    camera(7, KeyboardInterrupt())
    assert run("camera:0", "--csv")[0] == 0
    code, out, _ = run(clip, "camera:0", "--csv")
    assert code == 130
    assert out.count("camera:0") == 7


def test_an_address_that_turns_out_to_be_a_camera_is_live(run, monkeypatch):
    def turned(*arguments):
        yield SourceFrame("http://x/", picture(0), None, 0, 0.0, live=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "unread", turned)
    assert run("http://x/", "--private", "--csv")[0] == 0


def test_a_camera_is_left_after_so_many_seconds(run, camera):
    camera(1000, SourceError("camera:0: gives no more pictures"))
    code, out, err = run("camera:0", "--csv", "--seconds", 0.5)
    assert (code, err) == (0, "")
    assert len(rows_of(out)) == 6


def test_a_camera_that_is_unplugged_is_said(run, camera):
    camera(3, SourceError("camera:0: gives no more pictures"))
    code, out, err = run("camera:0", "--csv")
    assert (code, err) == (1, "mien: camera:0: gives no more pictures\n")
    assert len(rows_of(out)) == 4


# ------------------------------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "--csv"], "--json and --csv exclude each other"),
        (["--jsonl", "--csv"], "--jsonl and --csv exclude each other"),
        (["--resume"], "--resume goes with --output"),
        (["--stride", "0"], "--stride"),
        (["--start", "-1"], "--start"),
        (["--start", "2", "--end", "1"], "from 2.0 s to 1.0 s is no part of a video"),
        (["--end", "0"], "is no part of a video"),
        (["-o", "{}/out.xlsx"], "a table is written as .csv, .json, .jsonl, .parquet"),
        (["-o", "{}/none/out.csv"], "the folder {}/none does not exist"),
        (["--summary", "{}/none/out.json"], "the folder {}/none does not exist"),
        (["--timeline", "{}/none/out.png"], "the folder {}/none does not exist"),
        (["--timeline", "{}/out.xyz"], "a timeline is drawn as .png, .svg, .pdf"),
        (["-o", "{}/out.json", "--resume"], "only .csv and .jsonl can be resumed"),
        (["--smooth", "-1"], "--smooth"),
        (["--error-rate", "2"], "--error-rate"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(run, clip, tmp_path, words, said):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(clip, *(word.replace("{}", str(tmp_path)) for word in words))
    assert (code, out) == (2, "")
    assert said.replace("{}", str(tmp_path)) in err
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_table_stays_where_nothing_can_be_done(run, clip, tmp_path):
    table = tmp_path / "out.csv"
    table.write_text("before")
    for words in (["--end", "0"], ["--annotate", clip / "x"], ["--timeline", tmp_path / "a.xyz"]):
        assert run(clip, "-o", table, *words)[0] == 2
        assert table.read_text() == "before"


def test_a_part_behind_the_end_is_said(run, clip):
    code, _, err = run(clip, "--start", 100)
    assert (code, err.count("\n")) == (2, 1)
    assert "clip.avi: shows nothing from second 100 on" in err


def test_a_copy_that_cannot_be_written_is_not_told_as_written(run, clip, tmp_path):
    (tmp_path / "out.mp4").mkdir()
    code, _, err = run(clip, "--annotate", tmp_path / "out.mp4")
    assert code == 2
    assert "out.mp4: it is a folder" in err
    assert "annotated" not in err


def test_an_older_copy_survives_what_fails_in_the_middle(run, clip, tmp_path, monkeypatch):
    (tmp_path / "out.mp4").write_bytes(b"older")
    monkeypatch.setattr("mien.outputs.tables.Csv.write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    code, _, err = run(clip, "--annotate", tmp_path / "out.mp4", "-o", tmp_path / "t.csv")
    assert code == 2
    assert "annotated" not in err
    assert (tmp_path / "out.mp4").read_bytes() == b"older"
    assert not list(tmp_path.glob(".out*"))
