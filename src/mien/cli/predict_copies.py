"""Copies of pictures and videos with the results drawn on them, for ``mien predict --annotate``."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MienError, PictureError
from mien.files import identity, keep_inputs, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.outputs.video_writer import Movie
    from mien.results import Frame
    from mien.sources.source_frame import SourceFrame


class Copies:
    """Writes copies: ``photo-mien.jpg`` for ``photo.png``, ``clip-mien.mp4`` for a video; use it in ``with``.

    No file among this run's sources is written over, and no two copies of one run get the same name.

    Args:
        place: a folder, made if it is not there; or, where the only source is a video, the file to write.
        sources: the words of this run.
        say: is told what was written.
        hide: pixelate the faces.
    """

    def __init__(self, place: Path, sources: Sequence[str], say: Callable[[str], None], *, hide: bool = False) -> None:
        from mien.outputs.video_writer import SUFFIXES

        self._say, self._hide = say, hide
        self._file = place if place.suffix.lower() in SUFFIXES else None
        self._folder = place.parent if self._file else place
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MienError(f"cannot make the folder {self._folder}: {error.strerror}") from error
        files = local_files(sources)
        if self._file and len(files) > 1:
            raise MienError(f"{self._file} is one video, and there are {len(files):,} sources: name a folder")
        keep_inputs(files, self._file)
        # By identity, for a source may have other names; by name, for a copy may not be there yet.
        self._sources = set(map(identity, files))
        self._kept = {found.resolve() for found in files}
        self._written = False
        self._movie: tuple[str | None, Path, Movie] | None = None

    def write(self, source_frame: SourceFrame, frame: Frame) -> None:
        """Draw a frame onto its picture and add it to its copy."""
        from mien.outputs.draw import annotate
        from mien.outputs.pixelate import hide_faces

        if source_frame.pixels is None:
            return
        moving = source_frame.index is not None
        if self._movie and (not moving or self._movie[0] != source_frame.source):
            self._close()
        pixels = hide_faces(source_frame.pixels, frame) if self._hide else source_frame.pixels
        drawn = annotate(pixels, frame, charts=not moving)
        if not moving:
            if self._file:
                raise MienError(f"{source_frame.source} is no video, and {self._file} is one: name a folder")
            self._save(source_frame, drawn)
            return
        if not self._movie:
            self._movie = (source_frame.source, *self._open(source_frame))
        self._movie[2].write(drawn, source_frame.time or 0.0)

    def __enter__(self) -> Copies:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):  # by which one leaves a camera
            self._close()
        elif self._movie:
            self._movie[2].discard()

    def _save(self, source_frame: SourceFrame, drawn: NDArray[np.uint8]) -> None:
        from PIL import Image

        path, jpeg = self._name(source_frame, ".jpg"), io.BytesIO()
        Image.fromarray(drawn).save(jpeg, "JPEG", quality=92)  # into memory: Pillow does not see a disk that is full
        write(path, jpeg.getvalue())
        self._say(f"annotated: {path}")

    def _open(self, source_frame: SourceFrame) -> tuple[Path, Movie]:
        from mien.outputs.video_writer import Movie
        from mien.sources import video

        if self._file and self._written:
            raise MienError(f"{self._file} is one video, and there are several sources: name a folder")
        self._written = True
        path = self._file or self._name(source_frame, ".mp4")
        file = Path(source_frame.source or "")
        local = not source_frame.live and file.is_file()
        movie = Movie(
            path,
            rate=video.rate_of(file) if local else 25.0,
            sound=(file, source_frame.time or 0.0) if local else None,
        )
        if movie.notice:
            self._say(f"note: {movie.notice}")
        return path, movie

    def _close(self) -> None:
        if self._movie:
            _, path, movie = self._movie
            self._movie = None
            movie.close()
            self._say(f"annotated: {path}")

    def _name(self, source_frame: SourceFrame, suffix: str) -> Path:
        """A name in the folder that nothing of this run has."""
        stem = _plain(Path((source_frame.source or "picture").rstrip("/")).stem)
        path, number = self._folder / f"{stem}-mien{suffix}", 2
        while path.resolve() in self._kept or ((found := identity(path)) and found in self._sources):
            path, number = self._folder / f"{stem}-mien-{number}{suffix}", number + 1
        self._kept.add(path.resolve())
        return path


def _plain(stem: str) -> str:
    """A name without what file systems refuse; addresses and archives can hold anything."""
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"/\\|?*' else "_" for letter in stem)
    return kept.strip(". ")[:100] or "picture"


def local_files(sources: Sequence[str]) -> list[Path]:
    """The files of this machine that the words of a run mean: paths, and what is in folders and matches patterns."""
    from mien.sources import formats, listing
    from mien.sources.sources import matching

    found: list[Path] = []
    for word in sources:
        try:
            path = Path(word)
            if path.is_dir():
                found += listing.find_pictures(path, formats.PICTURES | formats.VIDEOS)
            elif path.exists():
                found.append(path)
            else:
                found += matching(path)
        except (PictureError, OSError, ValueError):
            continue  # whoever reads it says what is wrong
    return found
