"""What ``fer`` and ``deepface`` take as a picture, as ``mien.Recognizer`` takes it.

Owns data URIs (base64) and open files, which mien itself does not take. Refuses to fetch: an address is an error.
Arrays pass through as they are; both packages mean OpenCV's channel order by them, so they go to
``predict(..., color="bgr")``.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

from mien.errors import PictureError, shown
from mien.sources.images import Picture


def opened(picture: Any) -> Picture:
    """The picture as a path, bytes, PIL image or array.

    Args:
        picture: any of these; or ``"data:image/...;base64,..."``; or a file opened in binary mode, which is read from
            its start.

    Raises:
        PictureError: it is None, an address, a file opened as text, or no valid base64.
    """
    if picture is None:
        raise PictureError("None is no picture; it is what cv2.imread returns for a file that it cannot read")
    if isinstance(picture, str):
        if picture.startswith("data:image/"):
            return _decoded(picture)
        if picture.lower().startswith(("http://", "https://")):
            raise PictureError(f"{shown(picture)}: addresses are not fetched; download the picture and pass its path")
    if callable(getattr(picture, "read", None)):
        return _contents(picture)
    return picture


def _decoded(uri: str) -> bytes:
    head, comma, data = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise PictureError(
            f"a data URI that begins '{shown(uri, 32)}', expected 'data:image/...;base64,' and base64 after it"
        )
    try:
        # Lines may be wrapped; anything else that is not base64 is damage, which b64decode would skip in silence.
        return base64.b64decode("".join(data.split()), validate=True)
    except ValueError as error:
        raise PictureError(f"a data URI whose base64 is damaged: {error}") from error


def _contents(file: Any) -> bytes:
    with suppress(AttributeError, OSError, ValueError):  # what does not seek is read from where it stands
        file.seek(0)
    data = file.read()
    if not isinstance(data, bytes):
        raise PictureError(f"a file that gives {type(data).__name__}, expected bytes: open it with mode 'rb'")
    return data
