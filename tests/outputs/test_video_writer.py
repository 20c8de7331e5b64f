import os
import shutil
import signal
import subprocess
import wave
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from mien import files
from mien.errors import MienError
from mien.outputs.video_writer import Movie
from mien.sources.video import rate_of, read_file
from support.numbered_frames import HEIGHT, WIDTH, colours_are_right, draw, number_of, write_video

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason="needs ffmpeg")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="stands in for ffmpeg by a shell script")


@pytest.fixture(params=["ffmpeg", "opencv"])
def tool(request, monkeypatch):
    """Write videos with ffmpeg, and as if there was none."""
    if request.param == "opencv":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    elif not FFMPEG:
        pytest.skip("needs ffmpeg")
    return request.param


def write(path, pictures, **options):
    """A video of (number or picture, time) pairs."""
    movie = Movie(path, **options)
    try:
        for picture, at in pictures:
            movie.write(draw(picture) if isinstance(picture, int) else picture, at)
    finally:
        movie.close()
    return movie


def shown(path):
    """The numbers that a video shows, frame by frame."""
    return [number_of(source_frame.pixels) for source_frame in read_file(path)]


def steady(count, rate):
    return [(number, number / rate) for number in range(count)]


def test_what_was_written_is_read_back(tool, tmp_path, capfd):
    path = tmp_path / "out.mp4"
    movie = write(path, steady(30, 12), rate=12)
    assert shown(path) == list(range(30))
    assert rate_of(path) == pytest.approx(12)
    assert all(
        colours_are_right(source_frame.pixels) and source_frame.pixels.shape == (HEIGHT, WIDTH, 3)
        for source_frame in read_file(path)
    )
    assert [source_frame.time for source_frame in read_file(path)] == pytest.approx(
        [number / 12 for number in range(30)], abs=1e-3
    )
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")
    assert (movie.notice is None) == (tool == "ffmpeg")


@pytest.mark.parametrize("name", ["out.mov", "out.m4v", "out.MP4", "größe 100%d.mp4", "-i.mp4"])
def test_every_name_can_be_read_back(tool, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path(name), steady(5, 25))
    assert shown(tmp_path / name) == list(range(5))


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_a_name_with_a_colon_is_a_file(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("12:30.mp4"), steady(3, 25))
    assert shown(tmp_path / "12:30.mp4") == [0, 1, 2]


def test_odd_rates_are_kept(tool, tmp_path):
    path = tmp_path / "out.mp4"
    write(path, steady(10, 30000 / 1001), rate=30000 / 1001)
    assert shown(path) == list(range(10))
    assert rate_of(path) == pytest.approx(29.97, abs=0.01)


def test_without_ffmpeg_a_notice_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    silent, lost = Movie(tmp_path / "a.mp4"), Movie(tmp_path / "a.mp4", sound=(tmp_path / "b.mp4", 0.0))
    assert silent.notice == "without ffmpeg, a.mp4 is written as MPEG-4 part 2, which browsers do not play"
    assert lost.notice == f"{silent.notice}; the sound is left out"


# ------------------------------------------------------------------------------------- the timing


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.4, 0.5, 1.0], [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 3]),
        ([0.0, 0.01, 0.02, 0.1, 0.14, 0.3], [0, 3, 4, 5]),
        ([7.0, 7.1, 7.3], [0, 1, 1, 2]),
        ([0.0, 0.1, 0.1, 0.1, 0.2], [0, 1, 4]),
        ([0.02 * number for number in range(21)], [0, 5, 10, 15, 20]),
        ([0.004, 0.097, 0.205, 0.296], [0, 1, 2, 3]),
    ],
)
def test_pictures_of_any_times_are_shown_at_a_constant_rate(tool, tmp_path, times, expected):
    path = tmp_path / "out.mp4"
    write(path, list(enumerate(times)), rate=10)
    found = shown(path)
    assert len(found) == len(expected)
    # Of pictures that fall together either is right, as long as none is shown before its time.
    assert all(abs(times[number] - times[wanted]) <= 0.05 for number, wanted in zip(found, expected, strict=True))
    assert [wanted for wanted, _ in groupby(found)] == sorted(set(found))


def test_a_long_pause_is_cut_short(tool, tmp_path):
    path = tmp_path / "out.mp4"
    write(path, [(0, 0.0), (1, 1000.0), (2, 1001.0)], rate=2)
    assert shown(path) == [0] * 20 + [1] * 2 + [2]


# ------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize(("width", "height"), [(161, 129), (160, 129), (161, 128)])
def test_odd_sizes_lose_a_row(tool, tmp_path, width, height):
    path = tmp_path / "out.mp4"
    edged = [np.pad(draw(number), ((0, height - HEIGHT), (0, width - WIDTH), (0, 0))) for number in range(4)]
    write(path, [(picture, number / 25) for number, picture in enumerate(edged)])
    assert shown(path) == [0, 1, 2, 3]
    assert next(iter(read_file(path))).pixels.shape == (HEIGHT, WIDTH, 3)


def test_a_change_of_size_is_an_error_and_keeps_what_was_written(tool, tmp_path):
    path = tmp_path / "out.mp4"
    with pytest.raises(MienError, match=r"out\.mp4: the pictures change their size within the video"):
        write(path, [(0, 0.0), (1, 0.04), (draw(2)[:64], 0.08)])
    assert shown(path) == [0, 1]


def test_pictures_that_share_memory_with_others_are_read_as_they_are(tool, tmp_path):
    path = tmp_path / "out.mp4"
    wide = [np.concatenate([draw(number)] * 2, axis=1)[:, WIDTH:] for number in range(3)]
    write(path, [(picture, number / 25) for number, picture in enumerate(wide)])
    assert shown(path) == [0, 1, 2]


# ------------------------------------------------------------------------------- what goes wrong


def test_without_a_picture_there_is_no_file(tool, tmp_path):
    path = tmp_path / "out.mp4"
    write(path, [])
    assert not list(tmp_path.iterdir())
    path.write_text("an earlier one")
    write(path, [])
    assert path.read_text() == "an earlier one"


def test_an_earlier_file_stays_until_the_new_one_is_whole(tool, tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("an earlier one")
    movie = Movie(path)
    for number in range(30):
        movie.write(draw(number), number / 25)
        assert path.read_text() == "an earlier one"
    movie.close()
    assert shown(path) == list(range(30))


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The temporary name of what is written, fixed."""
    path = tmp_path / "temporary.mp4"
    monkeypatch.setattr(files, "_reserve", lambda _: (path, -1))
    return path


def test_a_folder_that_is_not_there_is_an_error(tool, tmp_path):
    with pytest.raises(MienError, match=r"cannot write .*out\.mp4: "):
        write(tmp_path / "none" / "out.mp4", steady(100, 25))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_error_and_leaves_nothing(tool, tmp_path, temporary):
    temporary.symlink_to("/dev/full")
    with pytest.raises(MienError, match=r"cannot write .*out\.mp4: ") as caught:
        write(tmp_path / "out.mp4", steady(100, 25))
    assert tool == "opencv" or "No space left on device" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_opencv_is_not_believed_where_it_wrote_no_video(tmp_path, monkeypatch, temporary):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    movie = Movie(tmp_path / "out.mp4")
    movie.write(draw(0), 0.0)
    movie._writer.release()
    temporary.write_bytes(b"cut off by a full disk")
    with pytest.raises(MienError, match=r"cannot write .*out\.mp4: .*the disk may be full"):
        movie.close()
    assert not list(tmp_path.iterdir())


@needs_ffmpeg
def test_a_killed_ffmpeg_is_an_error_and_leaves_nothing(tmp_path, temporary):
    movie = Movie(tmp_path / "out.mp4")
    for number in range(500):
        movie.write(draw(number), number / 25)
        if temporary.exists():
            break
    movie._pipe.kill()
    movie._pipe.wait()
    with pytest.raises(MienError, match=r"cannot write .*out\.mp4: "):
        movie.write(draw(1), 21.0)
    with pytest.raises(MienError, match=r"cannot write .*out\.mp4: ffmpeg ended with code -9"):
        movie.close()
    assert not list(tmp_path.iterdir())


@needs_ffmpeg
@needs_posix
def test_control_c_does_not_reach_ffmpeg(tmp_path):
    movie = Movie(tmp_path / "out.mp4")
    movie.write(draw(0), 0.0)
    assert os.getpgid(movie._pipe.pid) != os.getpgid(0), "a terminal sends it to the whole group"
    movie.close()


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Make a shell script the ffmpeg of this machine."""

    def use(script, mode=0o755):
        (tmp_path / "bin").mkdir()
        path = tmp_path / "bin" / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        monkeypatch.setattr(shutil, "which", lambda name: str(path))
        return tmp_path / "bin"

    return use


@needs_posix
def test_what_ffmpeg_says_is_the_reason(pretend, tmp_path):
    folder = pretend("cat >/dev/null; echo 'Unknown encoder libx264' >&2; echo 'Nothing done' >&2; exit 3")
    with pytest.raises(MienError) as caught:
        write(tmp_path / "out.mp4", steady(3, 25))
    assert str(caught.value) == f"cannot write {tmp_path / 'out.mp4'}: Unknown encoder libx264; Nothing done"
    assert list(tmp_path.iterdir()) == [folder]


@needs_posix
def test_an_ffmpeg_that_leaves_too_early_is_an_error_even_if_it_is_content(pretend, tmp_path, temporary):
    folder = pretend("head -c 100000 >/dev/null; touch $(dirname $0)/../temporary.mp4; exit 0")
    with pytest.raises(MienError, match=r"cannot write .*out\.mp4: "):
        write(tmp_path / "out.mp4", steady(300, 25))
    assert list(tmp_path.iterdir()) == [folder]


@needs_posix
def test_an_ffmpeg_that_cannot_be_started_is_named(pretend, tmp_path):
    folder = pretend("exit 0", mode=0o644)
    with pytest.raises(MienError, match=f"cannot write .*: {folder}/ffmpeg: Permission denied"):
        write(tmp_path / "out.mp4", steady(3, 25))


@needs_posix
def test_an_ffmpeg_that_never_ends_is_ended(pretend, tmp_path, monkeypatch):
    pretend("exec sleep 60")
    movie = Movie(tmp_path / "out.mp4")
    movie.write(draw(0)[:2, :2], 0.0)
    process = movie._pipe
    wait = process.wait
    monkeypatch.setattr(process, "wait", lambda timeout=None: wait(timeout=timeout and 0.1))
    with pytest.raises(MienError, match="ffmpeg does not come to its end"):
        movie.close()
    assert process.returncode == -signal.SIGKILL


# ------------------------------------------------------------------------------------------ sound


def sounding(path, *, seconds, tone_from):
    """A video of five seconds with a track of silence and then a tone."""
    at = np.arange(int(8000 * seconds)) / 8000
    samples = np.where(at >= tone_from, 8000 * np.sin(2 * np.pi * 440 * at), 0).astype("<i2")
    with wave.open(str(path.with_suffix(".wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    picture = write_video(path.with_suffix(".avi"), 50, code="MJPG")
    command = [FFMPEG, "-loglevel", "error", "-i", picture, "-i", path.with_suffix(".wav"), "-c:v", "copy", path]
    subprocess.run(command, check=True)
    return path


def heard(path):
    """Loudness of a video's sound in tenths of a second; empty where it has none."""
    command = [FFMPEG, "-loglevel", "quiet", "-i", path, "-map", "0:a", "-f", "s16le", "-ac", "1", "-ar", "8000", "-"]
    samples = np.frombuffer(subprocess.run(command, capture_output=True).stdout, "<i2").astype(float)
    return np.abs(samples[: len(samples) // 800 * 800]).reshape(-1, 800).mean(axis=1)


@needs_ffmpeg
def test_the_sound_is_kept_and_stays_with_the_picture(tmp_path):
    source, path = sounding(tmp_path / "a.mkv", seconds=5, tone_from=2), tmp_path / "out.mp4"
    for start in (0.0, 1.5):
        write(path, [(number, start + number / 10) for number in range(35)], rate=10, sound=(source, start))
        loud = heard(path) > 1000
        assert shown(path) == list(range(35))
        assert len(loud) == pytest.approx(35, abs=2)
        assert np.flatnonzero(loud)[0] == pytest.approx((2 - start) * 10, abs=1.5)


@needs_ffmpeg
@pytest.mark.parametrize("start", [0.0, 0.5, 3.0])
def test_a_sound_that_ends_early_does_not_end_the_picture(tmp_path, start):
    source, path = sounding(tmp_path / "a.mkv", seconds=1, tone_from=0), tmp_path / "out.mp4"
    write(path, [(number, start + number / 10) for number in range(40)], rate=10, sound=(source, start))
    assert shown(path) == list(range(40))
    assert (heard(path) > 1000).sum() == pytest.approx(max(1 - start, 0) * 10, abs=2)


@needs_ffmpeg
def test_a_source_without_sound_gives_a_silent_video(tmp_path):
    path = tmp_path / "out.mp4"
    write(path, steady(10, 10), rate=10, sound=(write_video(tmp_path / "a.mp4", 10), 0.0))
    assert shown(path) == list(range(10))
    assert not len(heard(path))
