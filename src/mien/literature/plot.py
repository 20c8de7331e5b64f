"""The diagram of many models: accuracy against milliseconds, each point with its name.

Owns where names go, so that none covers another. Colours are those of :mod:`mien.plotting`; no meaning depends on a
colour alone. Refuses to measure.
"""

# pyright: standard
# Strict is not possible: matplotlib leaves the types of many methods partly unknown.
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import require
from mien.plotting import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, literal, new_figure, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Kind of point to what the legend calls it, its colour and its marker.
KINDS = {
    "classical": ("classical pipeline", ORANGE, "s"),
    "network": ("network of the literature", BLUE, "o"),
    "ensemble": ("ensemble", PURPLE, "D"),
    "own": ("mien's own", GREEN, "^"),
}
#: Where a name may go, in turn: ever farther from its point (pixels), and in these directions (degrees) at each.
_RADII = (9, 20, 36, 56, 80, 110, 145, 185, 230)
_DIRECTIONS = (0, 45, -45, 180, 135, -135, 90, -90, 22, -22, 158, -158, 67, -67, 113, -113)
_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """One model.

    Attributes:
        name, kind: the kind is a key of ``KINDS``.
        milliseconds: a face.
        top1, interval: 0-1; the interval is of 95 %.
        earlier: it was timed at another time than the others, so its milliseconds compare with theirs only roughly.
    """

    name: str
    kind: str
    milliseconds: float
    top1: float
    interval: tuple[float, float]
    earlier: bool = False


def tradeoff(points: Sequence[Point], ylabel: str) -> bytes:
    """Accuracy against milliseconds a face, the latter in powers of ten, with interval bars; earlier points are hollow.

    Args:
        points: one or more.
        ylabel: what the accuracy is of, as in ``PublicTest``.

    Returns:
        A PNG.
    """
    figure = new_figure(9.6, min(6.2 + 0.06 * len(points), 9.5))
    axes = figure.subplots()
    for kind, (says, colour, marker) in KINDS.items():
        for earlier in (False, True):
            some = [p for p in points if (p.kind, p.earlier) == (kind, earlier)]
            if some:
                top1 = np.array([100 * p.top1 for p in some])
                bars = np.abs(100 * np.array([p.interval for p in some]).T - top1)
                style: Any = {"color": colour, "marker": marker, "ls": "none", "ms": 5.5, "elinewidth": 1.1}
                hollow: Any = {"markerfacecolor": "white"} if earlier else {}
                axes.errorbar([p.milliseconds for p in some], top1, bars, **style, **hollow)
        if any(p.kind == kind for p in points):
            axes.plot([], [], color=colour, marker=marker, ls="none", ms=5.5, label=says)
    if any(p.earlier for p in points):
        axes.plot([], [], color=INK, marker="o", mfc="white", ls="none", ms=5.5, label="hollow: timed earlier")
    _axes_of_tradeoff(axes, points, ylabel)
    figure.legend(loc="outside upper center", ncols=len(KINDS) + 1, frameon=False)
    figure.draw_without_rendering()
    _name(axes, points)
    return png(figure)


def _axes_of_tradeoff(axes: Axes, points: Sequence[Point], ylabel: str) -> None:
    ticker: Any = require("matplotlib.ticker", "tables")
    times = [p.milliseconds for p in points]
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 1.5, max(times) * 2.2)
    low, high = (100 * f(p.interval[k] for p in points) for k, f in ((0, min), (1, max)))
    margin = max(0.05 * (high - low), 0.5)
    axes.set_ylim(low - margin, high + margin)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("milliseconds a face, one thread")
    axes.set_ylabel(f"top-1 on {literal(ylabel)}, %")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#e3e3e3", lw=0.6)
    axes.set_axisbelow(True)


def _name(axes: Axes, points: Sequence[Point]) -> None:
    """Write each name at the first place near its point that is free, with a line to it where that is not beside it."""
    inside = axes.get_window_extent().extents
    places = axes.transData.transform([(p.milliseconds, 100 * p.top1) for p in points])
    ends = [axes.transData.transform([(p.milliseconds, 100 * v) for v in p.interval])[:, 1] for p in points]
    taken: list[_Box] = [(x - 8, y - 8, x + 8, y + 8) for x, y in places]
    taken += [(x - 3, low, x + 3, high) for (x, _), (low, high) in zip(places, ends, strict=True)]
    for place in np.argsort(-places[:, 1]):
        point, (x, y) = points[place], places[place]
        text = axes.annotate(
            literal(point.name), (x, y), xycoords="figure pixels", xytext=(0, 0), textcoords="offset pixels", fontsize=8
        )
        text.set_in_layout(False)
        extent = text.get_window_extent()
        found = _free(x, y, extent.width, extent.height, taken, tuple(inside))
        text.xyann = (found[0] - x, found[1] - y)
        text.set_color(INK)
        taken.append(found)
        nearest = (min(max(x, found[0]), found[2]), min(max(y, found[1]), found[3]))
        if math.dist(nearest, (x, y)) > 1.5 * _RADII[0]:
            line: Any = {"xycoords": "figure pixels", "textcoords": "figure pixels"}
            arrow = {"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (x, y), xytext=nearest, arrowprops=arrow, **line).set_in_layout(False)


def _free(x: float, y: float, width: float, height: float, taken: Sequence[_Box], inside: tuple[float, ...]) -> _Box:
    """The first box of a size around a place that covers nothing; the last one tried where there is none.

    >>> _free(50, 50, 10, 4, [(45, 45, 55, 55)], (0, 0, 100, 100))
    (59.0, 48.0, 69.0, 52.0)
    """
    box = (x, y, x + width, y + height)
    for radius, degrees in itertools.product(_RADII, _DIRECTIONS):
        across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        left = x + radius * across - width * (1 - across) / 2
        low = y + radius * up - height * (1 - up) / 2
        box = (left, low, left + width, low + height)
        within = box[0] > inside[0] and box[1] > inside[1] and box[2] < inside[2] and box[3] < inside[3]
        if within and not any(_overlap(box, other) for other in taken):
            break
    return box


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
