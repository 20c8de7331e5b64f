"""The Karolinska Directed Emotional Faces as their authors give them out.

Lundqvist, Flykt and Öhman 1998, "The Karolinska Directed Emotional Faces - KDEF": 4,900 pictures of 562x762 px, 35
women and 35 men, seven posed expressions from five angles in two sessions. A name such as ``AF01ANS.JPG`` is the
session (A, B), the sex (F, M) and number of the person, the expression and the angle: FL full left, HL half left,
S straight, HR half right, FR full right. Two of the original's names lack the expression (``AF31V``, ``AM31H``): they
are left out and the notes say so. There are no official splits. Refuses the averaged faces (AKDEF) beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.data.cutting import Cut
from mien.data.listed import Deal, Listed, write_listed
from mien.data.originals import match_names
from mien.data.partition import Progress
from mien.data.writer import TableInfo
from mien.errors import DataError, shown
from mien.expressions import BASIC_SEVEN

#: What the codes in the names mean.
CODES = {
    "AF": "fear",
    "AN": "angry",
    "DI": "disgust",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
ANGLES = ("FL", "HL", "S", "HR", "FR")


def import_kdef(
    root: Path,
    out: Path,
    *,
    angles: Sequence[str] = ("S",),
    deal: Deal | None = None,
    cut: Cut | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the canonical table of KDEF; groups are the people, over both sessions.

    Args:
        root: the folder with a folder for each person and session.
        out: the table to write.
        angles: which of ``ANGLES``.
        deal: shares and seed of the splits.
        cut: whether faces are cut out of the pictures.
        progress: called with the pictures read and their number.

    Raises:
        DataError: there is no such angle, no picture has such a name, or one is damaged.
        DetectorError, DownloadError, MissingExtraError: the detector cannot be had.
    """
    wanted = {angle.strip().upper() for angle in angles}
    if not wanted or not wanted <= set(ANGLES):
        raise DataError(f"the angles '{shown(', '.join(angles))}' are not among KDEF's {', '.join(ANGLES)}")
    named, notes = match_names(root, rf"[AB]([FM]\d\d)({'|'.join(CODES)})({'|'.join(ANGLES)})", "AF01ANS.JPG")
    listed = [
        Listed(path, BASIC_SEVEN.index(CODES[match[2].upper()]), subject=match[1].upper())
        for path, match in named
        if match[3].upper() in wanted
    ]
    if not listed:
        raise DataError(f"{root} holds no picture from the angles {', '.join(sorted(wanted))}")
    taken = [angle for angle in ANGLES if angle in wanted]
    if len(listed) < len(named):
        notes = (f"{len(listed):,} of {len(named):,} pictures: those from the angles {', '.join(taken)}", *notes)
    source = {"file": root.resolve().name, "layout": "KDEF names", "angles": taken}
    info = TableInfo("kdef", "fer2013", BASIC_SEVEN, source, notes=notes)
    write_listed(root, out, listed, info, deal=deal, cut=cut, progress=progress)
