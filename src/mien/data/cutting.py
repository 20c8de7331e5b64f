"""Faces cut out of the pictures of a data set, as FER2013's faces are framed.

Owns which face of a picture is taken, its framing and size, and where the cut-out faces wait until the table is
written: a file without a name beside it, so that memory stays flat. Refuses to know labels and splits.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.base import Detector
from mien.detection.detectors import build
from mien.detection.framing import FER2013_FRAMING, Framing, crop
from mien.errors import DataError, PictureError
from mien.results import Box

#: Pixels that the side of a cut-out face has at most: what networks for large pictures take.
CUT_SIZE = 224


@dataclass(frozen=True, slots=True)
class Cut:
    """How faces are cut out.

    Attributes:
        detector: finds them (:mod:`mien.detection.detectors`); None: only where the source gives a box.
        size: pixels a side that a face has at most; larger ones are shrunk.
    """

    detector: str | None = None
    size: int = CUT_SIZE


class Cutter:
    """Cuts faces out and keeps them, as PNG, until they are written; a context manager.

    Args:
        out: the table that they are for.
        cut: how.

    Raises:
        DataError: the size is no size, or nothing can be written beside the table.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """

    def __init__(self, out: Path, cut: Cut) -> None:
        if cut.size < 1:
            raise DataError(f"faces of at most {cut.size} pixels a side: expected 1 or more")
        self._size = cut.size
        self._detector: Detector | None = build(cut.detector) if cut.detector else None
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            self._spool: IO[bytes] = tempfile.TemporaryFile(dir=out.parent)  # noqa: SIM115 - __exit__ closes it
        except OSError as error:
            raise DataError(f"cannot write {out}: {error.strerror or error}") from error

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *error: object) -> None:
        self._spool.close()

    def wanted(self, box: Box | None) -> bool:
        """Whether a face is cut out of a picture for which the source gives that box."""
        return box is not None or self._detector is not None

    def face(self, pixels: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8] | None:
        """The face of a picture, RGB uint8 (S, S, 3): in the source's box, else the largest that is found, or None.

        Args:
            pixels: RGB uint8 (H, W, 3).
            box: where the source says that it is, in pixels.

        Raises:
            PictureError: the box lies outside the picture.
        """
        framing = Framing()
        if box is None and self._detector is not None:
            boxes = [found.box for found in self._detector.detect(pixels)]
            box = max(boxes, key=lambda found: found.width * found.height, default=None)
            framing = FER2013_FRAMING[self._detector.name]
        if box is None:
            return None
        side = min(self._size, round(framing.square(box).width))
        if side < 1:
            raise PictureError(f"the face {box.to_list()} is smaller than a pixel")
        return crop(pixels, box, framing, side, side)

    def keep(self, pixels: NDArray[np.uint8]) -> tuple[int, int]:
        """Keep a face, with one channel if it is grey; where it waits, for :meth:`fetch`.

        Raises:
            DataError: it cannot be written.
        """
        grey = (pixels == pixels[..., :1]).all()
        data = cv2.imencode(".png", pixels[..., 0] if grey else pixels[..., ::-1])[1].tobytes()
        try:
            start = self._spool.tell()
            self._spool.write(data)
        except OSError as error:
            raise DataError(f"the faces cannot be kept beside the table: {error.strerror}") from error
        return start, len(data)

    def fetch(self, place: tuple[int, int]) -> bytes:
        """A face that was kept, as PNG."""
        self._spool.seek(place[0])
        return self._spool.read(place[1])
