"""Everything mien raises on purpose.

::

    MienError
    ├── PictureError        a picture cannot be read, is too large, or is of the wrong shape or type
    ├── SourceError         an archive, address, video or camera cannot be opened, is refused, or breaks off
    ├── DetectorError       a face detector cannot be built or does not exist
    ├── DownloadError       a file could not be fetched or is not the one that was expected
    ├── ModelError          a model file is missing, damaged, or carries no valid card
    ├── WriteError          a file cannot be written; an older one of that name is as it was
    ├── DataError           a data set or table is not what it should be; names the file or row
    │   └── LabelError      a label that no expression is known for
    ├── RecipeError         a recipe says something impossible; lists every fault at once
    ├── TrainingError       a training run cannot start or go on
    ├── ExportError         an exported file failed one of its gates
    └── MissingExtraError   an optional library is not installed; names the install command

    MienWarning             what was asked for is done less well than it could be, and why; a UserWarning

Every message says what happened, where, and what mends it. Refuses to hold any logic but that.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def shown(value: object, most: int = 80) -> str:
    """Input as a message shows it: what does not print escaped, no more than ``most`` characters, the middle cut out.

    >>> shown("ä\\nb"), shown("x" * 500, 9)
    ('ä\\\\nb', 'xxx...xxx')
    """
    text = str(value)
    text = text if len(text) <= 4 * most else text[: 2 * most] + text[-2 * most :]
    text = printable(text)
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def printable(text: str, kept: str = "") -> str:
    """Text as a terminal may show it: what does not print escaped, but for the letters in ``kept``.

    >>> printable("ä\\nb\\x1b[31m"), printable("ä\\nb", "\\n")
    ('ä\\\\nb\\\\x1b[31m', 'ä\\nb')
    """
    return "".join(letter if letter.isprintable() or letter in kept else ascii(letter)[1:-1] for letter in text)


class MienWarning(UserWarning):
    """What was asked for is done less well than it could be; says why, and what mends it."""


class MienError(Exception):
    """Base of all errors that mien raises on purpose."""


class PictureError(MienError):
    """A picture cannot be read, is too large, or is of the wrong shape or type."""


class SourceError(MienError):
    """An archive, address, video or camera cannot be opened, is refused, or breaks off."""


class DetectorError(MienError):
    """A face detector cannot be built or does not exist."""


class DownloadError(MienError):
    """A file could not be fetched, or is not the one that was expected."""


class ModelError(MienError):
    """A model file is missing, damaged, or carries no valid card."""


class WriteError(MienError):
    """A file cannot be written; an older one of that name is as it was."""


class DataError(MienError):
    """A data set or table is not what it should be."""


class LabelError(DataError):
    """A label that no expression is known for."""


class RecipeError(MienError):
    """A recipe says something impossible."""


class TrainingError(MienError):
    """A training run cannot start or go on."""


class ExportError(MienError):
    """An exported model file failed one of its gates."""


class MissingExtraError(MienError):
    """An optional library is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of mien brings it.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(f"this needs {package}, which is not installed: pip install 'mien[{extra}]'") from error
