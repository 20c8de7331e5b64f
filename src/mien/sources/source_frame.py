"""One picture out of a source, with where and when it was taken: what every source yields, read or not yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, PictureError
from mien.sources.images import Color, Picture, read_noted


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One picture, or the reason why there is none.

    Attributes:
        source: where it came from: a path, an address, ``archive.zip/member.jpg``; None for arrays.
        pixels: RGB uint8 (H, W, 3); None where it could not be read.
        error: why not; None where it could.
        index: the number of the frame in its video or stream, counted from 0; None for single pictures.
        time: seconds since its video or stream began; None for single pictures.
        live: it came from a camera or stream, where the newest frame matters more than every frame.
        note: what should be known of a picture that was read; None: nothing.
    """

    source: str | None
    pixels: NDArray[np.uint8] | None
    error: MienError | None = None
    index: int | None = None
    time: float | None = None
    live: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """One picture that is still to be read, by whichever thread has the time.

    Attributes:
        source: as of a :class:`SourceFrame`.
        picture: a path, an encoded picture, a PIL image or an array.
        color: the order of an array's channels.
        item: its number, from 0, among many sources; the error of a picture without a name tells it.
    """

    source: str | None
    picture: Picture
    color: Color | None = None
    item: int | None = None

    def read(self) -> SourceFrame:
        """The picture, or why it cannot be read."""
        try:
            color = self.color if isinstance(self.picture, np.ndarray) else None
            pixels, note = read_noted(self.picture, color=color)
            return SourceFrame(self.source, pixels, note=note)
        except PictureError as error:
            if self.source is None and self.item is not None:
                return SourceFrame(None, None, PictureError(f"item {self.item}: {error}"))
            told = self.source is None or str(error).startswith(self.source)
            return SourceFrame(self.source, None, error if told else PictureError(f"{self.source}: {error}"))
