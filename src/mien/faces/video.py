"""Frames of video files, cameras and RTSP streams, one at a time, with their times.

Owns what is asked of OpenCV's video reader, and its limits: known containers only, no address inside a file is
followed, frames no larger than a picture may be. Refuses to know which source a word on the command line means.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import SourceError
from mien.faces.images import MAX_PIXELS
from mien.faces.shot import Shot

#: File names that count as videos.
SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".3gp", ".flv", ".ogv")
)
# Playlists and the like are not among them: they make FFmpeg open what somebody else wrote into the file.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg"
_FILE_OPTIONS = f"format_whitelist;{_CONTAINERS}|protocol_whitelist;file"
_STREAMING = "rtsp,rtp,rtsps,srtp,tcp,tls,udp"
# A file may end this much before its header says without being called cut off: headers round.
_TOLERANCE = 0.02
_ROUNDING = 0.001  # of times, in seconds
# Seconds before the one to start at that are leapt to, one after the other: FFmpeg may land on a later key frame than
# the one asked for, as it does in MPEG-TS.
_BACK = (1.0, 8.0, 64.0, 512.0)
_SECRET = re.compile(
    r"(?<![\w-])((?:[\w-]*(?:passw|token|secret|signature|credential)[\w-]*|pass|pwd|sig|auth|(?:api[_-]?)?key)=)[^&/?#;]+",
    re.IGNORECASE,
)
_HOST = re.compile(r"(\[[\w:.%]+\]|[\w.-]+)(:\d*)?")
_OPENING = threading.Lock()  # what FFmpeg is told goes through the environment of the whole process


def is_stream(text: str) -> bool:
    """Whether a word is the address of an RTSP stream."""
    return text.lower().startswith(("rtsp://", "rtsps://"))


def read_file(
    path: Path, *, every: int = 1, start: float = 0.0, end: float | None = None, name: str | None = None
) -> Iterator[Shot]:
    """The frames of a video file in order.

    Args:
        path: the file.
        every: take only each so many-th frame, counted from the first that is taken.
        start, end: seconds of the part to read; None: to the end.
        name: the source that the shots name; None: the path.

    Yields:
        Shots with index and time; of a file that breaks off, a last one that says so.

    Raises:
        SourceError: the file is no video that OpenCV reads, or its frames are too large.
    """
    name = name or str(path)
    if not path.is_file():
        raise SourceError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}, expected a video")
    for back in (*(back for back in _BACK if back < start), None):
        with _opened(_whole(path), _FILE_OPTIONS, name) as capture:
            first = 0 if back is None else _leap(capture, start - back, start)
            if first is not None:
                yield from _frames(capture, name, every, start, end, first, grabbed=back is not None)
                return


def read_stream(address: str, *, timeout: float = 10.0, retries: int = 5) -> Iterator[Shot]:
    """The newest frames of an RTSP stream as they come, until it ends.

    A lost connection is taken up again, with growing pauses, and counted on; frames that come while one is worked on
    are dropped.

    Args:
        address: ``rtsp://`` or ``rtsps://``.
        timeout: seconds to wait for the server and for each frame.
        retries: connections in a row that may fail.

    Raises:
        SourceError: the stream cannot be opened, or was lost and did not come back.
    """
    shown = without_password(address)
    options = f"rtsp_transport;tcp|protocol_whitelist;{_STREAMING}"

    def connect() -> cv2.VideoCapture:
        return _open(address, options, shown, timeout)

    yield from _live(connect, shown, retries)


def read_camera(number: int) -> Iterator[Shot]:
    """The newest frames of a camera of this machine, until it is unplugged.

    Raises:
        SourceError: there is no such camera, or it gives no pictures.
    """
    name = f"camera:{number}"

    def connect() -> cv2.VideoCapture:
        with told_ffmpeg(""):
            capture = cv2.VideoCapture(number)
        if not capture.isOpened():
            raise SourceError(f"{name}: there is no such camera, or another program uses it")
        return capture

    yield from _live(connect, name, retries=0)


def without_password(address: str) -> str:
    """An address as it may be shown: without its login, and with dots for what looks like a secret in its query.

    >>> without_password("rtsp://admin:1234@camera:554/1?user=admin&password=1234")
    'rtsp://camera:554/1?user=admin&password=...'
    """
    scheme, _, rest = address.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(host) :]
    if "@" in host:
        host = host.rpartition("@")[2]
    elif not _HOST.fullmatch(host):  # a password with such a character in it, which should have been escaped
        host, path = "", rest.rpartition("@")[2]
    return f"{scheme}://{host}" + _SECRET.sub(r"\g<1>...", path)


def rate_of(path: Path) -> float:
    """Frames a second of a video file; 25 where its header does not say.

    Raises:
        SourceError: it cannot be opened.
    """
    with _opened(_whole(path), _FILE_OPTIONS, str(path)) as capture:
        return _rate(capture)


def _whole(path: Path) -> str:
    """The path from the root on: FFmpeg takes 12:30.mp4 for the protocol 12."""
    return str(path.absolute())


def _rate(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else 25.0


def _leap(capture: cv2.VideoCapture, to: float, start: float) -> int | None:
    """Go near a second, and grab a frame there; returns its index, or None where it is not before the start."""
    capture.set(cv2.CAP_PROP_POS_MSEC, to * 1000)
    index = round(capture.get(cv2.CAP_PROP_POS_FRAMES))
    return index if capture.grab() and 0 < capture.get(cv2.CAP_PROP_POS_MSEC) <= start * 1000 else None


def _frames(
    capture: cv2.VideoCapture, name: str, every: int, start: float, end: float | None, index: int, *, grabbed: bool
) -> Iterator[Shot]:
    step = 1 / _rate(capture)
    expected = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    last, taken = -1.0, 0
    while grabbed or capture.grab():
        grabbed = False
        at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # Some containers give no times, or the same again: then frames are counted.
        at = at if at > last or last < 0 else last + step
        last = at
        if end is not None and at > end + _ROUNDING:
            return
        if at >= start - step / 2:
            if taken % every == 0:
                yield _retrieved(capture, name, index, max(at, 0.0))
            taken += 1
        index += 1
    # Where the rate varies, the number of frames is a guess of OpenCV's and only the time tells.
    short = index < expected * (1 - _TOLERANCE) - 1 and last < expected * step * (1 - _TOLERANCE) - step
    if end is None and taken and short:
        error = SourceError(f"{name}: breaks off after {index} of {expected:.0f} frames: cut off or damaged")
        yield Shot(name, None, error, index, max(last, 0.0))
    if not index:
        raise SourceError(f"{name}: not one frame of this video can be read: it is damaged")
    if not taken:
        raise SourceError(f"{name}: shows nothing from second {start:g} on: it is shorter, or breaks off before")


def _retrieved(capture: cv2.VideoCapture, name: str, index: int, at: float, *, live: bool = False) -> Shot:
    done, pixels = capture.retrieve()
    if not done or pixels is None or not pixels.size:
        error = SourceError(f"{name}: frame {index} at {at:.2f} s is damaged")
        return Shot(name, None, error, index, at, live)
    return Shot(name, _rgb(pixels), None, index, at, live)


def _rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


class _Newest:
    """The last frame that a live source gave, read by a thread of its own so that nothing old is waited for."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._fresh = threading.Condition()
        self._frame: NDArray[np.uint8] | None = None
        self._count, self._over, self._stop = 0, False, False
        self._thread = threading.Thread(target=self._read, daemon=True, name="mien-live")
        self._thread.start()

    def _read(self) -> None:
        while not self._stop:
            try:
                done, pixels = self._capture.read()
            except cv2.error:
                done, pixels = False, None  # as any end: whoever waits must hear of it
            with self._fresh:
                if not done or pixels is None:
                    self._over = True
                else:
                    self._frame, self._count = np.asarray(pixels, np.uint8), self._count + 1
                self._fresh.notify()
            if self._over:
                return

    def take(self) -> tuple[NDArray[np.uint8], int] | None:
        """The newest frame that was not taken yet and how many came so far; waits for it; None at the end."""
        with self._fresh:
            self._fresh.wait_for(lambda: self._frame is not None or self._over)
            if self._frame is None:
                return None
            frame, self._frame = self._frame, None
            return frame, self._count

    def close(self) -> None:
        self._stop = True
        self._thread.join(timeout=30)
        self._capture.release()


def _live(connect: Callable[[], cv2.VideoCapture], name: str, retries: int) -> Iterator[Shot]:
    """Frames of a live source; connects again where it is lost, as often as it may in a row."""
    capture = connect()
    began, counted, failures = time.monotonic(), 0, 0
    while True:
        newest, got = _Newest(capture), 0
        try:
            while (found := newest.take()) is not None:
                pixels, got = found
                failures = 0
                at = time.monotonic() - began
                yield Shot(name, _rgb(pixels), None, counted + got - 1, at, live=True)
        finally:
            newest.close()
        counted += got
        while True:
            failures += 1
            if failures > retries:
                raise SourceError(f"{name}: gives no more pictures, after {counted:,} of them")
            time.sleep(min(0.2 * 2**failures, 5.0))
            try:
                capture = connect()
                break
            except SourceError:
                continue


def _open(source: str, options: str, name: str, timeout: float | None = None) -> cv2.VideoCapture:
    settings = [cv2.CAP_PROP_N_THREADS, 0]
    if timeout is not None:
        milliseconds = round(timeout * 1000)
        settings += [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    with told_ffmpeg(options):
        try:
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, settings)
        except cv2.error as error:
            raise SourceError(f"{name}: OpenCV cannot open it: {error}") from error
    if not capture.isOpened():
        raise SourceError(f"{name}: no video that can be read: damaged, of an unknown kind, or not there")
    width, height = (capture.get(of) for of in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        capture.release()
        raise SourceError(f"{name}: frames of {width:.0f}x{height:.0f} pixels, mien reads up to {MAX_PIXELS:,}")
    return capture


@contextmanager
def _opened(source: str, options: str, name: str) -> Iterator[cv2.VideoCapture]:
    capture = _open(source, options, name)
    try:
        yield capture
    finally:
        capture.release()


@contextmanager
def told_ffmpeg(options: str) -> Iterator[None]:
    """Options for the FFmpeg inside OpenCV while a file is opened: they go through the environment alone.

    FFmpeg's and OpenCV's own messages stay inside; the error says what is wrong.
    """
    told = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": options, "OPENCV_FFMPEG_LOGLEVEL": "-8"}
    with _OPENING:
        before = {key: os.environ.get(key) for key in told}
        os.environ.update(told)
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value
