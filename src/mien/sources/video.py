"""Frames of video files, one at a time, with their times.

Owns what is asked of OpenCV's video reader, and its limits: known containers only, no address inside a file is
followed, frames no larger than a picture may be. Refuses what has no end: that is ``live``.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import SourceError
from mien.sources import formats
from mien.sources.images import MAX_PIXELS
from mien.sources.interlaced import ConversionCheck, NotConvertedError, deinterlaced, scribble
from mien.sources.source_frame import SourceFrame

#: File names that count as videos.
SUFFIXES = formats.VIDEOS
# Playlists and the like are not among them: they make FFmpeg open what somebody else wrote into the file.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg"
_FILE_OPTIONS = f"format_whitelist;{_CONTAINERS}|protocol_whitelist;file"
# A file may end this much before its header says without being called cut off: headers round.
_TOLERANCE = 0.02
_ROUNDING = 0.001  # of times, in seconds
# Reads in a row that may fail before the video counts as ended: a repeated picture or a damaged one is none to OpenCV.
_FAILED_READS = 250
# Seconds before the one to start at that are leapt to, one after the other: FFmpeg may land on a later key frame than
# the one asked for, as it does in MPEG-TS.
_BACK = (1.0, 8.0, 64.0, 512.0)
_SECRET = re.compile(
    r"(?<![\w-])((?:[\w-]*(?:passw|token|secret|signature|credential)[\w-]*|pass|pwd|sig|auth|(?:api[_-]?)?key)=)[^&/?#;]+",
    re.IGNORECASE,
)
_HOST = re.compile(r"(\[[\w:.%]+\]|[\w.-]+)(:\d*)?")
_OPENING = threading.Lock()  # what FFmpeg is told goes through the environment of the whole process


def read_file(
    path: Path, *, every: int = 1, start: float = 0.0, end: float | None = None, name: str | None = None
) -> Generator[SourceFrame, None, None]:
    """The frames of a video file in order.

    Args:
        path: the file.
        every: take only every N-th frame, counted from the first that is taken.
        start, end: seconds of the part to read; None: to the end.
        name: the source that the frames name; None: the path.

    Yields:
        Source frames with index and time; of a file that breaks off, a last one that says so.

    Raises:
        SourceError: the file is no video that OpenCV reads, or its frames are too large.
    """
    name = name or str(path)
    if not path.is_file():
        raise SourceError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}, expected a video")
    given, header = -1.0, _Header(25.0, 0)
    try:
        for back in (*(back for back in _BACK if back < start), None):
            with _opened(_whole(path), _FILE_OPTIONS, name) as capture:
                header = _Header.of(capture)
                first = 0 if back is None else _leap(capture, start - back, start)
                if first is None:
                    continue
                check = ConversionCheck(lambda at: _at(path, name, at))
                for source_frame in _frames(
                    capture, header, name, every, start, end, first, check, grabbed=back is not None
                ):
                    given = given if source_frame.time is None else source_frame.time
                    yield source_frame
                return
    except NotConvertedError:
        pass
    # In a stream of both kinds, some frames were read already; the same ones are left out.
    with deinterlaced(_whole(path), _FILE_OPTIONS, name) as capture:
        for source_frame in _frames(capture, header, name, every, start, end, 0, None, grabbed=False):
            if source_frame.time is None or source_frame.time > given + _ROUNDING:
                yield source_frame


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


def seconds_of(path: Path) -> float:
    """Length of a video file in seconds, as its header says; 0 where that says nothing.

    Raises:
        SourceError: it cannot be opened.
    """
    with _opened(_whole(path), _FILE_OPTIONS, str(path)) as capture:
        header = _Header.of(capture)
    return max(header.count, 0.0) / header.rate


def _whole(path: Path) -> str:
    """The path from the root on: FFmpeg takes 12:30.mp4 for the protocol 12."""
    return str(path.absolute())


@dataclass(frozen=True)
class _Header:
    """What a file says about itself: frames a second, and how many there are."""

    rate: float
    count: float

    @classmethod
    def of(cls, capture: cv2.VideoCapture) -> _Header:
        return cls(_rate(capture), capture.get(cv2.CAP_PROP_FRAME_COUNT))


def _rate(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else 25.0


def _grab(capture: cv2.VideoCapture) -> bool:
    """Decode the next frame, past single reads that fail."""
    return any(capture.grab() for _ in range(_FAILED_READS))


def _leap(capture: cv2.VideoCapture, to: float, start: float) -> int | None:
    """Go near a second, and grab a frame there; returns its index, or None where it is not before the start."""
    capture.set(cv2.CAP_PROP_POS_MSEC, to * 1000)
    index = round(capture.get(cv2.CAP_PROP_POS_FRAMES))
    return index if _grab(capture) and 0 < capture.get(cv2.CAP_PROP_POS_MSEC) <= start * 1000 else None


def _at(path: Path, name: str, at: float) -> cv2.VideoCapture | None:
    """A new capture that has grabbed the frame of a time in milliseconds, and converted none; None: not found."""
    for back in (*(back * 1000 for back in _BACK[:2] if back * 1000 < at), None):
        capture = open_capture(_whole(path), _FILE_OPTIONS, name)
        if back is not None:
            capture.set(cv2.CAP_PROP_POS_MSEC, at - back)
        while _grab(capture):
            now = capture.get(cv2.CAP_PROP_POS_MSEC)
            if abs(now - at) <= _ROUNDING * 1000:
                return capture
            if now > at:
                break
        capture.release()
    return None


def _frames(
    capture: cv2.VideoCapture,
    header: _Header,
    name: str,
    every: int,
    start: float,
    end: float | None,
    index: int,
    check: ConversionCheck | None,
    *,
    grabbed: bool,
) -> Iterator[SourceFrame]:
    step, expected = 1 / header.rate, header.count
    scribble(round(3 * capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    last, taken = -1.0, 0
    while grabbed or _grab(capture):
        grabbed = False
        at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # Some containers give no times, or the same again: then frames are counted.
        at = at if at > last or last < 0 else last + step
        last = at
        if end is not None and at > end + _ROUNDING:
            return
        if at >= start - step / 2:
            if taken % every == 0:
                yield _retrieved(capture, name, index, max(at, 0.0), check)
            taken += 1
        index += 1
    # Where the rate varies, the number of frames is a guess of OpenCV's and only the time tells.
    short = index < expected * (1 - _TOLERANCE) - 1 and last < expected * step * (1 - _TOLERANCE) - step
    if end is None and taken and short:
        error = SourceError(f"{name}: breaks off after {index} of {expected:.0f} frames: cut off or damaged")
        yield SourceFrame(name, None, error, index, max(last, 0.0))
    if not index:
        raise SourceError(f"{name}: not one frame of this video can be read: it is damaged")
    if not taken:
        raise SourceError(f"{name}: shows nothing from second {start:g} on: it is shorter, or breaks off before")


def _retrieved(
    capture: cv2.VideoCapture, name: str, index: int, at: float, check: ConversionCheck | None = None
) -> SourceFrame:
    done, pixels = capture.retrieve()
    if not done or not pixels.size:
        error = SourceError(f"{name}: frame {index} at {at:.2f} s is damaged")
        return SourceFrame(name, None, error, index, at)
    if check is not None:
        check.demand(pixels, capture.get(cv2.CAP_PROP_POS_MSEC))
    return SourceFrame(name, to_rgb(pixels), None, index, at)


def to_rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """What OpenCV's reader gives, as RGB uint8 (H, W, 3)."""
    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def open_capture(source: str, options: str, name: str, timeout: float | None = None) -> cv2.VideoCapture:
    """OpenCV's reader of a file or address.

    Args:
        source: the path or address.
        options: for FFmpeg, as ``key;value|key;value``.
        name: as messages call it.
        timeout: seconds to wait for a server.

    Raises:
        SourceError: it cannot be opened, or its frames are too large.
    """
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
def _opened(source: str, options: str, name: str) -> Generator[cv2.VideoCapture, None, None]:
    capture = open_capture(source, options, name)
    try:
        yield capture
    finally:
        capture.release()


@contextmanager
def told_ffmpeg(options: str) -> Generator[None, None, None]:
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
