"""The basic part of the Real-world Affective Faces Database as its authors give it out.

Li, Deng and Du 2017, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the
Wild": 15,339 pictures from the web, seven expressions, 12,271 for training and 3,068 for testing::

    EmoLabel/list_patition_label.txt      "train_00001.jpg 5", a code from 1 to 7
    Image/aligned/train_00001_aligned.jpg  100x100 px, turned upright by the eyes
    Image/original/train_00001.jpg         the whole picture

Codes as in the archive's readme. The test split is the authors'; they published no validation split, so a share of
their training rows is that. Refuses the compound expressions, which are other labels.
"""

from __future__ import annotations

from pathlib import Path

from mien.data.cutting import Cut
from mien.data.listed import Deal, Listed, write_listed
from mien.data.originals import inner_folder
from mien.data.partition import Progress
from mien.data.writer import TableInfo
from mien.errors import DataError, shown
from mien.expressions import BASIC_SEVEN

#: The labels in the order of their codes, from 1.
CODES = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
PUBLISHED = {"train": 12_271, "test": 3_068}
_LIST = "list_patition_label.txt"  # the archive's own spelling
_EXPECTED = f"RAF-DB with EmoLabel/{_LIST} and Image/aligned/train_00001_aligned.jpg"


def import_rafdb(
    root: Path,
    out: Path,
    *,
    original: bool = False,
    deal: Deal | None = None,
    cut: Cut | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of RAF-DB's basic expressions.

    Args:
        root: the folder with ``EmoLabel`` and ``Image``, or the one around it.
        out: the table to write.
        original: take the whole pictures instead of the aligned faces.
        deal: share of the train rows that is validation, and seed.
        cut: whether faces are cut out of the pictures.
        progress: called with the pictures read and their number.

    Raises:
        DataError: the folders are not laid out so, or a line or picture is damaged.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """
    labels = inner_folder(root, "EmoLabel", _EXPECTED) / _LIST
    kind = "original" if original else "aligned"
    images = inner_folder(labels.parents[1], "Image", _EXPECTED) / kind
    if not images.is_dir():
        raise DataError(f"{images} is not there: expected {_EXPECTED}, or Image/original and --original")
    listed = [_row(root, images, line, f"{labels}, line {n}") for n, line in enumerate(_lines(labels), 1) if line]
    if not listed:
        raise DataError(f"{labels} has no lines: expected train_00001.jpg 5 and so on")
    source = {"file": root.resolve().name, "layout": "RAF-DB list", "images": kind}
    info = TableInfo("rafdb", "fer2013", BASIC_SEVEN, source)
    write_listed(root, out, listed, info, deal=deal, cut=cut, published=[PUBLISHED], progress=progress)


def _lines(labels: Path) -> list[str]:
    try:
        return [line.strip() for line in labels.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{labels} is no readable list: expected {_EXPECTED}") from error


def _row(root: Path, images: Path, line: str, where: str) -> Listed:
    name, _, code = line.partition(" ")
    stem, split = name.removesuffix(".jpg"), name.partition("_")[0]
    codes = {str(number): label for number, label in enumerate(CODES, 1)}
    if split not in PUBLISHED or stem == name or code.strip() not in codes:
        raise DataError(
            f"{where} reads '{shown(line, 40)}': expected train_ or test_, a number, .jpg, and a code from 1 to 7"
        )
    file = images / (f"{stem}_aligned.jpg" if images.name == "aligned" else name)
    return Listed(file.relative_to(root).as_posix(), BASIC_SEVEN.index(codes[code.strip()]), split)
