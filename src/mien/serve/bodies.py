"""What a client sends: bounded in bytes and time while it comes, in pixels before it is decoded.

Nothing is kept on disk but videos, which are removed when their reply is sent.
"""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from mien.errors import PictureError
from mien.serve.problems import Gone, Problem
from mien.serve.settings import Settings
from mien.sources import images

#: Bytes that a form may have besides its files.
FORM_BYTES = 2**16
#: Bytes of a list with one web address.
ADDRESS_BYTES = 2**13
#: Frames that an animation may have; only the first is looked at.
MOST_FRAMES = 500
_NOT_BODIES = ("application/json", "application/x-www-form-urlencoded", "text/")


@dataclass(frozen=True)
class File:
    """A file of a form."""

    name: str
    data: bytes


def media_type(request: Request) -> str:
    """The body's media type in lower case, without parameters; "" if it names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def chunks(request: Request, settings: Settings, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        Problem: it is larger than ``limit`` bytes, announced or not, or comes too slowly.
        Gone: the client left.
    """
    too_large = Problem("too-many-bytes", f"more than {limit:,} bytes, which is the most that is taken here")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    began, size, more = monotonic(), 0, True
    while more:
        left = began + settings.body_seconds + size / settings.least_rate - monotonic()
        try:
            message = await asyncio.wait_for(request.receive(), max(left, 0.001))
        except TimeoutError as error:
            detail = f"{size:,} bytes came in {monotonic() - began:.0f} s; send it faster, or a smaller picture"
            raise Problem("too-slow", detail, {"Connection": "close"}) from error
        if message["type"] != "http.request":
            raise Gone
        size += len(message.get("body", b""))
        if size > limit:
            raise too_large
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def whole(request: Request, settings: Settings, limit: int) -> bytes:
    """The whole body; raises as :func:`chunks`."""
    return b"".join([chunk async for chunk in chunks(request, settings, limit)])


async def form(request: Request, data: bytes, max_files: int) -> tuple[list[File], dict[str, str]]:
    """The files and fields of a multipart form that was read, in order.

    Raises:
        Problem: it is damaged, or holds too many files.
    """

    async def body() -> AsyncGenerator[bytes, None]:
        yield data

    parser = _InMemory(request.headers, body(), max_files=max_files, max_fields=32, max_part_size=len(data) + 1)
    try:
        parsed = await parser.parse()
        files: list[File] = []
        fields: dict[str, str] = {}
        for name, value in parsed.multi_items():
            if isinstance(value, UploadFile):
                files.append(File(value.filename or "", await value.read()))
            else:
                fields[name] = value
    except MultiPartException as error:
        raise Problem("bad-request", f"the multipart form is damaged: {error.message}") from error
    except Exception as error:  # the parser raises many types of its own on damaged forms
        raise Problem("bad-request", f"the multipart form is damaged ({type(error).__name__})") from error
    finally:
        parser.close()
    return files, fields


class _InMemory(MultiPartParser):
    """The form parser, which else writes files of more than 1 MB to the disk."""

    spool_max_size = 2**40

    def close(self) -> None:
        """Drop what was read, files that never ended too."""
        for file in self._files_to_close_on_error:
            file.close()


async def picture(request: Request, settings: Settings) -> bytes:
    """The one picture of a request: its body, or the one file of a form.

    Raises:
        Problem: it is no such request, or larger or slower than may be.
        Gone: the client left.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        data = await whole(request, settings, settings.max_bytes + FORM_BYTES)
        files, _ = await form(request, data, 1)
        if len(files) != 1:
            raise Problem("bad-request", f"{len(files)} files in the form, expected one picture")
        data = files[0].data
    elif kind.startswith(_NOT_BODIES):
        raise Problem(
            "unsupported-media-type",
            f"{kind}: send the picture itself as the body (Content-Type: image/jpeg), or one file of a multipart form",
        )
    else:
        data = await whole(request, settings, settings.max_bytes)
    check_bytes(data, settings)
    return data


def check_bytes(data: bytes, settings: Settings) -> None:
    """Raise the Problem of a picture that has too many bytes."""
    if len(data) > settings.max_bytes:
        raise Problem("too-many-bytes", f"a picture of {len(data):,} bytes, the most is {settings.max_bytes:,}")


def decode(data: bytes, settings: Settings) -> tuple[NDArray[np.uint8], str | None]:
    """Decode a picture once its pixels are counted, those of all its frames: RGB uint8 (H, W, 3), and its note.

    Raises:
        Problem: it has too many pixels.
        PictureError: it cannot be read.
    """
    limit = settings.max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                count = _count(image, data, limit)
        except Image.DecompressionBombError as error:
            raise Problem("too-many-pixels", f"{error}; the most is {limit:,} pixels") from error
        except Problem:
            raise
        except UnidentifiedImageError:
            count = 0  # whose error images.decode words
        except Exception as error:  # Pillow's decoders raise all kinds of errors on damaged data
            raise PictureError(f"damaged or cut off: {error}") from error
    pixels, note = images.decode_noted(data) if count <= limit else (None, None)
    if pixels is not None and not count:  # of a kind that only a further library opens, as HEIC
        count = pixels.shape[0] * pixels.shape[1]
    if pixels is None or count > limit:
        raise Problem("too-many-pixels", f"{count:,} or more pixels in all frames together, the most is {limit:,}")
    return pixels, note


def _count(image: Image.Image, data: bytes, limit: int) -> int:
    """Pixels of all frames, without decoding any; counting stops above the limit.

    Raises:
        Problem: there are more than :data:`MOST_FRAMES`.
    """
    each = total = image.width * image.height
    frames = 1
    if image.format == "TIFF":  # whose pages differ, and whose number only walking through them tells
        with suppress(EOFError):
            while total <= limit and frames <= MOST_FRAMES:
                image.seek(frames)
                frames += 1
                total += image.width * image.height
    elif total <= limit:
        frames = gif_frames(data) if image.format == "GIF" else int(getattr(image, "n_frames", 1))
        total = each * frames
    if frames > MOST_FRAMES:
        raise Problem("too-many-pixels", f"more than {MOST_FRAMES} frames; send what moves as a video to /v1/video")
    return total


def gif_frames(data: bytes) -> int:
    """Frames of a GIF by its blocks, up to one more than :data:`MOST_FRAMES`; Pillow would decode each."""
    frames, place = 0, 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while frames <= MOST_FRAMES and place + 10 < len(data):
        if data[place] == 0x2C:  # an image: its place, perhaps a palette, the least code size
            frames += 1
            flags = data[place + 9]
            place += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        elif data[place] == 0x21:  # an extension
            place += 2
        else:
            break
        while place < len(data) and data[place]:
            place += data[place] + 1
        place += 1
    return max(frames, 1)
