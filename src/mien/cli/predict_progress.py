"""How far the reading of sources has come, for the bar of ``mien predict``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MienError

if TYPE_CHECKING:
    from mien.results import Frame
    from mien.sources.sources import ReadOptions


class Way:
    """Counts sources, of videos the share of the time that is read.

    Args:
        words: the sources of this run.
        files: the local files among them that are to be read.
        reading: how.

    Attributes:
        length: how many sources there are; None where that is not known before they are read.
    """

    def __init__(self, words: Sequence[str], files: Sequence[Path], reading: ReadOptions) -> None:
        from mien.sources import archive

        self._reading = reading
        counted = all(map(_is_local, words)) and not any(map(archive.is_archive, files))
        self.length = len(files) if counted else None
        self._source: str | None = None
        self._begun, self._seconds = 0, 0.0

    def reached(self, frame: Frame) -> float:
        """How many sources are read once this frame, the next one, is; a part of one where it is of a video."""
        if frame.index is None:
            self._begun += 1
            return self._begun
        if frame.source != self._source:
            self._source, self._begun = frame.source, self._begun + 1
            self._seconds = self._seconds_of(frame.source) if self.length else 0.0
        done = (frame.time or 0.0) - self._reading.start
        return self._begun - 1 + (min(max(done / self._seconds, 0.0), 1.0) if self._seconds > 0 else 0.0)

    def _seconds_of(self, source: str | None) -> float:
        """Of the part of a video that is read; 0 where its header does not say."""
        from mien.sources import video

        try:
            seconds = video.seconds_of(Path(source or ""))
        except MienError:
            return 0.0
        end = self._reading.end
        return max((seconds if end is None else min(seconds, end)) - self._reading.start, 0.0)


def _is_local(word: str) -> bool:
    from mien.sources.sources import is_live

    return word != "-" and "://" not in word and not is_live(word)
