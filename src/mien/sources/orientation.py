"""How a picture is to be turned, whatever else its tags hold.

Pillow drops all tags of EXIF after one that points outside of it, and fails on some when it writes them again. Only
the one tag that matters here is read.
"""

from __future__ import annotations

import struct

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TAG, _SHORT = 0x0112, 3


def upright(image: Image.Image) -> Image.Image:
    """The picture turned by its orientation; as it is where there is none. Decodes it."""
    image.load()
    exif = image.info.get("exif")
    number = in_exif(exif) if isinstance(exif, bytes) else None
    if number is None:
        try:  # other places: XMP, tags of TIFF and PNG, what was set by hand
            number = image.getexif().get(ExifTags.Base.Orientation)
        except Exception:  # tags that are no tags
            return image
    turn = _TURNS.get(number) if isinstance(number, int) else None
    return image if turn is None else image.transpose(turn)


def in_exif(exif: bytes) -> int | None:
    """The orientation, 1-8, in the first directory of EXIF; None where it says none.

    >>> in_exif(b"MM\\0*\\0\\0\\0\\x08\\0\\x01" + b"\\x01\\x12\\0\\x03\\0\\0\\0\\x01\\0\\x06\\0\\0")
    6
    """
    data = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 10:
        return None
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return None
    (count,) = struct.unpack_from(order + "H", data, start)
    for place in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", data, place)
        if tag == _TAG:
            return value if kind == _SHORT and 1 <= value <= 8 else None
    return None
