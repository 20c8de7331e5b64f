import re
import time
import tracemalloc

import pytest

from mien.errors import SourceError
from mien.sources.http import open_address
from mien.sources.motion_jpeg import parts
from support.web_server import PICTURE, drip, endless, fails, ok

FRAMES = [b"\xff\xd8one\xff\xd9", b"\xff\xd8\r\n--framed\r\n\n--fram\r\n--\xff\xd9\r", b"\xff\xd8" + bytes(3000)]


def stream(mark=b"--frame", *, line=b"\r\n", length=True, end=b"--", frames=FRAMES, kind=b"image/jpeg"):
    body = bytearray()
    for frame in frames:
        body += mark + line + b"Content-type: " + kind + line
        body += (b"CONTENT-LENGTH: %d" % len(frame) + line) * length
        body += line + frame + line
    return bytes(body) + mark + end


def motion(body, boundary="frame"):
    return f"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={boundary}\r\n\r\n".encode() + body


def read_parts(server, answer, **limits):
    """The parts of a stream that ends well."""
    with open_address(server.at("/live", answer), private=True, timeout=2) as reply:
        assert reply.content_type == "multipart/x-mixed-replace"
        return list(parts(reply, **limits))


def lost_parts(server, *answer, timeout=2, **limits):
    """The parts of a stream that ends badly, and the message."""
    found = []
    with (
        pytest.raises(SourceError) as caught,
        open_address(server.at("/live", *answer), private=True, timeout=timeout) as reply,
    ):
        found.extend(parts(reply, **limits))
    assert str(caught.value).startswith(f"http://127.0.0.1:{server.port}/live: ")
    return found, str(caught.value)


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    ("boundary", "mark"),
    [
        ("frame", b"--frame"),
        ("--frame", b"--frame"),
        ("--frame", b"----frame"),
        ('"frame"', b"--frame"),
        ('"--frame"', b"--frame"),
        ("frame", b"frame"),
        ('"my frame:1"', b"--my frame:1"),
    ],
)
def test_motion_jpeg_of_all_cameras(server, boundary, mark, line, length):
    frames = FRAMES if mark.endswith(b"frame") else FRAMES[::2]
    answer = motion(stream(mark, line=line, length=length, frames=frames), boundary)
    if line == b"\n" and not length:
        # Where lines end in LF alone, a CR before the mark could belong to either.
        frames = [frame.removesuffix(b"\r") for frame in frames]
    assert read_parts(server, answer) == frames


class Pieces:
    """A reply that hands out so many bytes at a time."""

    boundary, name, content_type = "frame", "https://camera.test/live", "multipart/x-mixed-replace"

    def __init__(self, data, size):
        self.data, self.size = data, size

    def allow(self, seconds):
        pass

    def read(self):
        piece, self.data = self.data[: self.size], self.data[self.size :]
        return piece


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("length", [True, False])
def test_parts_do_not_depend_on_how_the_bytes_arrive(size, length):
    assert list(parts(Pieces(b"preamble\r\n\r\n" + stream(length=length) + b"\r\nmore", size))) == FRAMES
    assert list(parts(Pieces(stream(length=length), size))) == FRAMES


@pytest.mark.parametrize("form", ["preamble", "blank lines", "no headers", "wrong length", "empty parts"])
def test_odd_but_clear_streams_are_read(server, form):
    body = stream()
    if form == "preamble":
        body = b"This is a stream.\r\n" + body
    elif form == "blank lines":
        body = b"\r\n" + body.replace(b"\r\n--frame\r\n", b"\r\n\r\n\r\n--frame\r\n")
    elif form == "no headers":
        body = b"".join(b"--frame\r\n\r\n" + frame + b"\r\n" for frame in FRAMES) + b"--frame--"
    elif form == "wrong length":
        body = re.sub(rb"CONTENT-LENGTH: \d+", b"Content-Length: many", body)
    else:
        body = b"--frame\r\nContent-Length: 0\r\n\r\n\r\n" + body
    assert read_parts(server, motion(body)) == FRAMES


def test_parts_that_are_no_pictures_are_left_out(server):
    body = stream(frames=[b"hello"], kind=b"text/plain", end=b"") + stream()[len(b"--frame") :]
    assert read_parts(server, motion(body)) == FRAMES


def test_a_part_with_a_length_comes_at_once(server):
    url = server.at("/live", motion(stream(frames=FRAMES[:1], end=b"")), 3.0)
    with open_address(url, private=True, timeout=1) as reply:
        began = time.monotonic()
        assert next(parts(reply)) == FRAMES[0]
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("less", [2, 7, 11, 500])
def test_a_lost_connection_is_said_after_what_was_whole(server, length, less):
    body = stream(length=length, end=b"\r\n")
    found, message = lost_parts(server, motion(body[:-less]))
    whole = 3 if length and less < 500 else 2
    assert found == FRAMES[:whole]
    assert "connection lost" in message


def test_a_stream_may_be_over_before_its_first_picture(server):
    assert read_parts(server, motion(b"--frame--\r\n")) == []
    assert "connection lost" in lost_parts(server, motion(b""))[1]


@pytest.mark.parametrize("length", [True, False])
def test_parts_up_to_the_limit(server, length):
    body = stream(length=length)
    assert read_parts(server, motion(body), max_bytes=3002) == FRAMES
    found, message = lost_parts(server, motion(body), max_bytes=3001)
    assert found == FRAMES[:2]
    assert "3,002 bytes, mien reads up to 3,001" in message


def test_a_part_without_end_is_refused(server):
    found, message = lost_parts(server, endless(motion(b"--frame\r\n\r\n")), max_bytes=300_000)
    assert not found
    assert "more bytes, mien reads up to 300,000" in message


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"no mark", b"x"),
        (b"no mark", b"\r\nx: y"),
        (b"", b"\r\n"),
        (b"--frame\r\n", b"x"),
        (b"--frame\r\n", b"x: y\r\n"),
        (b"--frame\r\nContent-Length: 1\r\n\r\nx", b"\r\n"),
        (b"--frame\r\nContent-Length: 1\r\n\r\nx", b"-"),
    ],
)
def test_headers_without_end_are_refused(start, rest):
    endless = Pieces(start + rest * 100_000, 1000)
    whole = len(endless.data)
    with pytest.raises(SourceError, match="no end to the headers of a part"):
        list(parts(endless))
    assert whole - len(endless.data) < 18_000


def test_lengths_that_do_not_fit_are_noticed(server):
    shorter = stream(frames=[b"a picture"]).replace(b"LENGTH: 9", b"LENGTH: 5")
    found, message = lost_parts(server, motion(shorter))
    assert found == [b"a pic"]
    assert "of another length than it announces" in message
    longer = stream(frames=[b"a picture"] * 3).replace(b"LENGTH: 9", b"LENGTH: 20", 1)
    assert "of another length than it announces" in lost_parts(server, motion(longer))[1]


def test_a_part_that_drips_is_left(server):
    found, message = lost_parts(server, drip(motion(b"--frame\r\n\r\n")), seconds=0.3)
    assert not found
    assert "not done after 0.3 s" in message


def test_a_camera_that_falls_silent_is_left(server):
    found, message = lost_parts(server, motion(stream(frames=FRAMES[:1], end=b"")), 3.0, timeout=0.2)
    assert found == FRAMES[:1]
    assert "no answer for 0.2 s" in message


def test_a_stream_may_last_longer_than_a_part(server):
    body = stream()
    pieces = [motion(body[:10]), *[0.1, body[10:50], 0.1, body[50:200], 0.1, body[200:]]]
    with open_address(server.at("/live", *pieces), private=True) as reply:
        assert list(parts(reply, seconds=0.25)) == FRAMES


def test_memory_is_that_of_one_part():
    class Many(Pieces):
        left = 400

        def read(self):
            self.left -= 1
            part = stream(frames=[bytes(50_000)], end=b"\r\n" if self.left else b"--")
            return part if self.left == 399 else part.removeprefix(b"--frame\r\n")

    tracemalloc.start()
    try:
        assert sum(map(len, parts(Many(b"", 0)))) == 400 * 50_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_end_mark_needs_no_line_break_and_no_end_of_the_connection(server):
    for body, frames in ((stream(), FRAMES), (b"--frame--", [])):
        url = server.at("/live", motion(body), 3.0)
        with open_address(url, private=True, timeout=1) as reply:
            assert list(parts(reply)) == frames


def test_other_replies_are_no_streams(server):
    assert "not a motion-JPEG stream, its type is 'image/jpeg'" in fails(
        server.at("/a", ok(PICTURE, b"Content-Type: image/jpeg")), read=lambda reply: list(parts(reply))
    )
    for boundary in ("", '"--"'):
        assert "not a motion-JPEG stream" in lost_parts(server, motion(stream(), boundary))[1]


def test_leaving_early_ends_the_connection(server):
    with open_address(server.at("/live", endless(motion(stream(end=b"\r\n")))), private=True) as reply:
        assert next(parts(reply)) == FRAMES[0]
        assert not server.left.is_set()
    assert server.left.wait(3)
