"""Pictures of every kind into RGB ``uint8`` (H, W, 3), the one form that the rest of mien takes.

Owns reading (files, bytes, PIL images, arrays), the rules for depth, transparency and rotation, and the limit on
size. Refuses to guess: an array's colour order and value range are
stated or the array is refused. Refuses video.

The rules: 16-bit values are scaled to 8 bits; what is transparent shows white, as on a page; EXIF rotation is
applied; of an animation the first frame counts.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MissingExtraError, PictureError, require, shown
from mien.sources import formats, orientation

#: What :func:`read` takes.
Picture: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]"
#: The order of an array's channels; a fourth one is opacity in both.
Color: TypeAlias = Literal["rgb", "bgr"]

#: A picture with more pixels is refused before it is decoded (RGB of this many takes 400 MB).
MAX_PIXELS = 2**27
#: A picture file with more bytes is refused; so is what has no end.
MAX_BYTES = 2**29
#: File names that count as pictures when a folder is listed.
SUFFIXES = formats.PICTURES

_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
#: Pixels a side of the largest block that JPEG writes at once.
_BLOCK = 16
#: A JPEG that lacks more of its pixels is an error.
_MAY_LACK = 0.05
#: Floats may leave 0-1 by what arithmetic makes of them; far less than a step of 8 bits.
_ROUNDING = 1e-3
_decoding = threading.local()


def read(picture: Picture, *, color: Color | None = None) -> NDArray[np.uint8]:
    """Read one picture of any kind.

    Args:
        picture: a path, an encoded picture as bytes, a PIL image, or an array: (H, W) or (H, W, 1) grey,
            (H, W, 3) colour, (H, W, 4) colour and opacity, as uint8, uint16, or floats from 0 to 1.
        color: the order of an array's channels, "rgb" or "bgr" (OpenCV's); needed for colour arrays, without
            meaning for everything else.

    Returns:
        RGB uint8 (H, W, 3). It may share memory with the array that came in; do not write to it.

    Raises:
        PictureError: the picture cannot be read; the message names the file, and what was expected.

    >>> read(np.zeros((2, 3), np.uint8)).shape
    (2, 3, 3)
    >>> read(np.full((1, 1, 3), (255, 0, 0), np.uint8), color="bgr")[0, 0].tolist()
    [0, 0, 255]
    """
    return read_noted(picture, color=color)[0]


def read_noted(picture: Picture, *, color: Color | None = None) -> tuple[NDArray[np.uint8], str | None]:
    """As :func:`read`, with a note where something should be known of the picture; None: nothing."""
    if isinstance(picture, np.ndarray):
        return _from_array(picture, color), None
    if isinstance(picture, Image.Image):
        with _explained("the PIL image"):
            return _from_image(picture), None
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return decode_noted(bytes(picture))
    if is_path(picture):
        return _from_file(Path(picture))
    raise PictureError(f"a picture is a path, bytes, a PIL image or a numpy array, not {type(picture).__name__}")


def is_path(value: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it names a file."""
    return isinstance(value, (str, os.PathLike))


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode an encoded picture to RGB uint8 (H, W, 3).

    A JPEG that lacks no more than a twentieth of its pixels, at its end, is read without them.

    Raises:
        PictureError: the bytes are no picture, are cut off, or hold more than ``MAX_PIXELS``.
    """
    return decode_noted(data)[0]


def decode_noted(data: bytes) -> tuple[NDArray[np.uint8], str | None]:
    """As :func:`decode`, with a note where pixels are missing; None: all are there."""
    if not data:
        raise PictureError(f"0 bytes, expected a {formats.NAMES} picture")
    if len(data) > MAX_BYTES:
        raise PictureError(f"more than {MAX_BYTES:,} bytes, expected a {formats.NAMES} picture")
    with _explained(None):
        try:
            with _open(data) as image:
                return _from_image(image), None
        except OSError:
            mended = _without_end(data) if data.startswith(_JPEG) else None
            if mended is None:
                raise
            return mended


def luma(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R BT.601 luma of an RGB uint8 picture (..., 3), rounded to uint8 (...). Grey stays what it is."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(picture.astype(np.float32) @ weights).astype(np.uint8)


def _from_file(path: Path) -> tuple[NDArray[np.uint8], str | None]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise PictureError(f"{path}: a folder, expected a picture file") from error
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        named = path if len(str(path)) < 1024 else shown(path)
        raise PictureError(f"{named}: cannot be read: {getattr(error, 'strerror', error)}") from error
    try:
        return decode_noted(data)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=formats.DECODED)
    except Image.UnidentifiedImageError:
        if data[4:8] != b"ftyp" or data[8:12] not in _HEIC_BRANDS:
            raise
    try:
        heif = require("pi_heif", "heic")
    except MissingExtraError as error:
        raise PictureError(f"a HEIC picture: {error}") from error
    opened = heif.open_heif(data, convert_hdr_to_8bit=True)
    _check_size(*opened.size)
    return opened.to_pillow()


def _without_end(data: bytes) -> tuple[NDArray[np.uint8], str] | None:
    """A JPEG that breaks off, and what is missing; None where that is much.

    It is decoded twice, with two different endings: from the first pixel on in which they differ, it is missing.
    """
    endings = (_JPEG_END, bytes(range(1, 255)) + _JPEG_END)
    grown: list[NDArray[np.uint8]] = []
    for ending in endings:
        with Image.open(io.BytesIO(data + ending), formats=("JPEG",)) as image:
            grown.append(np.asarray(image.convert("RGB")))
    height, width = grown[0].shape[:2]
    wrong = (grown[0] != grown[1]).any(axis=2)
    rows = np.flatnonzero(wrong.any(axis=1))
    missing = 0
    if len(rows):
        top = int(rows[0])
        block = wrong[top : top + _BLOCK]
        left = int(np.flatnonzero(block.any(axis=0))[0])
        missing = (height - top) * width - left * len(block)
    if missing > height * width * _MAY_LACK:
        return None
    with Image.open(io.BytesIO(data + _JPEG_END), formats=("JPEG",)) as image:
        pixels = _from_image(image)
    return pixels, f"cut off: its last bytes are missing, and with them {missing / (height * width):.1%} of its pixels"


class _InThisThread(type):
    """Makes a warning's class one that all warnings belong to in threads that decode, and none in others."""

    def __subclasscheck__(cls, kind: type) -> bool:
        return getattr(_decoding, "depth", 0) > 0


class _WhileDecoding(Warning, metaclass=_InThisThread):
    """Whatever Pillow warns of while a picture is decoded."""


@contextmanager
def _explained(name: str | None) -> Generator[None, None, None]:
    """Pillow's faults become PictureErrors, its warnings stay inside.

    Filters for warnings belong to the whole process. So there is one that ignores what comes from a thread that is
    decoding, and lets everything else pass; no thread waits for another.
    """
    if not warnings.filters or warnings.filters[0][2] is not _WhileDecoding:
        warnings.simplefilter("ignore", _WhileDecoding)
    prefix = f"{name}: " if name else ""
    _decoding.depth = getattr(_decoding, "depth", 0) + 1
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{prefix}{error}") from error
    except Image.UnidentifiedImageError as error:
        raise PictureError(f"{prefix}not a picture that mien reads, expected {formats.NAMES}") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{prefix}{error}; mien reads up to {MAX_PIXELS:,} pixels") from error
    except MemoryError as error:
        raise PictureError(f"{prefix}this machine has too little memory for it: make it smaller") from error
    except Exception as error:  # Pillow's decoders raise all kinds of errors on damaged data
        told = shown(" ".join(str(error).split()), 200)  # decoders quote the file, over several lines
        raise PictureError(f"{prefix}damaged or cut off: {told or type(error).__name__}") from error
    finally:
        _decoding.depth -= 1


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PictureError(f"{width}x{height} pixels, mien reads up to {MAX_PIXELS:,}: make it smaller")
    if not width * height:
        raise PictureError("no pixels")


def _from_image(image: Image.Image) -> NDArray[np.uint8]:
    _check_size(image.width, image.height)
    image = orientation.upright(image)
    if image.mode.startswith(("I", "F")):  # 16-bit grey and what TIFF makes of it; convert() would clip it
        return _from_wide(np.asarray(image), image.mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _from_wide(values: NDArray[Any], mode: str) -> NDArray[np.uint8]:
    """Grey values of a picture with more than 8 bits: 0-65535, or floats from 0 to 1."""
    if mode == "F":
        return _from_array(values, None)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError(f"values from {values.min()} to {values.max()}, expected 16 bits: 0 to 65535")
    return _from_array(values.astype(np.uint16), None)


def _from_array(array: NDArray[Any], color: str | None) -> NDArray[np.uint8]:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise PictureError(
            f"an array of shape {array.shape}, expected (H, W) or (H, W, 1) if grey, (H, W, 3 or 4) if not"
        )
    if color not in (None, "rgb", "bgr"):
        raise PictureError(f"color={shown(repr(color))}, expected 'rgb' or 'bgr'")
    pixels = _to_bytes(array)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if color is None:
        raise PictureError("a colour array's channel order must be said: color='rgb', or color='bgr' (OpenCV)")
    opacity = pixels[..., 3:]
    pixels = pixels[..., :3] if color == "rgb" else pixels[..., 2::-1]
    if opacity.size:
        share = opacity.astype(np.float32) / 255
        pixels = np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def _to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f":
        # NaN compares false, so it is refused too.
        if not (array.min() >= -_ROUNDING and array.max() <= 1 + _ROUNDING):
            raise PictureError(
                f"floats from {array.min():g} to {array.max():g}, expected 0 to 1;"
                " for values up to 255 pass array.astype(np.uint8)"
            )
        return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    raise PictureError(f"an array of {array.dtype}, expected uint8, uint16, or floats from 0 to 1")
