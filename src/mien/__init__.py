"""mien reads facial expressions in pictures.

    >>> from mien import Recognizer
    >>> recognizer = Recognizer()                                   # doctest: +SKIP
    >>> recognizer.predict("photo.jpg").faces[0].expression         # doctest: +SKIP
    'happy'

The public names are below; each is loaded when it is first used, so that ``import mien`` costs next to
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.errors import DetectorError, DownloadError, MienError, ModelError, PictureError, SourceError
    from mien.outputs.draw import annotate
    from mien.recognizer import Recognizer
    from mien.results import Box, Face, Frame

    __version__: str

__all__ = [
    "Box",
    "DetectorError",
    "DownloadError",
    "Face",
    "Frame",
    "MienError",
    "ModelError",
    "PictureError",
    "Recognizer",
    "SourceError",
    "__version__",
    "annotate",
]

_HOME = {
    "Box": "mien.results",
    "DetectorError": "mien.errors",
    "DownloadError": "mien.errors",
    "Face": "mien.results",
    "Frame": "mien.results",
    "MienError": "mien.errors",
    "ModelError": "mien.errors",
    "PictureError": "mien.errors",
    "Recognizer": "mien.recognizer",
    "SourceError": "mien.errors",
    "annotate": "mien.outputs.draw",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("mien")
    elif name in _HOME:
        from importlib import import_module

        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
