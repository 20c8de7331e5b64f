"""One iterator of pictures for every source: files, folders, patterns, archives, addresses, videos, cameras, arrays.

Owns what a word means as a source and in which order its pictures come. What cannot be read comes as a source frame
with its error, and the rest goes on. Refuses to look into pictures, and to hold more than one of them at a time.

    photo.jpg                        a picture
    clip.mp4                         a video, by its suffix
    holidays/                        pictures and videos below a folder, sorted
    'shots/*.png'                    a pattern, where no file is called so
    faces.zip, faces.tar.gz          pictures inside an archive, never unpacked to disk
    https://example.org/a.jpg        a picture, a video, or a camera's motion JPEG
    rtsp://camera/1                  a stream
    camera:0                         a camera of this machine
    -                                one picture on standard input
"""

from __future__ import annotations

import io
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from mien import files
from mien.errors import MienError, PictureError, SourceError, shown
from mien.narrowing import is_array, is_iterable
from mien.sources import archive, images, video
from mien.sources import camera as live
from mien.sources.addresses import is_address
from mien.sources.images import Color, Picture
from mien.sources.listing import find_pictures
from mien.sources.source_frame import SourceFrame, Unread

if TYPE_CHECKING:
    from mien.sources.http import Reply

#: What :func:`source_frames` takes: one source, or any iterable of them, arrays and pictures among them.
Source: TypeAlias = "Picture | Iterable[Picture]"

_PATTERN = re.compile(r"[*?\[]")
_CAMERA = re.compile(r"camera:(\d{1,4})", re.IGNORECASE)


@dataclass(frozen=True)
class ReadOptions:
    """How sources are read.

    Attributes:
        color: "rgb" or "bgr", the channel order of colour arrays.
        every: of videos, take only every N-th frame.
        start, end: seconds of the part of a video to read; None: to its end.
        private: web addresses may be http, and all may lie in a private network, as cameras do.
        limit: seconds after which a camera or stream is left; None: never.
        skip: sources that are passed over, as frames name them: files, members of archives, addresses.
    """

    color: Color | None = None
    every: int = 1
    start: float = 0.0
    end: float | None = None
    private: bool = False
    limit: float | None = None
    skip: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SourceError(f"every={self.every}: take each frame (1), each second one (2), ...")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise SourceError(f"from {self.start} s to {self.end} s is no part of a video")


Reading = ReadOptions


def source_frames(source: Source, reading: ReadOptions | None = None) -> Iterator[SourceFrame]:
    """The pictures of a source, or of many, in order.

    Args:
        source: a path, pattern, address or camera as text; a picture (bytes, PIL image, array); or an iterable of
            these.
        reading: how to read them.

    Yields:
        A source frame for each picture, or for what could not be read, with its error.

    Raises:
        PictureError: something in the iterable is no source at all, or an array without its
            channel order or with a fourth axis.
    """
    yield from (one.read() if isinstance(one, Unread) else one for one in unread(source, reading))


def unread(source: Source, reading: ReadOptions | None = None) -> Iterator[SourceFrame | Unread]:
    """As :func:`source_frames`, but single pictures come before they are read, so that several threads can do it."""
    reading = reading or ReadOptions()
    if isinstance(source, (str, os.PathLike)):
        yield from _guarded(os.fsdecode(source), reading)
    elif isinstance(source, (bytearray, memoryview)):
        yield Unread(None, bytes(source))
    elif is_array(source) and (source.ndim > 3 or (reading.color is None and source.shape[2:] in ((3,), (4,)))):
        # The caller's fault and no damaged picture: every further one would fail alike.
        yield SourceFrame(None, images.read(source, color=reading.color))
    elif is_array(source) or isinstance(source, (bytes, Image.Image)):
        yield Unread(None, source, reading.color)
    elif is_iterable(source) and not isinstance(source, io.IOBase):  # whose lines would be taken for names
        for number, one in enumerate(source):
            yield from _item(number, one, reading)
    else:
        raise PictureError(f"a source is a path, an address, a picture, or many of them, not {type(source).__name__}")


def _item(number: int, one: Picture, reading: ReadOptions) -> Iterator[SourceFrame | Unread]:
    """One of many sources; where it has no name, its error says which it is, counted from 0."""
    try:
        for source_frame in unread(one, reading):
            if isinstance(source_frame, Unread):
                yield replace(source_frame, item=number)
            else:
                nameless = source_frame.source is None and isinstance(source_frame.error, PictureError)
                yield (
                    replace(source_frame, error=PictureError(f"item {number}: {source_frame.error}"))
                    if nameless
                    else source_frame
                )
    except PictureError as error:
        raise PictureError(f"item {number}: {error}") from error


def is_live(word: str) -> bool:
    """Whether a source has no end of its own: a camera or stream."""
    return bool(_CAMERA.fullmatch(word)) or live.is_stream(word)


def is_more_than_a_picture(word: str) -> bool:
    """Whether a word means an address, a camera, an archive or a video, by its look."""
    path = Path(word)
    return "://" in word or is_live(word) or archive.is_archive(path) or path.suffix.lower() in video.SUFFIXES


def _guarded(word: str, reading: ReadOptions) -> Iterator[SourceFrame | Unread]:
    name = video.without_password(word) if "://" in word else word
    if name in reading.skip:
        return
    try:
        yield from _of_word(word, reading)
    except MienError as error:
        yield SourceFrame(name, None, error)


def _of_word(word: str, reading: ReadOptions) -> Iterator[SourceFrame | Unread]:
    camera = _CAMERA.fullmatch(word)
    if word == "-":
        yield Unread("-", sys.stdin.buffer.read(images.MAX_BYTES + 1))
    elif camera:
        yield from _limited(live.read_camera(int(camera[1])), reading)
    elif live.is_stream(word):
        yield from _limited(live.read_stream(word, private=reading.private), reading)
    elif is_address(word):
        yield from _of_address(word, reading)
    elif not word:
        raise PictureError("a source without a name: '' is no file")
    elif "://" in word:
        raise SourceError(f"{video.without_password(word)}: mien reads https, and rtsp of cameras, nothing else")
    else:
        yield from _of_path(Path(word), reading)


def _of_path(path: Path, reading: ReadOptions) -> Iterator[SourceFrame | Unread]:
    try:
        folder, there = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{shown(path)}: cannot be read: {reason}") from error
    if folder:
        found = find_pictures(path, images.SUFFIXES | video.SUFFIXES)
        if not found:
            raise PictureError(f"{path}: no pictures in this folder")
        for one in found:
            yield from _guarded(str(one), reading)
    elif not there and _PATTERN.search(str(path)):
        matches = sorted(path for path in matching(path) if path.is_file())
        if not matches:
            raise PictureError(f"{path}: no file matches this pattern")
        for one in matches:
            yield from _guarded(str(one), reading)
    elif archive.is_archive(path):
        for name, data in archive.members(path):
            if name in reading.skip:
                continue
            yield SourceFrame(name, None, data) if isinstance(data, MienError) else Unread(name, data)
    elif path.suffix.lower() in video.SUFFIXES:
        yield from _ahead(video.read_file(path, every=reading.every, start=reading.start, end=reading.end))
    else:
        yield Unread(str(path), path)


def matching(pattern: Path) -> list[Path]:
    """Files whose path fits a pattern, where it is one; ** stands for any folders.

    Raises:
        PictureError: it is a pattern that no file can fit.
    """
    parts = pattern.parts
    if not _PATTERN.search(str(pattern)):
        return []
    fixed = next(number for number, part in enumerate(parts) if _PATTERN.search(part))
    try:
        # Before Python 3.13 a ** at the end stands for folders alone.
        rest = (*parts[fixed:], "*") if parts[-1] == "**" else parts[fixed:]
        return list(Path(*parts[:fixed]).glob("/".join(rest)))
    except (OSError, ValueError) as error:
        raise PictureError(f"{pattern}: no pattern for files: {error}") from error


def _of_address(address: str, reading: ReadOptions) -> Iterator[SourceFrame | Unread]:
    from mien.sources import http  # what speaks HTTP is loaded where an address is read

    with http.open_address(address, private=reading.private) as reply:
        name = video.without_password(address)  # with its query, which may be all that tells two pictures apart
        if reply.content_type == "multipart/x-mixed-replace":
            yield from _limited(_motion_jpeg(reply, name), reading)
        elif reply.content_type.startswith("video/"):
            with files.scratch() as folder:
                path = folder / "video"
                http.save_video(reply, path)
                frames = video.read_file(path, every=reading.every, start=reading.start, end=reading.end, name=name)
                yield from _ahead(frames)
        else:
            yield Unread(name, http.read_picture(reply))


def _motion_jpeg(reply: Reply, name: str) -> Iterator[SourceFrame]:
    from mien.sources import motion_jpeg

    began = time.monotonic()
    for index, part in enumerate(motion_jpeg.parts(reply)):
        at = time.monotonic() - began
        try:
            pixels, note = images.decode_noted(part)
            yield SourceFrame(name, pixels, None, index, at, live=True, note=note)
        except PictureError as error:
            yield SourceFrame(name, None, PictureError(f"{name}: frame {index}: {error}"), index, at, live=True)


def _limited(live: Iterator[SourceFrame], reading: ReadOptions) -> Iterator[SourceFrame]:
    """Every N-th frame of a live source, until its time is over."""
    for count, source_frame in enumerate(live):
        if reading.limit is not None and (source_frame.time or 0.0) > reading.limit:
            return
        if count % reading.every == 0:
            yield source_frame


def _ahead(source_frames: Generator[SourceFrame, None, None], depth: int = 4) -> Iterator[SourceFrame]:
    """The same frames, read by a thread of their own while the last ones are worked on."""
    waiting: queue.Queue[SourceFrame | BaseException | None] = queue.Queue(depth)
    over = threading.Event()

    def put(one: SourceFrame | BaseException | None) -> bool:
        while not over.is_set():
            try:
                waiting.put(one, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            with closing(source_frames):
                for source_frame in source_frames:
                    if not put(source_frame):
                        return
            put(None)
        except BaseException as error:  # raised again where it is seen
            put(error)

    thread = threading.Thread(target=work, daemon=True, name="mien-ahead")
    thread.start()
    try:
        while (one := waiting.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        over.set()
        thread.join()
