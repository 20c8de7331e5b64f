"""The one list of files that mien reads, by suffix, and what of a folder is left out.

``predict``, ``batch``, ``watch``, archives and ``data import`` all go by it; a test decodes a file of each suffix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

#: Suffix of a picture's name to Pillow's name of its format; of HEIC, which another library decodes, "HEIF".
FORMAT_OF = {
    **dict.fromkeys((".jpg", ".jpeg", ".jfif", ".jpe"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".gif": "GIF",
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx"), "JPEG2000"),
    ".avif": "AVIF",
    **dict.fromkeys((".heic", ".heif"), "HEIF"),
}
#: Suffixes of pictures.
PICTURES = frozenset(FORMAT_OF)
#: Suffixes of videos.
VIDEOS = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".ogv", ".wmv", ".asf", ".flv"),
        *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts"),
    )
)
#: What Pillow is allowed to decode.
DECODED = tuple(sorted(set(FORMAT_OF.values()) - {"HEIF"}))
#: As messages name them.
NAMES = "JPEG, PNG, WebP, BMP, TIFF, GIF, PNM, JPEG 2000, AVIF or HEIC"


def left_out(suffixes: Iterable[str]) -> str | None:
    """One line on files that were left out, the most frequent kinds first; None where there are none.

    >>> left_out([".heic", ".xyz", ".HEIC", ""])
    '4 files left out: 2 .heic, 1 .xyz, 1 without a suffix'
    """
    counts = Counter(suffix.lower() for suffix in suffixes)
    if not counts:
        return None
    kinds = [f"{count:,} {kind or 'without a suffix'}" for kind, count in counts.most_common(8)]
    more = len(counts) - len(kinds)
    total = counts.total()
    kinds += [f"{more} more kinds"] if more > 0 else []
    return f"{total:,} file{'s' * (total > 1)} left out: {', '.join(kinds)}"
