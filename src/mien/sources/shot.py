"""One picture out of a source, with where and when it was taken: what every source yields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError


@dataclass(frozen=True, slots=True)
class Shot:
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
