"""A plot of a clip's expressions over time, a strip per track.

Owns what is kept for it while frames pass (at most some thousand points a track, neighbours are merged beyond that)
and how it is drawn. Needs matplotlib (``pip install 'mien[tables]'``).
"""

# pyright: standard
# Strict is not possible: matplotlib leaves the types of many methods partly unknown.
from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, require
from mien.files import write
from mien.outputs.draw import COLOURS
from mien.results import Frame

#: File names that a timeline is drawn to.
SUFFIXES = (".png", ".svg", ".pdf")
_POINTS = 4096
_STRIPS = 12  # tracks drawn, those seen longest
_GAP = 1.0  # seconds without a face after which the strip is empty


@dataclass
class _Strip:
    """One track: when it was seen and what was read, in points that stand for equally many frames each."""

    source: str | None
    track: int
    times: list[float] = field(default_factory=list[float])
    sums: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])
    counts: list[int] = field(default_factory=list[int])
    _each: int = 1

    def add(self, at: float, scores: Iterable[float]) -> None:
        values = np.array(list(scores))
        if self.counts and self.counts[-1] < self._each:
            self.sums[-1] += values
            self.counts[-1] += 1
            return
        if len(self.times) == _POINTS:
            self.times = self.times[::2]
            self.sums = [one + other for one, other in zip(self.sums[::2], self.sums[1::2], strict=True)]
            self._each *= 2
            self.counts = [self._each] * len(self.times)
        self.times.append(at)
        self.sums.append(values)
        self.counts.append(1)

    @property
    def frames(self) -> int:
        return sum(self.counts)


class Timeline:
    """Collects a clip's frames and draws them."""

    def __init__(self) -> None:
        require("matplotlib", "tables")  # before hours of video, not after
        self._strips: dict[tuple[str | None, int], _Strip] = {}
        self._labels: tuple[str, ...] = ()

    def add(self, frame: Frame) -> None:
        """Take the next frame; faces that are not followed are passed over."""
        for face in frame.faces:
            if face.track is not None and frame.time is not None:
                scores = face.smoothed or face.probabilities
                self._labels = tuple(scores)
                key = (frame.source, face.track)
                strip = self._strips.setdefault(key, _Strip(frame.source, face.track))
                strip.add(frame.time, scores.values())

    def save(self, path: Path) -> None:
        """Draw what was collected; the kind of picture by the suffix (.png, .svg, .pdf).

        Raises:
            MienError: nobody was seen, or the file cannot be written.
        """
        if not self._strips:
            raise MienError(f"{path}: no face was followed through a video, so there is no timeline")
        figure = _draw(sorted(self._strips.values(), key=lambda strip: -strip.frames)[:_STRIPS], self._labels)
        if path.suffix.lower() not in SUFFIXES:
            raise MienError(f"{path}: a timeline is drawn as {', '.join(SUFFIXES)}")
        content = io.BytesIO()  # memory: what draws does not see a disk that is full
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # of a file's name: a box stands for it
            figure.savefig(content, dpi=120, bbox_inches="tight", format=path.suffix.lower()[1:])
        write(path, content.getvalue())


def _draw(strips: list[_Strip], labels: tuple[str, ...]) -> Any:
    from matplotlib.figure import Figure

    strips = sorted(strips, key=lambda strip: (str(strip.source), strip.track))
    figure = Figure(figsize=(10, 0.9 + 1.1 * len(strips)))
    axes = np.atleast_1d(figure.subplots(len(strips), 1, sharex=True, squeeze=True))
    colours = [tuple(value / 255 for value in COLOURS.get(label, (120, 120, 120))) for label in labels]
    several = len({strip.source for strip in strips}) > 1
    for axis, strip in zip(axes, strips, strict=True):
        times, scores = _with_gaps(strip)
        axis.stackplot(times, scores.T, colors=colours, labels=labels, linewidth=0)
        clip = Path(strip.source or "").name.encode("utf-8", "backslashreplace").decode()
        name = f"{clip}, face {strip.track}" if several else f"face {strip.track}"
        axis.set_ylabel(name, rotation=0, ha="right", va="center", parse_math=False)  # file names may hold $
        axis.set_ylim(0, 1)
        axis.set_yticks([])
        axis.margins(x=0)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[-1].set_xlabel("seconds")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0 - 0.12 / len(strips)), ncols=8, frameon=False
    )
    return figure


def _with_gaps(strip: _Strip) -> tuple[np.ndarray, np.ndarray]:
    """Times and scores with zeros wherever the face was away."""
    times, scores = np.array(strip.times), np.array(strip.sums) / np.array(strip.counts)[:, None]
    step = max(_GAP, 3 * float(np.median(np.diff(times)))) if len(times) > 1 else _GAP
    away = np.flatnonzero(np.diff(times) > step)
    edges = np.repeat(away + 1, 2)
    holes = np.stack([times[away] + 1e-3, times[away + 1] - 1e-3], axis=1).ravel()
    return np.insert(times, edges, holes), np.insert(scores, edges, 0.0, axis=0)
