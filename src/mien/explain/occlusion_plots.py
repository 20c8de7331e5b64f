"""How maps of occlusion look: over the face, on a scale of odds, beside what the model says.

Owns colours and places. The colour map, viridis, rises evenly in brightness, for colour-blind readers too; where a map
is low, the face shows through. Refuses to measure; :mod:`mien.explain.occlusion` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import require
from mien.explain.occlusion import Explained, MeanMap
from mien.plotting import BLUE, FAINT, INK, VERMILLION, literal, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 240
# A map is drawn on a scale up to half the odds at least, so that next to nothing looks like it.
_LEAST = 1.0
_PER_ROW = 4
# Inches that a row of faces takes.
_ROW = 2.8


def draw(explained: Sequence[Explained], title: str, first: int = 1) -> bytes:
    """Each face, its map over it, and what the model says of it.

    Args:
        explained: at least one face.
        title: above all.
        first: the number of the first face.

    Returns:
        A PNG.
    """
    said = "each place is hidden in turn; the scale says what that divides the odds of the expression by"
    figure = _figure(9.2, _ROW * len(explained) + 0.65, title, said)
    for number, one in enumerate(explained):
        bottom = _ROW * (len(explained) - number - 1) + 0.15
        face = _axes(figure, 0.15, bottom, 2.4, 2.4)
        face.imshow(one.pixels)
        face.set_title(f"face {first + number}", fontsize=10)
        face.set_axis_off()
        grey = cv2.cvtColor(one.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        about = f"what hiding takes from {literal(one.label)}"
        _overlay(figure, (2.75, bottom), grey, one.falls, about)
        _bars(_axes(figure, 7.05, bottom + 0.1, 2.1, 2.2), one)
    return png(figure)


def draw_means(maps: Sequence[MeanMap], title: str) -> bytes:
    """The mean map of each label over the mean face.

    Returns:
        A PNG.
    """
    across, down = min(len(maps), _PER_ROW), -(-len(maps) // _PER_ROW)
    said = "mean probability of each label, and what hiding each place divides its odds by; faces answered right"
    figure = _figure(max(3.35 * across, 6.6), _ROW * down + 0.65, title, said)
    for number, one in enumerate(maps):
        place = (3.35 * (number % across) + 0.15, _ROW * (down - number // across - 1) + 0.15)
        low, high = np.percentile(one.face, [1, 99])
        stretched = (one.face - low) * (255 / max(high - low, 1.0))  # a mean of faces is flat
        about = f"{literal(one.label)}: {100 * one.probability:.0f} % (n = {one.n})"
        _overlay(figure, place, stretched.astype(np.float32), one.falls, about)
    return png(figure)


def _overlay(
    figure: Figure, place: tuple[float, float], face: NDArray[np.float32], worth: NDArray[np.float32], title: str
) -> None:
    """A grey face (S, S) with its map over it, denser where the map is high, and the scale beside it."""
    axes, bar = _axes(figure, *place, 2.4, 2.4), _axes(figure, place[0] + 2.47, place[1], 0.09, 2.4)
    halved = cv2.resize(worth, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    low, high = min(float(halved.min()), 0.0), max(float(halved.max()), _LEAST)
    axes.imshow(cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), cmap="gray", vmin=0, vmax=255)
    density = 0.25 + 0.5 * (halved - low) / (high - low)
    axes.imshow(halved, cmap="viridis", vmin=low, vmax=high, alpha=np.clip(density, 0, 1))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    scale = np.linspace(low, high, 256)[:, None]
    bar.imshow(scale, cmap="viridis", extent=(0, 1, low, high), origin="lower", aspect="auto")
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.locator_params(axis="y", nbins=5, integer=high - low >= 3)
    bar.yaxis.set_major_formatter(lambda value, _: _factor(value))
    bar.tick_params(labelsize=8, length=2)
    bar.set_title("odds", fontsize=8, loc="left", pad=4)
    for spine in bar.spines.values():
        spine.set_visible(False)


def _factor(halved: float) -> str:
    """How odds change that are halved so often.

    >>> _factor(3.0), _factor(0.0), _factor(-1.0), _factor(0.5)
    ('÷8', '1', '×2', '÷1.4')
    """
    factor = 2.0 ** abs(halved)
    sign = "÷" if halved > 0 else "×"
    return f"{sign}{factor:.2g}" if 1 < factor < 100 else f"{sign}{factor:,.0f}" if factor > 1 else "1"


def _bars(axes: Any, one: Explained) -> None:
    """All probabilities, the one that the map is about in another colour and with a mark."""
    names = list(one.probabilities)
    shares = [100 * one.probabilities[name] for name in names]
    colours = [VERMILLION if name == one.label else BLUE for name in names]
    axes.barh(range(len(names)), shares, color=colours, height=0.7)
    for place, share in enumerate(shares):
        axes.text(share + 2, place, f"{share:.0f} %", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(names)), [literal(f"▸ {name}" if name == one.label else name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 140)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(FAINT)
    axes.set_title("the model's answer", fontsize=10)


def _figure(width: float, height: float, title: str, said: str) -> Figure:
    """An empty figure of so many inches, its title and how to read it in the upper left corner."""
    figure_module = require("matplotlib.figure", "tables")
    figure = figure_module.Figure(figsize=(width, height), dpi=160, facecolor="white")
    figure.text(0.15 / width, 1 - 0.22 / height, literal(title), fontsize=11, va="center", color=INK)
    figure.text(0.15 / width, 1 - 0.46 / height, said, fontsize=8, va="center", color=INK)
    return figure


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Any:
    """Axes at a place in inches from the lower left corner."""
    across, up = figure.get_size_inches().tolist()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))
