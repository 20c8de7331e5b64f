"""A gallery: one HTML page with everything that was read, which needs no other file and no network.

A picture is a thumbnail with its faces' boxes; a video is a timeline of each face, linked to the clearest frame of each
expression. Buttons filter by expression. Owns the page. Refuses to read pictures and to recognize.

    with Gallery(Path("page.html")) as gallery:
        for source_frame, frame in recognizer.read(source_frames("holidays/")):
            gallery.write(source_frame.pixels, frame)
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import IO
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MienError
from mien.files import AtomicFile, explained
from mien.outputs.display import data_address
from mien.outputs.draw import COLOURS
from mien.outputs.gallery_page import page
from mien.outputs.pixelate import hide_faces
from mien.results import Face, Frame

_LONGEST = 480  # pixels of a thumbnail's longest side
_CHIPS = 6  # faces that are named below a picture; the rest is counted
_TRACKS = 6  # faces of a video that have a timeline: those seen longest
_GAP = 1.0  # seconds without a face that end a stretch of the timeline
NO_FACE, NOT_READ = "no face", "not read"


@dataclass
class _Stretch:
    """Part of a timeline in which a face shows one expression."""

    label: str
    start: float
    end: float


@dataclass
class _Clip:
    """A video on its way into the page."""

    source: str | None
    stretches: dict[int, list[_Stretch]] = field(default_factory=dict[int, list[_Stretch]])
    keys: dict[str, tuple[float, NDArray[np.uint8], Frame, Face]] = field(
        default_factory=dict[str, tuple[float, NDArray[np.uint8], Frame, Face]]
    )
    start: float = 0.0
    end: float = 0.0
    empty: NDArray[np.uint8] | None = None  # its first frame, shown where no face was seen

    def add(self, pixels: NDArray[np.uint8], frame: Frame, *, hide: bool) -> None:
        at = frame.time or 0.0
        if self.empty is None:
            self.start, self.empty = at, _thumbnail(pixels)
        self.end = max(self.end, at)
        for face in frame.faces:
            label, probability = face.steadiest
            if label not in self.keys or probability > self.keys[label][3].steadiest[1]:
                small = _thumbnail(hide_faces(pixels, frame) if hide else pixels)
                self.keys[label] = (at, small, frame, face)
            if face.track is None:
                continue
            known = self.stretches.setdefault(face.track, [])
            if known and known[-1].label == label and at - known[-1].end <= _GAP:
                known[-1].end = at
            else:
                if known and at - known[-1].end <= _GAP:
                    known[-1].end = at
                known.append(_Stretch(label, at, at))


class Gallery:
    """Takes pictures and frames one by one and writes the page when it is closed; use it in a ``with`` statement.

    Memory does not grow with the number of pictures. Where the statement is left by an exception, no page appears.

    Args:
        path: the page, ends in .html.
        hide: pixelate the faces.

    Raises:
        MienError: the name does not end in .html.
        WriteError: the file cannot be written, here and in every method.
    """

    def __init__(self, path: Path, *, hide: bool = False) -> None:
        if path.suffix.lower() not in (".html", ".htm"):
            raise MienError(f"{path}: a gallery is written as .html")
        self._path, self._hide = path, hide
        self._file = AtomicFile(path)
        self._cards: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed in __exit__
        self._clip: _Clip | None = None
        self._number = 0
        self._shown: Counter[str] = Counter()  # expression to the number of cards that show it
        self._totals: Counter[str] = Counter()

    def write(self, pixels: NDArray[np.uint8] | None, frame: Frame) -> None:
        """Take the next picture.

        Args:
            pixels: RGB uint8 (H, W, 3); None where it could not be read.
            frame: what recognition returned for it.
        """
        if self._clip and (frame.index is None or frame.source != self._clip.source):
            self._end_clip()
        if frame.index is not None:
            self._clip = self._clip or _Clip(frame.source)
            if pixels is not None:
                self._clip.add(pixels, frame, hide=self._hide)
        elif pixels is None or frame.error is not None:
            reason = (frame.error or "it could not be read").removeprefix(f"{frame.source}: ")
            self._card([NOT_READ], f'<p class="error">{_text(reason)}</p>', frame.source)
        else:
            self._picture(pixels, frame)

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self._clip:
                    self._end_clip()
                self._finish()
                self._file.commit()
        finally:
            self._file.discard()
            self._cards.close()

    def _picture(self, pixels: NDArray[np.uint8], frame: Frame) -> None:
        labels = [face.steadiest[0] for face in frame.faces]
        self._totals["pictures"] += 1
        self._totals["faces"] += len(labels)
        small = _thumbnail(hide_faces(pixels, frame) if self._hide else pixels)
        view = _view(small, frame, self._link(frame.source))
        note = "" if frame.note is None else f"<p><small>{_text(frame.note)}</small></p>"
        self._card(labels or [NO_FACE], view + _chips(frame.faces) + note, frame.source, small)

    def _end_clip(self) -> None:
        clip, self._clip = self._clip, None
        assert clip
        self._totals["videos"] += 1
        if clip.empty is None:
            self._card([NOT_READ], '<p class="error">no frame could be read</p>', clip.source)
            return
        self._totals["faces"] += len(clip.stretches)
        name = f"v{self._number}"
        keys = sorted(clip.keys.items(), key=lambda item: item[1][0])
        views = [
            f'<div class="key" id="{name}-{_word(label)}" style="--r:{_ratio(small):.3f}">'
            f"{_view(small, frame, None)}<p>{_chip(face)} <small>{_clock(at)}</small></p></div>"
            for label, (at, small, frame, face) in keys
        ]
        if not views:
            views = [f'<div class="key" style="--r:{_ratio(clip.empty):.3f}">{_view(clip.empty, None, None)}</div>']
        inner = f'{_timelines(clip, name)}<div class="keys">{"".join(views)}</div>'
        self._card([label for label, _ in keys] or [NO_FACE], inner, clip.source, wide=True)

    def _card(
        self,
        labels: list[str],
        inner: str,
        source: str | None,
        small: NDArray[np.uint8] | None = None,
        *,
        wide: bool = False,
    ) -> None:
        self._number += 1
        self._shown.update(set(labels))
        told = " ".join(sorted({_word(label) for label in labels}))
        style = "" if small is None else f' style="--r:{_ratio(small):.3f}"'
        kind = "card wide" if wide else "card"
        name = source or "picture"
        caption = f'<figcaption title="{_text(name)}">{_text(Path(name).name or name)}</figcaption>'
        with explained(self._path):
            self._cards.write(f'<figure class="{kind}" data-shows="{told}"{style}>{inner}{caption}</figure>\n')

    def _finish(self) -> None:
        order = [*COLOURS, *sorted(set(self._shown) - set(COLOURS) - {NO_FACE, NOT_READ}), NO_FACE, NOT_READ]
        buttons = "".join(
            f'<button type="button" data-show="{_word(label)}" aria-pressed="false">{_dot(label)}{_text(label)}'
            f" <b>{self._shown[label]:,}</b></button>"
            for label in order
            if self._shown[label]
        )
        names = ("picture", "video", "face")
        counts = [f"{n:,} {name}{'' if n == 1 else 's'}" for name in names if (n := self._totals[f"{name}s"])]
        before, after = page(", ".join(counts) or "nothing was read", buttons, self._number)
        with explained(self._path), self._file.temporary.open("w", encoding="utf-8") as out:
            out.write(before)
            self._cards.seek(0)
            shutil.copyfileobj(self._cards, out)
            out.write(after)

    def _link(self, source: str | None) -> str | None:
        """Where the picture lies as seen from the page; hidden faces are not linked to bare ones."""
        if self._hide or source is None or not Path(source).is_file():
            return None
        try:
            relative = os.path.relpath(source, self._path.parent)
        except ValueError:  # on another drive
            return None
        return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")


def _view(small: NDArray[np.uint8], frame: Frame | None, link: str | None) -> str:
    """A thumbnail under the boxes of its faces."""
    height, width = small.shape[:2]
    boxes = "" if frame is None else "".join(_box(face, frame) for face in frame.faces)
    image = (
        f'<img loading="lazy" alt="" width="{width}" height="{height}"'
        f' src="{data_address(Image.fromarray(small), quality=80)}">'
    )
    # "./" keeps a name with a colon from being read as an address.
    return f'<a class="view" href="./{link}">{image}{boxes}</a>' if link else f'<div class="view">{image}{boxes}</div>'


def _box(face: Face, frame: Frame) -> str:
    box = face.box
    left, top = 100 * box.x / frame.width, 100 * box.y / frame.height
    wide, high = 100 * box.width / frame.width, 100 * box.height / frame.height
    label, probability = face.steadiest
    return (
        f'<i class="box" data-is="{_word(label)}" title="{_text(label)} {probability:.0%}" style="--c:{_css(label)};'
        f'left:{left:.2f}%;top:{top:.2f}%;width:{wide:.2f}%;height:{high:.2f}%"></i>'
    )


def _chips(faces: tuple[Face, ...]) -> str:
    if not faces:
        return '<p class="faces">no face</p>'
    rest = f"<span>and {len(faces) - _CHIPS} more</span>" if len(faces) > _CHIPS else ""
    return f'<p class="faces">{"".join(map(_chip, faces[:_CHIPS]))}{rest}</p>'


def _chip(face: Face) -> str:
    label, probability = face.steadiest
    return f"<span>{_dot(label)}{_text(label)} {probability:.0%}</span>"


def _timelines(clip: _Clip, name: str) -> str:
    """A bar for each of the faces seen longest; each stretch leads to the clearest frame of its expression."""
    length = max(clip.end - clip.start, 1e-6)
    seen = {track: sum(s.end - s.start for s in parts) for track, parts in clip.stretches.items()}
    kept = sorted(sorted(seen, key=lambda track: -seen[track])[:_TRACKS])
    rows = [
        f'<div class="row"><span>face {number}</span><div class="line">'
        + "".join(
            f'<a data-is="{_word(s.label)}" href="#{name}-{_word(s.label)}"'
            f' title="{_text(s.label)}, {_clock(s.start)} to {_clock(s.end)}"'
            f' style="--c:{_css(s.label)};left:{100 * (s.start - clip.start) / length:.2f}%;'
            f'width:{100 * (s.end - s.start) / length:.2f}%"></a>'
            for s in clip.stretches[track]
        )
        + "</div></div>"
        for number, track in enumerate(kept, start=1)
    ]
    left = f"<p>and {len(seen) - _TRACKS} more faces, seen shorter</p>" if len(seen) > _TRACKS else ""
    ends = f'<div class="row ends"><span></span><div><span>{_clock(clip.start)}</span><span>{_clock(clip.end)}</span>'
    return f'<div class="timeline">{"".join(rows)}{ends}</div></div>{left}</div>' if rows else ""


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = _LONGEST / max(height, width)
    if scale >= 1:
        return pixels.copy()
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _ratio(small: NDArray[np.uint8]) -> float:
    """Width over height, within what a row of thumbnails can take."""
    return min(max(small.shape[1] / small.shape[0], 0.75), 2.4)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}" if seconds >= 60 else f"{seconds:.1f} s"


def _css(label: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLOURS.get(label, (150, 150, 150)))


def _dot(label: str) -> str:
    return f'<i class="dot" style="--c:{_css(label)}"></i>' if label in COLOURS else ""


def _word(label: str) -> str:
    """A label as one word that stands in an attribute as it is."""
    return "".join(letter if letter.isalnum() else "-" for letter in label) or "-"


def _text(text: str) -> str:
    """Escaped for HTML; file names need not be valid text."""
    return escape(text.encode("utf-8", "backslashreplace").decode())
