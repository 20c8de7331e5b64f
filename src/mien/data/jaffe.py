"""The Japanese Female Facial Expression data set as its authors give it out.

Lyons et al. 1998, "Coding Facial Expressions with Gabor Wavelets": 213 grey pictures of 256x256 px, ten women, seven
posed expressions. A name such as ``KA.AN1.39.tiff`` is the person, the code of the expression with the number of the
pose, and the number of the picture. There are no official splits. Refuses pictures with other names.
"""

from __future__ import annotations

from pathlib import Path

from mien.data.cutting import Cut
from mien.data.listed import Deal, Listed, write_listed
from mien.data.originals import match_names
from mien.data.partition import Progress
from mien.data.writer import TableInfo
from mien.expressions import BASIC_SEVEN

#: What the codes in the names mean.
CODES = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "SA": "sad",
    "SU": "surprise",
    "NE": "neutral",
}
#: Pictures in the original.
PUBLISHED = 213


def import_jaffe(
    root: Path, out: Path, *, deal: Deal | None = None, cut: Cut | None = None, progress: Progress | None = None
) -> None:
    """Write the canonical table of JAFFE; groups are the people.

    Args:
        root: the folder with the pictures.
        out: the table to write.
        deal: shares and seed of the splits.
        cut: whether faces are cut out of the pictures.
        progress: called with the pictures read and their number.

    Raises:
        DataError: no picture has such a name, or one is damaged.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """
    named, notes = match_names(root, rf"([A-Z]{{2}})\.({'|'.join(CODES)})\d+\.\d+", "KA.AN1.39.tiff")
    listed = [
        Listed(path, BASIC_SEVEN.index(CODES[match[2].upper()]), subject=match[1].upper()) for path, match in named
    ]
    if len(listed) != PUBLISHED:
        notes = (*notes, f"{len(listed)} pictures, where JAFFE has {PUBLISHED}")
    info = TableInfo(
        "jaffe", "fer2013", BASIC_SEVEN, {"file": root.resolve().name, "layout": "JAFFE names"}, notes=notes
    )
    write_listed(root, out, listed, info, deal=deal, cut=cut, progress=progress)
