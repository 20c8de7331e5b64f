import base64
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.errors import SourceError
from mien.sources import camera as live
from mien.sources import video
from mien.sources.camera import read_camera, read_stream
from mien.sources.video import read_file, without_password
from support.numbered_frames import HEIGHT, WIDTH, colours_are_right, draw, number_of, write_video
from support.rtsp_server import Camera, unused_port

FORMS = [("clip.mp4", "mp4v"), ("clip.avi", "MJPG"), ("clip.mkv", "MJPG"), ("clip.ts", "mpg2"), ("clip.webm", "VP80")]


def numbers(source_frames):
    return [number_of(source_frame.pixels) for source_frame in source_frames if source_frame.pixels is not None]


def refused(source_frames):
    """The message of a source that gives nothing."""
    with pytest.raises(SourceError) as caught:
        list(source_frames)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(("name", "code"), FORMS)
def test_all_frames_come_in_order_with_their_times(tmp_path, name, code):
    path = write_video(tmp_path / name, 25, code=code)
    source_frames = list(read_file(path))
    assert numbers(source_frames) == [source_frame.index for source_frame in source_frames] == list(range(25))
    assert [source_frame.time for source_frame in source_frames] == pytest.approx([number / 10 for number in range(25)])
    assert all(
        source_frame.pixels.shape == (HEIGHT, WIDTH, 3) and source_frame.pixels.dtype == np.uint8
        for source_frame in source_frames
    )
    assert all(colours_are_right(source_frame.pixels) for source_frame in source_frames)
    assert {source_frame.source for source_frame in source_frames} == {str(path)}
    assert not any(source_frame.live or source_frame.error for source_frame in source_frames)


def test_frames_can_bear_another_name(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 2)
    assert [source_frame.source for source_frame in read_file(path, name="https://example.org/a")] == [
        "https://example.org/a"
    ] * 2


@pytest.mark.parametrize(("name", "code"), FORMS)
@pytest.mark.parametrize("start", [0.04, 0.3, 1.0, 1.1, 1.14, 2.5, 4.9])
def test_a_part_holds_the_frames_that_reading_it_all_gives(tmp_path, name, code, start):
    path = write_video(tmp_path / name, 50, code=code)
    expected = range(round(start * 10), 50)
    source_frames = list(read_file(path, start=start))
    assert numbers(source_frames) == [source_frame.index for source_frame in source_frames] == list(expected)
    assert [source_frame.time for source_frame in source_frames] == pytest.approx([number / 10 for number in expected])


def test_parts_end_where_they_should_and_are_thinned_out(tmp_path):
    path = write_video(tmp_path / "clip.avi", 30, code="MJPG")
    assert numbers(read_file(path, end=0.5)) == [0, 1, 2, 3, 4, 5]
    assert numbers(read_file(path, start=1.2, end=1.55)) == [12, 13, 14, 15]
    assert numbers(read_file(path, every=7)) == [0, 7, 14, 21, 28]
    assert numbers(read_file(path, every=100)) == [0]
    thin = list(read_file(path, every=4, start=1.5, end=2.7))
    assert numbers(thin) == [source_frame.index for source_frame in thin] == [15, 19, 23, 27]


@pytest.mark.parametrize("start", [3.5, 20, 700])
def test_a_part_behind_the_end_is_said(tmp_path, start):
    message = refused(read_file(write_video(tmp_path / "clip.mp4", 30), start=start))
    assert f"clip.mp4: shows nothing from second {start:g} on" in message


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg, to make MPEG-TS with rare key frames")
@pytest.mark.parametrize("start", [0.5, 2.0, 4.0])
def test_rare_key_frames_do_not_swallow_the_start_of_a_part(tmp_path, start):
    plain, path = write_video(tmp_path / "clip.avi", 60, code="MJPG"), tmp_path / "clip.ts"
    command = ["ffmpeg", "-loglevel", "error", "-i", plain, "-c:v", "libx264", "-g", "30", path]
    subprocess.run(command, check=True)
    assert numbers(read_file(path, start=start)) == list(range(round(start * 10), 60))


def test_a_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("no such names on Windows")
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "12:30.mp4", 3)
    source_frames = list(read_file(video.Path("12:30.mp4")))
    assert numbers(source_frames) == [0, 1, 2]
    assert source_frames[0].source == "12:30.mp4"
    assert video.rate_of(video.Path("12:30.mp4")) == pytest.approx(10)


def test_the_rate_of_a_file(tmp_path):
    assert video.rate_of(write_video(tmp_path / "clip.mp4", 5, rate=12.5)) == pytest.approx(12.5)
    assert "none.mp4: no video that can be read" in refused(iter(lambda: video.rate_of(tmp_path / "none.mp4"), None))


@pytest.mark.parametrize(("name", "code"), [("clip.avi", "MJPG"), ("clip.mkv", "MJPG"), ("clip.webm", "VP80")])
def test_a_file_that_breaks_off_is_said_after_what_was_whole(tmp_path, name, code):
    path = write_video(tmp_path / name, 40, code=code)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *whole, last = read_file(path)
    assert numbers(whole) == list(range(len(whole)))
    assert 5 < len(whole) < 35
    assert (last.pixels, last.index) == (None, len(whole))
    assert str(last.error) == f"{path}: breaks off after {len(whole)} of 40 frames: cut off or damaged"
    assert [source_frame.error for source_frame in read_file(path, end=0.3)] == [None] * 4


def test_an_mp4_that_breaks_off(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 40).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 3 // 4])  # its table of frames stood at the end
    assert "cut.mp4: no video that can be read" in refused(read_file(cut))
    streamed = table_first(whole)
    cut.write_bytes(streamed)
    assert numbers(read_file(cut)) == list(range(40))
    cut.write_bytes(streamed[: len(streamed) * 3 // 4])
    *source_frames, last = read_file(cut)
    assert 5 < len(source_frames) < 40
    assert "cut.mp4: breaks off after" in str(last.error)


def table_first(data):
    """An MP4 file with the table of its frames before them, as it is made for the web."""
    atoms, place = {}, 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        atoms[data[place + 4 : place + 8]] = data[place : place + length]
        place += length
    table = bytearray(atoms.pop(b"moov"))
    offsets = table.index(b"stco") + 8
    for number in range(int.from_bytes(table[offsets : offsets + 4], "big")):
        where = slice(offsets + 4 + 4 * number, offsets + 8 + 4 * number)
        table[where] = struct.pack(">I", struct.unpack(">I", table[where])[0] + len(table))
    return atoms.pop(b"ftyp") + bytes(table) + b"".join(atoms.values())


def test_what_is_no_video_is_said(tmp_path):
    for name, content in [("empty.mp4", b""), ("text.avi", b"no video at all\n" * 200), ("zero.mkv", bytes(5000))]:
        (tmp_path / name).write_bytes(content)
        message = refused(read_file(tmp_path / name))
        assert message == f"{tmp_path / name}: no video that can be read: damaged, of an unknown kind, or not there"
    for form in ("png", "jpeg", "gif"):
        Image.fromarray(draw(1)).save(tmp_path / "picture.mp4", form)
        assert "picture.mp4: no video that can be read" in refused(read_file(tmp_path / "picture.mp4"))
    assert refused(read_file(tmp_path)) == f"{tmp_path}: a folder, expected a video"
    assert refused(read_file(tmp_path / "none.mp4")) == f"{tmp_path / 'none.mp4'}: no such file, expected a video"


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile real.mp4\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:{port}/real.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreal.mp4\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 26\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>real.mp4</BaseURL></MPD>',
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_a_file_that_names_others_opens_none_of_them(tmp_path, text, suffix):
    write_video(tmp_path / "real.mp4", 3)
    with socket.create_server(("127.0.0.1", 0)) as asked:
        asked.settimeout(0.1)
        path = tmp_path / f"list{suffix}"
        path.write_text(text.replace("{port}", str(asked.getsockname()[1])))
        assert "no video that can be read" in refused(read_file(path))
        with pytest.raises(TimeoutError):
            asked.accept()


def test_opencv_alone_would_open_them(tmp_path):
    write_video(tmp_path / "real.mp4", 3)
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile real.mp4\n")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert capture.read()[0], "else the test above shows nothing"
    capture.release()


def test_frames_that_are_too_large_are_refused_before_one_is_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", 3)
    monkeypatch.setattr(video, "MAX_PIXELS", WIDTH * HEIGHT)
    assert len(list(read_file(path))) == 3
    monkeypatch.setattr(video, "MAX_PIXELS", WIDTH * HEIGHT - 1)
    assert f"clip.mp4: frames of {WIDTH}x{HEIGHT} pixels, mien reads up to 20,479" in refused(read_file(path))


@pytest.mark.parametrize("before", [None, "rtsp_transport;udp"])
def test_what_ffmpeg_is_told_does_not_stay(tmp_path, monkeypatch, before):
    names = ("OPENCV_FFMPEG_CAPTURE_OPTIONS", "OPENCV_FFMPEG_LOGLEVEL")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        if before:
            monkeypatch.setenv(name, before)
    level = cv2.utils.logging.getLogLevel()
    source_frames = read_file(write_video(tmp_path / "clip.mp4", 3))
    next(source_frames)
    assert [os.environ.get(name) for name in names] == [before, before]
    source_frames.close()
    (tmp_path / "clip.mp4").write_bytes(b"")
    refused(read_file(tmp_path / "clip.mp4"))
    assert [os.environ.get(name) for name in names] == [before, before]
    assert cv2.utils.logging.getLogLevel() == level


def test_nothing_is_printed_whatever_the_file_holds(tmp_path):
    broken = bytearray(table_first(write_video(tmp_path / "a.mp4", 30).read_bytes()))
    broken[len(broken) // 2 :: 50] = b"\xaa" * len(range(len(broken) // 2, len(broken), 50))
    (tmp_path / "a.mp4").write_bytes(broken)
    for name, code in (("b.avi", "MJPG"), ("c.mkv", "MJPG"), ("d.mp4", "mp4v")):
        path = write_video(tmp_path / name, 30, code=code)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    (tmp_path / "e.mp4").write_text("ffconcat version 1.0\nfile d.mp4\n")
    code = """
import sys
from pathlib import Path
from mien.errors import SourceError
from mien.sources.video import read_file
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        print(path.name, len(list(read_file(path))))
    except SourceError:
        print(path.name, "refused")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["a.mp4", "b.avi", "c.mkv", "d.mp4", "e.mp4"]
    assert done.stdout.endswith("d.mp4 refused\ne.mp4 refused\n")


class FakeCapture:
    """Stands in for cv2.VideoCapture: frames of numbers at given times, or what a live source gives.

    Args:
        times: seconds of the frames.
        rate, count: what the header says.
        keys: seconds that a leap can land on: the next one after where it was asked to go.
        damaged: numbers of frames that cannot be decoded.
        timeless: it gives no times.
    """

    def __init__(self, times, *, rate=25.0, count=None, keys=(), damaged=(), timeless=False):
        self.times, self.rate, self.count = times, rate, len(times) if count is None else count
        self.keys, self.damaged, self.timeless = keys, damaged, timeless
        self.next, self.released = 0, False

    def isOpened(self):  # noqa: N802  OpenCV's name
        return True

    def get(self, what):
        at = 0.0 if self.timeless or not self.next else self.times[self.next - 1] * 1000
        known = {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_FRAME_COUNT: self.count, cv2.CAP_PROP_POS_MSEC: at}
        return known.get(what, self.next if what == cv2.CAP_PROP_POS_FRAMES else 8.0)

    def set(self, what, value):
        assert what == cv2.CAP_PROP_POS_MSEC
        to = next((key for key in self.keys if key >= value / 1000), 1e9)
        self.next = sum(at < to for at in self.times)

    def grab(self):
        self.next += 1
        return self.next <= len(self.times)

    def retrieve(self):
        number = self.next - 1
        return (False, None) if number in self.damaged else (True, draw(number)[..., ::-1])

    def release(self):
        self.released = True


@pytest.fixture
def faked(monkeypatch, tmp_path):
    """Read a file as if OpenCV gave these frames."""
    (tmp_path / "clip.mp4").touch()

    def read(times, *, start=0.0, end=None, **how):
        opened = []

        def build(*_):
            opened.append(FakeCapture(times, **how))
            return opened[-1]

        monkeypatch.setattr(cv2, "VideoCapture", build)
        source_frames = list(read_file(tmp_path / "clip.mp4", start=start, end=end))
        assert all(capture.released for capture in opened)
        return source_frames

    return read


def test_varying_rates_are_not_taken_for_a_broken_file(faked):
    times = [0.0, 0.04, 0.08, 1.0, 2.0, 3.0, 3.9]
    assert [source_frame.error for source_frame in faked(times, count=100)] == [None] * 7  # a guess: 4 s at 25 a second
    assert [source_frame.time for source_frame in faked(times, count=100)] == times
    assert "breaks off after 7 of 150 frames" in str(faked(times, count=150)[-1].error)
    assert [source_frame.error for source_frame in faked(times, count=7, rate=0.5)] == [
        None
    ] * 7  # all are there, at a wrong rate


def test_frames_without_times_are_counted(faked):
    assert [source_frame.time for source_frame in faked([0.0] * 5, timeless=True, rate=10)] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4]
    )
    assert [source_frame.time for source_frame in faked([0.0, 0.1, 0.1, 0.05, 0.9], rate=10)] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.9]
    )


def test_a_rate_that_makes_no_sense_is_not_believed(faked):
    for rate in (0.0, 90000.0, float("nan")):
        assert [source_frame.time for source_frame in faked([0.0] * 3, timeless=True, rate=rate)] == pytest.approx(
            [0, 0.04, 0.08]
        )


def test_a_damaged_frame_is_said_in_its_place(faked):
    source_frames = faked([0.0, 0.04, 0.08], damaged={1})
    assert [source_frame.index for source_frame in source_frames] == [0, 1, 2]
    assert [source_frame.pixels is None for source_frame in source_frames] == [False, True, False]
    assert "clip.mp4: frame 1 at 0.04 s is damaged" in str(source_frames[1].error)


@pytest.mark.parametrize("keys", [(0, 5, 10, 15, 20), (0, 20), (7,), ()])
def test_a_leap_that_lands_too_late_is_done_anew(faked, keys):
    times = [number / 5 for number in range(125)]
    source_frames = faked(times, rate=5, keys=keys, start=19.0)
    assert numbers(source_frames) == [source_frame.index for source_frame in source_frames] == list(range(95, 125))


def test_no_frame_at_all_is_an_error(faked):
    with pytest.raises(SourceError, match=r"clip\.mp4: not one frame of this video can be read"):
        faked([], count=30)


# ---------------------------------------------------------------------------------------------- streams


@pytest.fixture
def hurried(monkeypatch):
    """Pauses before a new connection are short, and kept."""
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        time.sleep(min(seconds, 0.01))

    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    return slept


def all_of(address, **options):
    """The frames of a stream until it is lost, and the message that says so."""
    source_frames = []
    with pytest.raises(SourceError) as caught:
        source_frames.extend(read_stream(address, **{"private": True, "timeout": 5, "retries": 0} | options))
    return source_frames, str(caught.value)


def ended():
    return not any(thread.name == "mien-live" for thread in threading.enumerate())


def test_a_stream_gives_its_frames_as_they_come():
    with Camera(rate=100, frames=80) as camera:
        source_frames, message = all_of(camera.address)
    seen = numbers(source_frames)
    assert seen == [source_frame.index for source_frame in source_frames]
    assert seen == sorted(set(seen))
    assert len(seen) > 20
    assert seen[-1] == 79
    assert all(source_frame.live and source_frame.source == camera.address for source_frame in source_frames)
    assert all(colours_are_right(source_frame.pixels) for source_frame in source_frames)
    times = [source_frame.time for source_frame in source_frames]
    assert times == sorted(times)
    assert 0.2 < times[-1] - times[0] < 3
    assert message == f"{camera.address}: gives no more pictures, after 80 of them"
    assert ended()


def test_who_is_slow_gets_the_newest_frame():
    with Camera(rate=100) as camera:
        source_frames = read_stream(camera.address, private=True)
        next(source_frames)
        for _ in range(3):
            time.sleep(0.4)
            before = camera.sent
            shown = number_of(next(source_frames).pixels)
            assert before - 20 <= shown, "a queue would be 40 frames behind"
        assert shown > 110
        source_frames.close()
    assert ended()


def test_a_stream_that_comes_back_is_counted_on(hurried):
    with Camera(rate=200, frames=60, connections=3) as camera:
        source_frames, message = all_of(camera.address, retries=3)
    seen = numbers(source_frames)
    assert [source_frame.index for source_frame in source_frames] == seen == sorted(set(seen))
    assert {number // 60 for number in seen} == {0, 1, 2}
    times = [source_frame.time for source_frame in source_frames]
    assert times == sorted(times)
    assert message == f"{camera.address}: gives no more pictures, after 180 of them"
    assert hurried == [0.4, 0.4, 0.4, 0.8, 1.6]
    assert len([verb for verb, *_ in camera.asked if verb == "PLAY"]) == 3


def test_pauses_before_a_new_connection_do_not_grow_for_ever(hurried):
    with Camera(rate=200, frames=40, connections=1) as camera:
        all_of(camera.address, retries=7)
    assert hurried == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_a_stream_that_falls_silent_is_left():
    with Camera(rate=200, frames=60, stays=True) as camera:
        began = time.monotonic()
        source_frames, message = all_of(camera.address, timeout=1)
        assert time.monotonic() - began < 5
    assert numbers(source_frames)[-1] == 59
    assert "gives no more pictures, after 60 of them" in message


def test_where_there_is_no_camera():
    with Camera(connections=0) as camera:
        assert all_of(camera.address, retries=5) == (
            [],
            f"{camera.address}: no video that can be read: damaged, of an unknown kind, or not there",
        )
        assert len([verb for verb, *_ in camera.asked if verb == "DESCRIBE"]) == 1, "asked once, not in vain"
    assert "no video that can be read" in all_of(f"rtsp://127.0.0.1:{unused_port()}/live")[1]


def test_a_server_that_does_not_answer_is_left():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        _, message = all_of(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live", timeout=0.5)
        assert time.monotonic() - began < 4
    assert "no video that can be read" in message


@pytest.mark.parametrize("frames", [40, None])
def test_the_password_is_sent_and_never_shown(frames):
    with Camera(rate=200, frames=frames, connections=1 if frames else 0, login=True) as camera:
        address = camera.address.replace("//", "//admin:s3cret@").replace("live", "live?password=s3cret")
        source_frames, message = all_of(address)
    sent = {headers.get("authorization") for verb, _, headers in camera.asked if verb == "DESCRIBE"}
    assert f"Basic {base64.b64encode(b'admin:s3cret').decode()}" in sent
    assert bool(source_frames) == bool(frames)
    assert "s3cret" not in message
    assert f"127.0.0.1:{camera.port}/live?password=..." in message
    assert not any("s3cret" in source_frame.source for source_frame in source_frames)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://camera/1", "rtsp://camera/1"),
        ("rtsp://a:b@camera:554/1", "rtsp://camera:554/1"),
        ("rtsp://a:b@c@camera/1", "rtsp://camera/1"),
        ("rtsp://a:b/c@camera/1", "rtsp://camera/1"),
        ("rtsp://a:b?c@camera/1", "rtsp://camera/1"),
        ("rtsp://a:b#c@camera/1", "rtsp://camera/1"),
        ("rtsp://[fe80::1]:554/1", "rtsp://[fe80::1]:554/1"),
        ("rtsp://10.0.0.2/user=admin&password=b&channel=1", "rtsp://10.0.0.2/user=admin&password=...&channel=1"),
        ("https://example.org/a.jpg?size=3&TOKEN=b", "https://example.org/a.jpg?size=3&TOKEN=..."),
        ("https://s3.test/a?X-Amz-Signature=1&id=2&apikey=3", "https://s3.test/a?X-Amz-Signature=...&id=2&apikey=..."),
        ("https://example.org/a?monkey=1&design=2", "https://example.org/a?monkey=1&design=2"),
        ("https://example.org/@somebody/a.jpg", "https://example.org/@somebody/a.jpg"),
        ("https://a:b@example.org/@somebody/a.jpg", "https://example.org/@somebody/a.jpg"),
        ("https://bücher.example/a.jpg", "https://bücher.example/a.jpg"),
    ],
)
def test_addresses_are_shown_without_what_is_secret(address, shown):
    assert without_password(address) == shown


def test_which_words_are_streams():
    assert live.is_stream("RTSP://camera/1")
    assert live.is_stream("rtsps://camera/1")
    assert not live.is_stream("https://camera/1")
    assert not live.is_stream("rtsp")


# ---------------------------------------------------------------------------------------------- cameras


class FakeCamera:
    """Stands in for cv2.VideoCapture of a camera that gives ``frames`` and then is unplugged."""

    made = None

    def __init__(self, frames, *, pause=0.01, opened=True):
        self.frames, self.pause, self.opened = iter(frames), pause, opened
        self.reading, self.released = False, False
        self.given = 0

    def isOpened(self):  # noqa: N802  OpenCV's name
        return self.opened

    def read(self):
        assert not self.released, "a camera that was released must not be asked"
        self.reading = True
        time.sleep(self.pause)
        frame = next(self.frames, None)
        self.given += frame is not None
        self.reading = False
        if isinstance(frame, Exception):
            raise frame
        return frame is not None, frame

    def release(self):
        assert not self.reading, "a camera must not be released while it is read"
        self.released = True


@pytest.fixture
def plugged(monkeypatch):
    """Give the machine a camera; returns it."""

    def plug(*arguments, **options):
        camera = FakeCamera(*arguments, **options)
        monkeypatch.setattr(cv2, "VideoCapture", lambda number: camera)
        return camera

    return plug


def bgr(count):
    return (draw(number)[..., ::-1] for number in range(count))


def test_a_camera_gives_its_frames_until_it_is_unplugged(plugged, hurried):
    camera = plugged(bgr(12))
    source_frames = []
    with pytest.raises(SourceError, match=r"^camera:3: gives no more pictures, after 12 of them$"):
        source_frames.extend(read_camera(3))
    assert numbers(source_frames) == [source_frame.index for source_frame in source_frames]
    assert numbers(source_frames)[-1] == 11
    assert all(
        colours_are_right(source_frame.pixels) and source_frame.live and source_frame.source == "camera:3"
        for source_frame in source_frames
    )
    assert not hurried
    assert camera.released
    assert ended()


def test_a_grey_camera_is_read(plugged):
    plugged([np.full((4, 6), 77, np.uint8)])
    source_frame = next(read_camera(0))
    assert source_frame.pixels.tolist() == np.full((4, 6, 3), 77).tolist()


def test_who_is_slower_than_the_camera_gets_its_newest_frame(plugged):
    camera = plugged(bgr(1000), pause=0.005)
    source_frames = read_camera(0)
    next(source_frames)
    time.sleep(0.3)
    before = camera.given
    assert number_of(next(source_frames).pixels) >= before - 5 > 10
    source_frames.close()
    assert camera.released
    assert ended()


def test_a_camera_that_hangs_is_released_once_it_comes_back(plugged, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE", 0.02)
    camera = plugged(bgr(1000))
    source_frames = read_camera(0)
    next(source_frames)
    camera.pause = 0.3
    time.sleep(0.05)
    source_frames.close()
    assert camera.reading
    assert not camera.released
    for thread in threading.enumerate():
        if thread.name == "mien-live":
            thread.join(5)
    assert camera.released


def test_of_a_stream_only_pictures_that_changed_count():
    """Where a conversion fails, OpenCV gives the same memory again, and at first what lay there before."""
    given = [draw(number)[..., ::-1] for number in (9, 9, 1, 1, 2)]
    newest, seen = live._Newest(FakeCamera(iter(given), pause=0.05), checked=True), []
    while (found := newest.take()) is not None:
        seen.append((number_of(found[0]), found[1]))
    newest.close()
    assert seen == [(1, 3), (2, 5)]


def test_a_stream_that_never_changes_is_left(monkeypatch):
    monkeypatch.setattr(live, "_FROZEN", 20)
    camera = FakeCamera((draw(3) for _ in range(1000)), pause=0)
    newest = live._Newest(camera, checked=True)
    assert newest.take() is None
    newest.close()
    assert camera.given == 20


def test_no_camera_is_said(plugged):
    plugged([], opened=False)
    assert refused(read_camera(0)) == "camera:0: there is no such camera, or another program uses it"
    plugged([])
    assert refused(read_camera(0)) == "camera:0: gives no more pictures, after 0 of them"


def test_a_camera_whose_driver_fails_does_not_leave_its_reader_waiting(plugged):
    plugged([draw(0), cv2.error("driver")])
    said = []
    reader = threading.Thread(target=lambda: said.append(refused(read_camera(0))), daemon=True)
    reader.start()
    reader.join(5)
    assert said == ["camera:0: gives no more pictures, after 1 of them"]
