import gc
import io
import itertools
import os
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError, PictureError, SourceError
from mien.sources import camera as live
from mien.sources import images, video
from mien.sources.source_frame import SourceFrame
from mien.sources.sources import ReadOptions, is_live, source_frames
from support.numbered_frames import colours_are_right, draw, number_of, write_video
from support.rtsp_server import Camera


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.delenv("MIEN_OFFLINE", raising=False)  # what is asked here is this machine


def save(path, number):
    """A picture that shows its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(number)).save(path)
    return path


def seen(found):
    """(name of the source, number it shows) of each source_frame, None for one that could not be read."""
    return [
        (
            source_frame.source and Path(source_frame.source).name,
            source_frame.error is None and number_of(source_frame.pixels),
        )
        for source_frame in found
    ]


def error_of(source, reading=None):
    """The message of a source that gives one source_frame, with an error."""
    (source_frame,) = source_frames(source, reading)
    assert source_frame.pixels is None
    assert isinstance(source_frame.error, MienError)
    return str(source_frame.error)


# ------------------------------------------------------------------------------------------ words


def test_a_file_is_a_picture(tmp_path):
    path = save(tmp_path / "a.png", 5)
    for source in (str(path), path):
        (source_frame,) = source_frames(source)
        assert (source_frame.source, number_of(source_frame.pixels)) == (str(path), 5)
        assert source_frame.pixels.dtype == np.uint8
        assert colours_are_right(source_frame.pixels)
        assert (source_frame.error, source_frame.index, source_frame.time, source_frame.live) == (
            None,
            None,
            None,
            False,
        )


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are always valid text here")
def test_a_path_may_be_bytes(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    save(Path(path), 5)
    with os.scandir(os.fsencode(tmp_path)) as found:
        (source_frame,) = source_frames(list(found))
    assert (source_frame.source, number_of(source_frame.pixels)) == (path, 5)


def test_a_file_with_the_suffix_of_a_video_is_one(tmp_path):
    path = write_video(tmp_path / "clip.MP4", 6)
    found = list(source_frames(str(path)))
    assert (
        [number_of(source_frame.pixels) for source_frame in found]
        == [source_frame.index for source_frame in found]
        == list(range(6))
    )
    assert [source_frame.time for source_frame in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert {source_frame.source for source_frame in found} == {str(path)}


def test_of_a_folder_pictures_and_videos_come_sorted(tmp_path):
    save(tmp_path / "c.jpg", 1)
    write_video(tmp_path / "b.mp4", 2)
    save(tmp_path / "a" / "z.png", 2)
    save(tmp_path / ".hidden" / "y.png", 3)
    (tmp_path / "notes.txt").write_text("no picture")
    assert seen(source_frames(tmp_path)) == [("z.png", 2), ("b.mp4", 0), ("b.mp4", 1), ("c.jpg", 1)]


def test_a_folder_without_pictures_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    assert error_of(tmp_path) == f"{tmp_path}: no pictures in this folder"


def test_patterns(tmp_path, monkeypatch):
    for number, name in enumerate(["a.png", "b.png", "b.jpg", "deep/c.png", "deep/er/d.png"]):
        save(tmp_path / name, number)
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    assert seen(source_frames("*.png")) == [("a.png", 0), ("b.png", 1)]
    assert seen(source_frames(f"{tmp_path}/b.*")) == [("b.jpg", 2), ("b.png", 1)]
    assert seen(source_frames("?.jpg")) == [("b.jpg", 2)]
    assert seen(source_frames("[ac].png")) == [("a.png", 0)]
    assert seen(source_frames("**/*.png")) == [("a.png", 0), ("b.png", 1), ("c.png", 3), ("d.png", 4)]
    assert seen(source_frames("deep/**")) == [("c.png", 3), ("d.png", 4)]
    assert seen(source_frames(f"{tmp_path}/*/*.png")) == [("c.png", 3)]
    assert [source_frame.source for source_frame in source_frames("*.jpg")] == ["b.jpg"]
    assert error_of("*.webp") == "*.webp: no file matches this pattern"
    assert "no pattern for files" in error_of("deep/a**b/*.png") or sys.version_info >= (3, 13)


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path):
    save(tmp_path / "a[1].png", 7)
    save(tmp_path / "a1.png", 8)
    assert seen(source_frames(tmp_path / "a[1].png")) == [("a[1].png", 7)]
    (tmp_path / "a[1].png").unlink()
    assert seen(source_frames(tmp_path / "a[1].png")) == [("a1.png", 8)]


def test_archives(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for number, name in enumerate(["b.png", "a.png"]):
        save(tmp_path / name, number)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for name in ("b.png", "text.jpg", "a.png"):
            packed.write(tmp_path / name, f"in/{name}")
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as packed:
        for name in ("b.png", "text.jpg", "a.png"):
            packed.add(tmp_path / name, f"in/{name}")
    for form in ("all.zip", "all.tar.gz"):
        found = list(source_frames(tmp_path / form))
        assert seen(found) == [("b.png", 0), ("text.jpg", False), ("a.png", 1)]
        assert found[0].source == f"{tmp_path}/{form}/in/b.png"
        assert str(found[1].error).startswith(f"{tmp_path}/{form}/in/text.jpg: not a picture")
        skip = ReadOptions(skip=frozenset([found[0].source]))
        assert seen(source_frames(tmp_path / form, skip)) == [("text.jpg", False), ("a.png", 1)]
    (tmp_path / "none.zip").write_text("no archive")
    assert error_of(tmp_path / "none.zip").startswith(f"{tmp_path}/none.zip: cut off, damaged, or no zip archive")


def test_an_archive_that_breaks_off_gives_what_was_whole(tmp_path):
    for number in range(4):
        save(tmp_path / f"{number}.bmp", number)
    with tarfile.open(tmp_path / "all.tar", "w") as packed:
        for number in range(4):
            packed.add(tmp_path / f"{number}.bmp")
    whole = (tmp_path / "all.tar").read_bytes()
    (tmp_path / "all.tar").write_bytes(whole[: len(whole) // 2])
    *found, last = source_frames([tmp_path / "all.tar", tmp_path / "3.bmp"])
    assert [source_frame.error is None for source_frame in found] == [True, True, False]
    assert found[2].source == f"{tmp_path}/all.tar"
    assert number_of(last.pixels) == 3


def test_standard_input_is_a_picture(tmp_path, monkeypatch):
    data = save(tmp_path / "a.png", 9).read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert seen(source_frames("-")) == [("-", 9)]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert error_of("-").startswith("-: 0 bytes, expected a JPEG")


def test_a_camera_is_read_by_its_number(monkeypatch):
    asked = []

    def read_camera(number):
        asked.append(number)
        for index in itertools.count():
            yield SourceFrame(f"camera:{number}", draw(index), None, index, index / 10, live=True)

    monkeypatch.setattr(live, "read_camera", read_camera)
    assert seen(source_frames("Camera:12", ReadOptions(limit=0.45)))[-1] == ("camera:12", 4)
    assert asked == [12]
    assert [number for _, number in seen(source_frames("camera:0", ReadOptions(limit=1.0, every=4)))] == [0, 4, 8]
    assert error_of("camera:one").startswith("camera:one: no such file")


def test_a_camera_that_is_unplugged_is_said_after_its_frames(monkeypatch):
    def read_camera(number):
        yield SourceFrame("camera:0", draw(0), None, 0, 0.0, live=True)
        raise SourceError("camera:0: gives no more pictures")

    monkeypatch.setattr(live, "read_camera", read_camera)
    assert seen(source_frames("camera:0")) == [("camera:0", 0), ("camera:0", False)]


def test_a_stream_is_left_in_time():
    with Camera(rate=100) as camera:
        found = list(source_frames(camera.address, ReadOptions(limit=0.3, private=True)))
    assert all(source_frame.live and source_frame.time <= 0.3 for source_frame in found)
    assert len(found) > 3
    assert not any(thread.name == "mien-live" for thread in threading.enumerate())


def test_a_stream_that_cannot_be_had_is_named_without_its_password():
    with Camera(connections=0) as camera:
        (source_frame,) = source_frames(camera.address.replace("//", "//admin:s3cret@"), ReadOptions(private=True))
    assert source_frame.source == camera.address
    assert "s3cret" not in str(source_frame.error)


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
def test_a_stream_of_a_private_network_must_be_allowed(scheme):
    told = error_of(f"{scheme}://me:s3cret@127.0.0.1:1/live")
    assert told.startswith(f"{scheme}://127.0.0.1:1/live: leads to 127.0.0.1, which is not a public address")
    assert "names no host" in error_of(f"{scheme}:///live")
    assert "unknown host" in error_of(f"{scheme}://a..b/live", ReadOptions(private=True))


def test_offline_means_streams_too(monkeypatch):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    assert error_of("rtsp://127.0.0.1:1/live", ReadOptions(private=True)).startswith("MIEN_OFFLINE forbids")


def test_words_that_mean_nothing(tmp_path):
    assert error_of("ftp://me:s3cret@example.org/a.jpg") == (
        "ftp://example.org/a.jpg: mien reads https, and rtsp of cameras, nothing else"
    )
    assert error_of("file:///etc/passwd").startswith("file:///etc/passwd: mien reads https")
    assert "no file" in error_of("")
    assert error_of(tmp_path / "none.jpg") == f"{tmp_path / 'none.jpg'}: no such file"
    assert error_of(tmp_path / "none.mp4") == f"{tmp_path / 'none.mp4'}: no such file, expected a video"
    assert error_of(tmp_path / "none.zip") == f"{tmp_path / 'none.zip'}: no such file"
    assert "cannot be read" in error_of("nul\0byte.jpg")
    assert "cannot be read" in error_of("a" * 5000)


def test_which_words_have_no_end():
    assert is_live("camera:0")
    assert is_live("rtsp://camera/1")
    assert not is_live("https://camera/1")
    assert not is_live("camera.mp4")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_what_has_no_end_is_refused(monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    assert error_of("/dev/zero") == "/dev/zero: more than 1,048,576 bytes, expected a JPEG, PNG, WebP, BMP, TIFF, " + (
        "GIF, PNM, JPEG 2000, AVIF or HEIC picture"
    )
    with Path("/dev/zero").open("rb") as zeros:
        assert "more than 1,048,576 bytes" in error_of(zeros.read(2**20 + 1))


# ------------------------------------------------------------------------------- pictures and many


def test_pictures_of_every_form(tmp_path):
    path = save(tmp_path / "a.png", 3)
    data, pixels = path.read_bytes(), draw(3)
    with Image.open(path) as image:
        found = list(source_frames([data, bytearray(data), memoryview(data), image, pixels], ReadOptions(color="rgb")))
        assert (
            seen(source_frames(image))
            == seen(source_frames(data))
            == seen(source_frames(memoryview(data)))
            == [(None, 3)]
        )
    assert seen(found) == [(None, 3)] * 5
    assert all(colours_are_right(source_frame.pixels) for source_frame in found)


def test_the_order_of_colours_must_be_said_and_is_kept(tmp_path):
    pixels = draw(3)
    (rgb,) = source_frames(pixels, ReadOptions(color="rgb"))
    (bgr,) = source_frames(pixels[..., ::-1], ReadOptions(color="bgr"))
    (wrong,) = source_frames(pixels, ReadOptions(color="bgr"))
    assert (rgb.pixels == pixels).all()
    assert (bgr.pixels == pixels).all()
    assert not colours_are_right(wrong.pixels)
    with pytest.raises(PictureError, match="color='rgb'"):  # the caller's fault, not one picture's
        next(source_frames(pixels))
    (grey,) = source_frames(pixels[..., 0])
    assert grey.pixels.shape == pixels.shape
    # The order is that of arrays: a file knows its own.
    (file,) = source_frames(save(tmp_path / "a.png", 3), ReadOptions(color="bgr"))
    assert (file.pixels == pixels).all()


def test_iterables_may_be_nested(tmp_path):
    a, b = save(tmp_path / "a.png", 1), save(tmp_path / "in" / "b.png", 2)
    source = [a, (str(b), [draw(4)]), iter([tmp_path / "in", {b: "a dict gives its keys"}]), []]
    assert [number for _, number in seen(source_frames(source, ReadOptions(color="rgb")))] == [1, 2, 4, 2, 2]
    assert list(source_frames([])) == []


@pytest.mark.parametrize("wrong", [5, None, 1.5, object(), io.BytesIO(b"a.png\n"), io.StringIO("a.png\n")])
def test_what_is_no_source_is_an_error_of_the_caller(tmp_path, wrong):
    with pytest.raises(PictureError, match=f"a source is a path.* not {type(wrong).__name__}"):
        list(source_frames(wrong))
    found = source_frames([save(tmp_path / "a.png", 1), wrong])
    assert number_of(next(found).pixels) == 1
    with pytest.raises(PictureError, match="a source is a path"):
        next(found)


def test_what_cannot_be_read_is_said_in_its_place_and_the_rest_goes_on(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "text.mp4").write_text("no video")
    words = [tmp_path / "none.png", save(tmp_path / "a.png", 1), tmp_path / "text.mp4", tmp_path / "text.jpg", b"no"]
    found = list(source_frames([*words, np.zeros((2, 2, 5), np.uint8), tmp_path / "a.png"]))
    assert [source_frame.error is None for source_frame in found] == [False, True, False, False, False, False, True]
    assert [source_frame.source for source_frame in found[:4]] == list(map(str, words[:4]))
    for source_frame in found[:4:2]:
        assert str(source_frame.error).startswith(f"{source_frame.source}: ")
    assert str(found[3].error).count("text.jpg") == 1


def test_an_iterable_is_asked_only_for_what_is_needed(tmp_path):
    path, asked = save(tmp_path / "a.png", 1), []

    def endless():
        for number in itertools.count():
            asked.append(number)
            yield path

    found = source_frames(endless())
    assert not asked
    next(found)
    next(found)
    assert asked == [0, 1]
    found.close()


def test_what_was_read_is_not_kept():
    pixels = np.zeros((2, 2), np.uint8)
    found = source_frames(itertools.repeat(pixels, 1_000_000))
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(20_000):
        next(found)
    assert len(gc.get_objects()) - before < 500
    found.close()


def test_what_is_done_is_passed_over(tmp_path):
    a, b = save(tmp_path / "a.png", 1), save(tmp_path / "b.png", 2)
    clip = write_video(tmp_path / "c.mp4", 3)
    done = ReadOptions(skip=frozenset([str(a), str(clip)]))
    assert seen(source_frames([tmp_path, a, str(clip)], done)) == [("b.png", 2)]
    assert seen(source_frames(f"{tmp_path}/*.png", done)) == [("b.png", 2)]
    assert seen(source_frames([draw(7), b], ReadOptions(color="rgb", skip=done.skip))) == [(None, 7), ("b.png", 2)]


def test_addresses_are_passed_over_by_the_name_they_are_shown_by():
    done = ReadOptions(skip=frozenset(["https://example.org/a.jpg", "rtsp://camera/1"]))
    assert not list(source_frames(["https://me:s3cret@example.org/a.jpg", "rtsp://me:s3cret@camera/1"], done))


def test_readings_that_make_no_sense_are_refused():
    for wrong in ({"every": 0}, {"every": -1}):
        with pytest.raises(SourceError, match="take each frame"):
            ReadOptions(**wrong)
    for wrong in ({"start": -1}, {"end": 0}, {"start": 2, "end": 1}, {"start": 2, "end": 2}):
        with pytest.raises(SourceError, match="is no part of a video"):
            ReadOptions(**wrong)
    assert ReadOptions(every=2, start=1, end=2).end == 2


def test_parts_of_videos_are_what_reading_says(tmp_path):
    clip = write_video(tmp_path / "a.mp4", 30)
    assert seen(source_frames([clip], ReadOptions(every=5, start=1, end=2))) == [
        ("a.mp4", 10),
        ("a.mp4", 15),
        ("a.mp4", 20),
    ]


# ------------------------------------------------------------------------- a video is read ahead


def ahead():
    return [thread for thread in threading.enumerate() if thread.name == "mien-ahead"]


def until(true):
    """Wait for something that another thread does."""
    for _ in range(500):
        if true():
            return True
        time.sleep(0.01)
    return False


def counted(monkeypatch, count, fails=None):
    """Make every video one of so many frames; returns what was read of it, and whether it was closed."""
    state = SimpleNamespace(read=0, closed=False)

    def read_file(path, **_):
        try:
            for state.read in range(1, count + 1):
                yield SourceFrame(str(path), draw(state.read - 1), None, state.read - 1, state.read / 10)
            if fails:
                raise fails
        finally:
            state.closed = True

    monkeypatch.setattr(video, "read_file", read_file)
    return state


def test_a_video_is_read_some_frames_ahead_and_no_more(monkeypatch):
    state = counted(monkeypatch, 1000)
    found = source_frames("a.mp4")
    assert number_of(next(found).pixels) == 0
    assert until(lambda: state.read >= 3), "nothing is read while the first frame is worked on"
    time.sleep(0.05)
    assert state.read <= 7
    found.close()
    assert state.closed
    assert not ahead()


def test_whoever_leaves_early_leaves_no_thread(monkeypatch):
    state = counted(monkeypatch, 1000)
    for _ in source_frames(["a.mp4", "b.mp4"]):
        break
    gc.collect()
    assert until(lambda: not ahead())
    assert state.closed


def test_the_end_of_a_video_ends_its_thread(tmp_path):
    list(source_frames(write_video(tmp_path / "a.mp4", 12)))
    assert not ahead()


def test_faults_of_the_thread_are_seen_in_order(monkeypatch):
    counted(monkeypatch, 9, SourceError("a.mp4: breaks off"))
    assert [number for _, number in seen(source_frames(["a.mp4"]))] == [*range(9), False]
    counted(monkeypatch, 2, MemoryError())
    with pytest.raises(MemoryError):
        list(source_frames("a.mp4"))
    assert not ahead()


# -------------------------------------------------------------------------------------- addresses


class Handler(BaseHTTPRequestHandler):
    """Sends the server's ``answers``: (type, pieces) by path."""

    def do_GET(self):
        kind, pieces = self.server.answers[self.path.partition("?")[0]]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = False, True

    def handle_error(self, *_):
        """Clients that leave early are no error."""


@pytest.fixture
def web():
    """Serve {path: (type, pieces)}; returns a function that gives the address."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.answers = {}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def serve(path, kind, *pieces):
            server.answers[path] = (
                kind,
                pieces[0] if len(pieces) == 1 and not isinstance(pieces[0], bytes) else pieces,
            )
            return f"http://127.0.0.1:{server.server_address[1]}{path}"

        yield serve
        server.shutdown()
        thread.join()


PRIVATE = ReadOptions(private=True)


def jpeg(number):
    file = io.BytesIO()
    Image.fromarray(draw(number)).save(file, "JPEG", quality=95)
    return file.getvalue()


def part(data):
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n"


MOTION = "multipart/x-mixed-replace; boundary=frame"


def test_a_picture_at_an_address(web):
    url = web("/a.png", "image/jpeg", jpeg(6))
    (source_frame,) = source_frames(url.replace("//", "//me:s3cret@"), PRIVATE)
    assert (source_frame.source, number_of(source_frame.pixels), source_frame.index, source_frame.live) == (
        url,
        6,
        None,
        False,
    )
    assert "private=True" in error_of(url)
    two = [f"{url}?id={number}&token=s3cret" for number in (1, 2)]
    assert [source_frame.source for source_frame in source_frames(two, PRIVATE)] == [
        f"{url}?id={number}&token=..." for number in (1, 2)
    ]
    done = ReadOptions(private=True, skip=frozenset([f"{url}?id=1&token=..."]))
    assert [source_frame.source for source_frame in source_frames(two, done)] == [f"{url}?id=2&token=..."], (
        "resumed by the name it had"
    )
    message = error_of(web("/text", "text/html", b"<html>"), PRIVATE)
    assert message.startswith(url.replace("/a.png", "/text: not a picture"))


def test_motion_jpeg_is_a_live_source(web):
    url = web("/live", MOTION, *[part(jpeg(number)) for number in range(5)], b"--frame--\r\n")
    found = list(source_frames(url, PRIVATE))
    assert (
        [number_of(source_frame.pixels) for source_frame in found]
        == [source_frame.index for source_frame in found]
        == list(range(5))
    )
    assert all(
        source_frame.live and source_frame.source == url and source_frame.error is None for source_frame in found
    )
    times = [source_frame.time for source_frame in found]
    assert times == sorted(times)
    thin = source_frames(url, ReadOptions(private=True, every=2))
    assert [source_frame.index for source_frame in thin] == [0, 2, 4]


def test_a_damaged_frame_of_motion_jpeg_is_said_in_its_place(web):
    url = web("/live", MOTION, part(jpeg(0)), part(b"no picture"), part(jpeg(2)), b"--frame--\r\n")
    found = list(source_frames(url, PRIVATE))
    assert [source_frame.error is None for source_frame in found] == [True, False, True]
    assert [source_frame.index for source_frame in found] == [0, 1, 2]
    assert str(found[1].error).startswith(f"{url}: frame 1: not a picture")
    assert found[1].live


def test_motion_jpeg_that_is_lost_is_said_after_its_frames(web):
    url = web("/live", MOTION, part(jpeg(0)), part(jpeg(1))[:-300])
    *found, last = source_frames(url, PRIVATE)
    assert [number_of(source_frame.pixels) for source_frame in found] == [0]
    assert "connection lost" in str(last.error)
    assert (last.source, last.index) == (url, None)


def test_motion_jpeg_without_end_is_left_in_time_and_by_choice(web):
    url = web("/live", MOTION, itertools.repeat(part(jpeg(3))))
    assert all(source_frame.time <= 0.2 for source_frame in source_frames(url, ReadOptions(private=True, limit=0.2)))
    found = source_frames(url, PRIVATE)
    assert number_of(next(found).pixels) == 3
    found.close()


def test_a_video_at_an_address(web, tmp_path, monkeypatch):
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    url = web("/clip", "video/mp4", write_video(tmp_path / "a.mp4", 20).read_bytes())
    found = list(source_frames(f"{url}?id=3", ReadOptions(private=True, start=0.5, end=1.0)))
    assert (
        [number_of(source_frame.pixels) for source_frame in found]
        == [source_frame.index for source_frame in found]
        == [5, 6, 7, 8, 9, 10]
    )
    assert {(source_frame.source, source_frame.live) for source_frame in found} == {(f"{url}?id=3", False)}
    assert not list(kept.iterdir()), "what was fetched is removed"
    early = source_frames(url, PRIVATE)
    next(early)
    assert list(kept.iterdir())
    early.close()
    assert not list(kept.iterdir())
    assert error_of(web("/none", "video/mp4", b"no video"), PRIVATE).startswith(url.replace("clip", "none: no video"))
    assert not list(kept.iterdir())


def test_the_item_of_a_list_that_fails_is_named(gradient):
    grey = gradient[..., 0]
    found = list(source_frames([grey, b"no picture", grey]))
    assert [source_frame.error is None for source_frame in found] == [True, False, True]
    assert str(found[1].error).startswith("item 1: ")
    with pytest.raises(PictureError, match="item 2: a colour array"):
        list(source_frames([grey, grey, gradient]))
    with pytest.raises(PictureError, match="item 1: a source is"):
        list(source_frames(iter([grey, None])))


def test_a_name_that_is_no_name_is_not_echoed_whole():
    (source_frame,) = source_frames("A" * 100_000)
    assert len(str(source_frame.error)) < 300
