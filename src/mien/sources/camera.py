"""Cameras and RTSP streams: the newest frame each time, so that nothing old is waited for.

Owns the thread that reads ahead, and connecting again where a stream was lost. Refuses to know which source a word
on the command line means.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import SourceError
from mien.sources.addresses import check_online, look_up
from mien.sources.interlaced import is_same
from mien.sources.source_frame import SourceFrame
from mien.sources.video import open_capture, to_rgb, told_ffmpeg, without_password

_PORT = 554  # of RTSP (RFC 7826); a look-up wants one
_STREAMING = "rtsp,rtp,rtsps,srtp,tcp,tls,udp"
_PATIENCE = 30.0  # seconds to wait for a last frame
_FROZEN = 250  # frames after which a stream whose picture never changed is left


def is_stream(text: str) -> bool:
    """Whether a word is the address of an RTSP stream."""
    return text.lower().startswith(("rtsp://", "rtsps://"))


def read_stream(
    address: str, *, private: bool = False, timeout: float = 10.0, retries: int = 5
) -> Iterator[SourceFrame]:
    """The newest frames of an RTSP stream as they come, until it ends.

    A lost connection is taken up again, with growing pauses, and counted on; frames that come while one is worked on
    are dropped.

    Args:
        address: ``rtsp://`` or ``rtsps://``.
        private: the host may lie in a private network, as most cameras do. FFmpeg looks its name up a second time.
        timeout: seconds to wait for the server and for each frame.
        retries: connections in a row that may fail.

    Raises:
        SourceError: the stream cannot be opened, leads to an address that is not public, or was lost and did not
            come back; or ``MIEN_OFFLINE`` forbids it.
    """
    shown = without_password(address)
    check_online()
    _check_host(shown, private)
    options = f"rtsp_transport;tcp|protocol_whitelist;{_STREAMING}"

    def connect() -> cv2.VideoCapture:
        return open_capture(address, options, shown, timeout)

    yield from _live(connect, shown, retries, checked=True)


def _check_host(shown: str, private: bool) -> None:
    try:
        split = urlsplit(shown)
        host, port = split.hostname or "", split.port or _PORT
    except ValueError:
        host, port = "", _PORT
    if not host:
        raise SourceError(f"{shown}: names no host, expected rtsp://host/path")
    look_up(host, port, shown, private)


def read_camera(number: int) -> Iterator[SourceFrame]:
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


class _Newest:
    """The last frame that a live source gave, read by a thread of its own so that nothing old is waited for.

    Args:
        capture: the source.
        checked: only a frame that differs from the one before counts: where FFmpeg's conversion fails, as of
            interlaced video, OpenCV gives the same memory again (``mien.sources.interlaced``).
    """

    def __init__(self, capture: cv2.VideoCapture, *, checked: bool = False) -> None:
        self._capture, self._checked = capture, checked
        self._fresh = threading.Condition()
        self._frame: NDArray[np.uint8] | None = None
        self._count, self._over, self._stop = 0, False, False
        self._thread = threading.Thread(target=self._read, daemon=True, name="mien-live")
        self._thread.start()

    def _read(self) -> None:
        try:
            self._read_on()
        finally:
            self._capture.release()  # by whoever reads: a driver does not bear both at once

    def _read_on(self) -> None:
        last: NDArray[np.uint8] | None = None
        changed = not self._checked
        while not self._stop:
            try:
                done, pixels = self._capture.read()
            except cv2.error:
                done, pixels = False, None  # as any end: whoever waits must hear of it
            with self._fresh:
                if not done or pixels is None:
                    self._over = True
                else:
                    frame, self._count = np.asarray(pixels, np.uint8), self._count + 1
                    fresh = not self._checked or (last is not None and not is_same(last, frame))
                    last, changed = frame, changed or fresh
                    self._frame = frame if fresh else self._frame
                    self._over = not changed and self._count >= _FROZEN
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
        """Stop reading; a capture that hangs is left to its thread, which releases it when it comes back."""
        self._stop = True
        self._thread.join(timeout=_PATIENCE)


def _live(
    connect: Callable[[], cv2.VideoCapture], name: str, retries: int, *, checked: bool = False
) -> Iterator[SourceFrame]:
    """Frames of a live source; connects again where it is lost, as often as it may in a row."""
    capture = connect()
    began, counted, failures = time.monotonic(), 0, 0
    while True:
        newest, got = _Newest(capture, checked=checked), 0
        try:
            while (found := newest.take()) is not None:
                pixels, got = found
                failures = 0
                at = time.monotonic() - began
                yield SourceFrame(name, to_rgb(pixels), None, counted + got - 1, at, live=True)
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
