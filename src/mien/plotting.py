"""What all diagrams share: the palette, the figure, the bytes of a PNG.

Colours are Okabe and Ito's, which colour-blind readers tell apart. Draws on matplotlib's ``Figure`` and never
touches pyplot, so that no global state is left.
"""

# pyright: standard
# Strict is not possible: matplotlib leaves the types of many methods partly unknown.
from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mien.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, FAINT, BAND = "#222222", "#8a8a8a", "#f1f3f5"
DPI = 180


def new_figure(width: float, height: float) -> Figure:
    """A figure of this many inches, white, laid out by constraints."""
    figure_module = require("matplotlib.figure", "tables")
    return figure_module.Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def plain(axes: Axes) -> None:
    """Leave the frame open at the top and right, and rule lines at the heights."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e3e3e3", lw=0.6)
    axes.set_axisbelow(True)


def literal(text: str) -> str:
    """Text from outside as it stands: matplotlib would take what lies between dollar signs for mathematics."""
    return text.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
