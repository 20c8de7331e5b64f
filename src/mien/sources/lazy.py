"""A picture that is decoded no larger than it is looked at.

Owns which fraction of its size a JPEG is decoded at, and what was decoded already. Whoever looks asks for a scale and
gets pixels at that scale or a larger one; all but a JPEG have only their own.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import PictureError
from mien.sources import images
from mien.sources.images import Color, Picture

# JPEG's cosine transform gives an eighth, a quarter and a half of a picture's sides for less work than the whole.
_FACTORS = (8, 4, 2)
# Pixels a side below which a picture is decoded whole.
_LEAST = 64


class LazyPicture:
    """One picture, decoded when it is looked at, and as large as it is looked at. One thread at a time may do so.

    Args:
        picture: as :func:`mien.sources.images.read` takes it.
        color: the order of an array's channels, likewise.

    Attributes:
        width, height: pixels of the whole picture, upright.
        note: what should be known of it; None: nothing.

    Raises:
        PictureError: it cannot be read.
    """

    def __init__(self, picture: Picture, color: Color | None = None) -> None:
        self.note: str | None = None
        self._pixels: NDArray[np.uint8] | None = None
        self._path = Path(picture) if isinstance(picture, (str, os.PathLike)) else None
        self._data = b""
        self._factor, self._factors = 1, (1,)
        if self._path is not None:
            self._data = images.load(self._path)
        elif isinstance(picture, (bytes, bytearray, memoryview)):
            self._data = bytes(picture)
        size = images.jpeg_size(self._data)
        if size is not None and min(size.width, size.height) >= _LEAST:
            self.width, self.height = size.width, size.height
            # Where the sides are no multiple, the last pixels are padded, and a turn brings them to the front.
            self._factors = tuple(
                one for one in _FACTORS if not (size.turned and (self.width % one or self.height % one))
            )
        elif self._path is not None or self._data:
            self._decode(1)
        else:
            self._keep(*images.read_noted(picture, color=color), 1)

    def at(self, scale: float) -> tuple[NDArray[np.uint8], int]:
        """The picture at this scale or a larger one.

        Args:
            scale: how many times as large as the whole it is at least; 1 or more: the whole.

        Returns:
            RGB uint8 (H, W, 3), and its factor: what is at (x, y) here is at (x, y) times the factor in the whole.

        Raises:
            PictureError: it is damaged.
        """
        if self._pixels is None or (self._factor > 1 and self._factor * scale > 1):
            self._decode(next((one for one in self._factors if one * scale <= 1), 1))
        assert self._pixels is not None
        return self._pixels, self._factor

    @property
    def whole(self) -> NDArray[np.uint8]:
        """All of its pixels: RGB uint8 (H, W, 3)."""
        return self.at(1.0)[0]

    def _decode(self, factor: int) -> None:
        pixels = images.decode_reduced(self._data, factor) if factor > 1 else None
        if pixels is not None:
            self._keep(pixels, None, factor)
            return
        try:
            self._keep(*images.decode_noted(self._data), 1)
        except PictureError as error:
            raise error if self._path is None else PictureError(f"{self._path}: {error}") from error

    def _keep(self, pixels: NDArray[np.uint8], note: str | None, factor: int) -> None:
        self._pixels, self._factor = pixels, factor
        if factor == 1:
            self.note, self._data = note, b""
            self.height, self.width = pixels.shape[:2]
