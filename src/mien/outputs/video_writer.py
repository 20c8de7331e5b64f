"""Annotated videos: frames in, a file that plays everywhere out, with the sound of the original where ffmpeg is there.

With an ``ffmpeg`` on the path: H.264 and the sound. Without: MPEG-4 part 2 by OpenCV, silent. Owns the timing: frames
come at any times and are repeated or dropped to a constant rate, so that picture and sound stay together. Refuses to
draw.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, SourceError
from mien.files import AtomicFile
from mien.sources import video

#: File names that count as a video to write.
SUFFIXES = (".mp4", ".m4v", ".mov")
# What ffmpeg may say of a disk and end with code 0 all the same.
_DISK = ("No space left", "Input/output error", "quota exceeded")
# A pause is shown as a still picture for this many seconds at most.
_LONGEST_PAUSE = 10.0


class Movie:
    """Writes one video, which is there once it is closed.

    Args:
        path: the file, replaced when the new one is whole.
        rate: frames a second.
        sound: the file whose sound to take, and the second it starts at; None: silence.

    Attributes:
        notice: what you should know, as that the sound could not be kept; None: nothing.

    Raises:
        MienError: the file cannot be written.
    """

    def __init__(self, path: Path, *, rate: float = 25.0, sound: tuple[Path, float] | None = None) -> None:
        self._path, self._rate, self._sound = path, rate, sound
        self._file: AtomicFile | None = None
        self._ffmpeg = shutil.which("ffmpeg")
        self._size: tuple[int, int] | None = None
        self._pipe: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._writer: cv2.VideoWriter | None = None
        self._written, self._began, self._last = 0, 0.0, 0.0
        self._shown: NDArray[np.uint8] | None = None  # until the next one is due
        self._failed = False
        self.notice: str | None = None
        if not self._ffmpeg:
            kept = "; the sound is left out" if sound else ""
            self.notice = f"without ffmpeg, {path.name} is written as MPEG-4 part 2, which browsers do not play{kept}"

    def write(self, picture: NDArray[np.uint8], at: float) -> None:
        """Add a picture, shown from second ``at`` on.

        Args:
            picture: RGB uint8 (H, W, 3); all of one size.
            at: its time in seconds, not before that of the last one.

        Raises:
            MienError: the picture is of another size than the first, or the disk is full.
        """
        height, width = (side // 2 * 2 for side in picture.shape[:2])  # H.264 wants even numbers
        if self._size is None:
            self._size, self._began, self._last = (width, height), at, at
            self._open()
        if (width, height) != self._size:
            raise MienError(f"{self._path}: the pictures change their size within the video")
        bgr = np.ascontiguousarray(picture[:height, :width, ::-1])
        self._began += max(at - self._last - _LONGEST_PAUSE, 0.0)
        self._last = at
        place = round((at - self._began) * self._rate)
        while self._written <= place:
            self._add(bgr if self._written == place or self._shown is None else self._shown)
            self._written += 1
        self._shown = bgr

    def close(self) -> None:
        """Finish the file; without a picture none is written.

        Raises:
            MienError: it cannot be finished, as on a full disk; nothing is left of it.
        """
        try:
            self._finish()
            if self._file and self._written and not self._failed:
                self._file.commit()
        finally:
            if self._file:
                self._file.discard()

    def discard(self) -> None:
        """Leave no file; one of that name that was there before stays."""
        if self._pipe:
            self._pipe.kill()
        with suppress(MienError):  # whatever ffmpeg says of being killed
            self._finish()
        if self._file:
            self._file.discard()

    def _open(self) -> None:
        assert self._size is not None
        width, height = self._size
        self._file = AtomicFile(self._path, alone=True)
        partial = self._file.temporary.absolute()  # absolute: 12:30.mp4 is no protocol
        if not self._ffmpeg:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            with video.told_ffmpeg(""):
                self._writer = cv2.VideoWriter(str(partial), cv2.CAP_FFMPEG, code, self._rate, self._size)
            if not self._writer.isOpened():
                raise MienError(f"cannot write {self._path}: OpenCV cannot make an MPEG-4 file there")
            return
        command = [self._ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
        command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", f"{self._rate:g}"]
        command += ["-i", "pipe:0"]
        if self._sound:
            file, start = self._sound
            command += ["-ss", f"{start:g}", "-protocol_whitelist", "file", "-i", f"file:{file.absolute()}"]
            # The sound ends with the picture, and silence follows where it is shorter.
            command += ["-map", "0:v", "-map", "1:a?", "-c:a", "aac", "-af", "apad", "-shortest"]
        command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
        command += ["-movflags", "+faststart", "-f", "mp4", f"file:{partial}"]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        # A session of its own: else Ctrl-C would end it too, before the file is whole.
        try:
            self._pipe = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise MienError(f"cannot write {self._path}: {self._ffmpeg}: {error.strerror or error}") from error

    def _add(self, bgr: NDArray[np.uint8]) -> None:
        if self._writer:
            self._writer.write(bgr)
            return
        assert self._pipe
        assert self._pipe.stdin
        try:
            self._pipe.stdin.write(bgr.data)
        except OSError as error:
            self._failed = True
            raise MienError(f"cannot write {self._path}: {self._reason() or error}") from error

    def _finish(self) -> None:
        if self._writer:
            self._writer.release()
        try:
            if self._pipe:
                self._end(self._pipe)
            if self._written and not self._failed:
                self._check()
        finally:
            self._pipe = None
            if self._said:
                self._said.close()
                self._said = None

    def _check(self) -> None:
        """OpenCV says nothing of a full disk, and ffmpeg may end well on one; the file then lacks what makes it one."""
        assert self._file
        if self._file.is_stream:
            return
        try:
            video.rate_of(self._file.temporary)
        except SourceError as error:
            raise MienError(f"cannot write {self._path}: what was made is no video; the disk may be full") from error

    def _end(self, pipe: subprocess.Popen[bytes]) -> None:
        assert pipe.stdin
        try:
            with suppress(OSError):  # ffmpeg is gone already: its exit code says why
                pipe.stdin.close()
            code = pipe.wait(timeout=600)
        except subprocess.TimeoutExpired as error:
            raise MienError(f"cannot write {self._path}: ffmpeg does not come to its end") from error
        finally:
            pipe.kill()  # does nothing to one that has ended
            pipe.wait()
        if code or any(word in self._reason() for word in _DISK):
            raise MienError(f"cannot write {self._path}: {self._reason() or f'ffmpeg ended with code {code}'}")

    def _reason(self) -> str:
        if not self._said:
            return ""
        # What ffmpeg writes goes on where this ends, for the file and its place in it are shared.
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return "; ".join(lines[-3:])  # the cause stands before what followed from it
