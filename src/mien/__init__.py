"""mien reads facial expressions in pictures.

    >>> import mien
    >>> mien.predict("photo.jpg").faces[0].expression               # doctest: +SKIP
    'happy'

The public names are those of ``__all__``; each is loaded when it is first used, so that ``import mien`` costs next to
nothing. Load a :class:`Recognizer` once to choose the model and the detector, and to read folders, videos and cameras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.errors import (
        DataError,
        DetectorError,
        DownloadError,
        ExportError,
        LabelError,
        MienError,
        MienWarning,
        MissingExtraError,
        ModelError,
        PictureError,
        RecipeError,
        SourceError,
        TrainingError,
        WriteError,
    )
    from mien.models import Card, Model
    from mien.outputs.draw import annotate
    from mien.recognizer import Recognizer, predict
    from mien.results import Box, Face, Frame, Quality
    from mien.sources.sources import ReadOptions
    from mien.tracking.options import TrackingOptions

    __version__: str

__all__ = [
    "Box",
    "Card",
    "DataError",
    "DetectorError",
    "DownloadError",
    "ExportError",
    "Face",
    "Frame",
    "LabelError",
    "MienError",
    "MienWarning",
    "MissingExtraError",
    "Model",
    "ModelError",
    "PictureError",
    "Quality",
    "ReadOptions",
    "RecipeError",
    "Recognizer",
    "SourceError",
    "TrackingOptions",
    "TrainingError",
    "WriteError",
    "__version__",
    "annotate",
    "predict",
]

_HOME = {
    **dict.fromkeys([name for name in __all__ if name.endswith(("Error", "Warning"))], "mien.errors"),
    **dict.fromkeys(["Box", "Face", "Frame", "Quality"], "mien.results"),
    **dict.fromkeys(["Recognizer", "predict"], "mien.recognizer"),
    **dict.fromkeys(["Card", "Model"], "mien.models"),
    "ReadOptions": "mien.sources.sources",
    "TrackingOptions": "mien.tracking.options",
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
