"""The Extended Cohn-Kanade data set as its authors give it out.

Lucey et al. 2010, "The Extended Cohn-Kanade Dataset (CK+): A complete dataset for action unit and emotion-specified
expression": sequences from the neutral face to the peak of an expression, 327 of 593 with an emotion label, 123 people.
Two archives side by side::

    cohn-kanade-images/S005/001/S005_001_00000001.png  …
    Emotion/S005/001/S005_001_00000011_emotion.txt     "   3.0000000e+00", a code from 0 to 7

Codes as in the archive's readme. Takes of each labelled sequence the last frames with the label and the first one as
neutral, as the literature does; sequences without a label are left out. There are no official splits. Refuses the
48-pixel copies in class folders that are passed around (``folder`` takes those).
"""

from __future__ import annotations

from pathlib import Path

from mien.data.cutting import Cut
from mien.data.listed import Deal, Listed, write_listed
from mien.data.originals import inner_folder
from mien.data.partition import Progress
from mien.data.writer import TableInfo
from mien.errors import DataError
from mien.expressions import BASIC_EIGHT
from mien.sources.images import SUFFIXES

#: The labels in the order of their codes.
CODES = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
#: Sequences that have a label in the original.
LABELLED = 327
_EXPECTED = "CK+ with cohn-kanade-images/S005/001/S005_001_00000001.png and Emotion/S005/001/…_emotion.txt"


def import_ckplus(
    root: Path,
    out: Path,
    *,
    frames: int = 3,
    deal: Deal | None = None,
    cut: Cut | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of CK+; groups are the people.

    Args:
        root: the folder with both archives unpacked.
        out: the table to write.
        frames: how many frames at the end of a sequence carry its label, 1 or more.
        deal: shares and seed of the splits.
        cut: whether faces are cut out of the frames of 640x490 px.
        progress: called with the pictures read and their number.

    Raises:
        DataError: the folders are not laid out so, or a sequence, label or picture is damaged.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """
    if frames < 1:
        raise DataError(f"{frames} frames of each sequence: expected 1 or more")
    images, emotions = (inner_folder(root, name, _EXPECTED) for name in ("cohn-kanade-images", "Emotion"))
    labels = sorted(emotions.glob("S*/*/S*_emotion.txt"))
    if not labels:
        raise DataError(f"{emotions} holds no labels: expected files such as S005/001/S005_001_00000011_emotion.txt")
    listed = [picture for file in labels for picture in _sequence(root, images, file, frames)]
    notes = [
        f"of each of the {len(labels)} labelled sequences the last frames, {frames} at most, carry the label, the first"
        " is neutral"
    ]
    if len(labels) != LABELLED:
        notes.append(f"{len(labels)} of CK+'s {LABELLED} labelled sequences: a part")
    source = {"file": root.resolve().name, "layout": "CK+ sequences", "frames": frames}
    info = TableInfo("ckplus", "ckplus", BASIC_EIGHT, source, notes=tuple(notes))
    write_listed(root, out, listed, info, deal=deal, cut=cut, progress=progress)


def _sequence(root: Path, images: Path, file: Path, frames: int) -> list[Listed]:
    """The pictures that are taken of the sequence of a label file."""
    sequence, person = file.parent.name, file.parents[1].name
    folder = images / person / sequence
    found = sorted(p for p in folder.glob("S*") if p.suffix.lower() in SUFFIXES)
    if len(found) < 2:
        raise DataError(f"{folder} holds {len(found)} frames, though {file} labels it: expected two or more")
    label = BASIC_EIGHT.index(CODES[_code(file)])
    neutral = BASIC_EIGHT.index("neutral")
    taken = [(found[0], neutral), *((frame, label) for frame in found[1:][-frames:])]
    return [Listed(frame.relative_to(root).as_posix(), which, subject=person) for frame, which in taken]


def _code(file: Path) -> int:
    try:
        text = file.read_text(encoding="utf-8").strip()
        code = float(text)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} holds no label: expected a number from 0 to {len(CODES) - 1}") from error
    if code not in range(len(CODES)):
        raise DataError(f"{file}: label {text[:20]}, expected a number from 0 to {len(CODES) - 1}")
    return int(code)
