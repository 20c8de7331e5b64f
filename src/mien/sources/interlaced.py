"""Interlaced video: noticed where OpenCV fails to convert it, and read through the ffmpeg program.

OpenCV 4.13 and newer decode interlaced frames but do not convert them: what they return, with success, is the memory
that was there before. Owns the proof that a frame was converted, and the deinterlacing. Refuses to know sources.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import SourceError

# A frame seen a second time is equal in at least this share of it, whatever a damaged file makes of it.
_SAME_SHARE = 0.9
# Frames within which a clip that begins black must show something before it counts as not converted.
_BLACK = 250
_WAIT = 5.0  # seconds for ffmpeg to end


class NotConvertedError(Exception):
    """A frame was decoded, but what OpenCV returned is not its picture."""


class ConversionCheck:
    """Tells whether what OpenCV returned for a frame is its picture.

    A capture converts into the same memory each time. A picture that differs from the one before was converted. One
    that does not, and the first, are compared with what a second capture returns for the same frame; of many repeated
    frames, the first, second, fourth, eighth and so on.

    Args:
        witness: opens a second capture at the frame of a time in milliseconds, grabbed and not yet retrieved; None
            where it cannot be found.
    """

    def __init__(self, witness: Callable[[float], Any]) -> None:
        self._witness = witness
        self._last: NDArray[Any] | None = None
        self._repeated = 0

    def demand(self, pixels: NDArray[Any], at: float) -> None:
        """Check one frame.

        Args:
            pixels: as OpenCV returned them.
            at: the time of the frame in milliseconds, as OpenCV told it.

        Raises:
            NotConvertedError: they are not the picture of this frame.
        """
        last, self._last = self._last, pixels
        if last is not None and not is_same(last, pixels):
            return
        self._repeated += 1
        if self._repeated & (self._repeated - 1):
            return
        if not self._confirmed(pixels, at):
            raise NotConvertedError

    def _confirmed(self, pixels: NDArray[Any], at: float) -> bool:
        capture = self._witness(at)
        if capture is None:  # nothing to compare with; the first frame is always found
            return self._repeated > 1
        try:
            scribble(pixels.nbytes)
            done, again = capture.retrieve()
            if not done or again is None or again.shape != pixels.shape:
                return False
            if pixels.any():
                return float((again == pixels)[pixels > 0].mean()) > _SAME_SHARE
            # New memory is black, too: what follows decides.
            return not again.any() and any(_shows_something(capture) for _ in range(_BLACK))
        finally:
            capture.release()


def is_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two pictures are equal to the last bit; quick where they are not."""
    if one.shape != other.shape or not np.array_equal(one[::37, ::41], other[::37, ::41]):
        return False
    return np.array_equal(one, other)


def scribble(size: int) -> None:
    """Fill free memory with noise, so that a capture which converts its first frame next finds no picture there."""
    noise = np.random.default_rng().integers(1, 256, 4096, np.uint8)
    blocks = [np.resize(noise, length) for length in (size, size + size // 16) for _ in range(4)]
    del blocks


def _shows_something(capture: Any) -> bool:
    done, pixels = capture.retrieve() if capture.grab() else (False, None)
    return bool(done and pixels is not None and pixels.any())


class _Pipe(io.BufferedIOBase):
    """What a program writes, as OpenCV wants to read it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__()
        self._pipe = pipe

    def read(self, size: int | None = -1, /) -> bytes:
        return self._pipe.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return -1  # OpenCV asks, and goes on without


@contextmanager
def deinterlaced(path: str, options: str, name: str) -> Generator[cv2.VideoCapture, None, None]:
    """A video from its beginning, interlaced frames deinterlaced, one frame for each.

    Args:
        path: from the root on.
        options: for FFmpeg, as ``key;value|key;value``: what it may open.
        name: as messages call it.

    Raises:
        SourceError: there is no ffmpeg program, or it cannot read the file.
    """
    ffmpeg = shutil.which("ffmpeg")
    if not ffmpeg:
        raise SourceError(
            f"{name}: interlaced video, or nothing but black: OpenCV {cv2.__version__} cannot convert its frames;"
            " install the program ffmpeg, with which mien reads it"
        )
    limits = [word for pair in options.split("|") for word in (f"-{pair.split(';')[0]}", pair.split(";")[1])]
    command = [ffmpeg, "-hide_banner", "-loglevel", "quiet", "-nostdin", *limits, "-i", f"file:{path}"]
    command += ["-map", "0:v:0", "-vf", "yadif=mode=send_frame:deint=interlaced", "-fps_mode", "passthrough"]
    command += ["-c:v", "rawvideo", "-f", "nut", "pipe:1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    pipe = _Pipe(process.stdout)  # held until the end: OpenCV lets go of it without Python's lock, and must not be last
    try:
        opened: Any = cv2.VideoCapture  # whose annotations do not know that it takes such a file
        capture = opened(pipe, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        try:
            if not capture.isOpened():
                raise SourceError(f"{name}: interlaced video that ffmpeg cannot read either: damaged")
            yield capture
        finally:
            capture.release()
    finally:
        process.kill()
        pipe.close()
        process.stdout.close()
        process.wait(_WAIT)
