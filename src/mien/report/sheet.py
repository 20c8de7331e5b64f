"""Sheets of faces with what is true and what a model says of them: figure 6 of the ResNet50 paper (2024).

Right and wrong are told apart by a sign and by the frame's line as well as by colour. The sheets show the data set's
own pictures, so they are made on demand and belong to no repository. Owns the sheet; the choice of faces is in
:mod:`mien.evaluate.sampling`.
Refuses to score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import require
from mien.evaluate.predictions import Scores
from mien.plotting import BLUE, INK, VERMILLION, literal, png

_PER_ROW = 8


@dataclass(frozen=True)
class Marked:
    """One face of a sheet.

    Attributes:
        pixels: RGB uint8 (H, W, 3).
        true, predicted: label names; ``true`` is empty where a face has none.
        confidence: of the predicted label, 0-1.
    """

    pixels: NDArray[np.uint8]
    true: str
    predicted: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the predicted label is the true one."""
        return self.true == self.predicted


def mark(scores: Scores, positions: NDArray[np.integer], pixels: NDArray[np.uint8]) -> list[Marked]:
    """Faces with what is true and what was said.

    Args:
        scores: of one output.
        positions: (M,) into the scores.
        pixels: RGB uint8 (M, H, W, 3) of these faces.
    """
    found = []
    for position, face in zip(positions.tolist(), pixels, strict=True):
        row, truth = scores.probabilities[position], int(scores.truth[position])
        best = int(row.argmax())
        true = scores.labels[truth] if truth >= 0 else ""
        found.append(Marked(face, true, scores.labels[best], float(row[best])))
    return found


def draw(faces: Sequence[Marked], title: str) -> bytes:
    """A sheet of faces, eight in a row: true label above, predicted label and confidence below.

    Returns:
        A PNG.
    """
    figure_module = require("matplotlib.figure", "tables")
    lines = -(-len(faces) // _PER_ROW)
    across = min(len(faces), _PER_ROW)
    width, step = max(1.25 * across + 0.2, 5.0), 1.72
    figure = figure_module.Figure(figsize=(width, step * lines + 0.75), dpi=160, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(step * lines + 0.75, 0)
    axes.set_axis_off()
    right = sum(face.right for face in faces)
    axes.text(0.12, 0.26, literal(title), fontsize=11, va="center", color=INK)
    legend = f"✓ right, solid frame: {right}    ✗ wrong, dashed frame: {len(faces) - right}"
    axes.text(0.12, 0.5, f"above: true label, below: predicted label and confidence    {legend}", fontsize=7, color=INK)
    for place, face in enumerate(faces):
        left, top = 0.12 + 1.25 * (place % _PER_ROW), 0.95 + step * (place // _PER_ROW)
        _draw_face(axes, face, left, top)
    return png(figure)


def _draw_face(axes: object, face: Marked, left: float, top: float, side: float = 1.1) -> None:
    patches = require("matplotlib.patches", "tables")
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    colour = BLUE if face.right else VERMILLION
    axes.imshow(face.pixels, extent=(left, left + side, top + side, top), interpolation="bilinear")
    line = {"lw": 2, "ls": "-" if face.right else (0, (3, 1.5)), "edgecolor": colour, "facecolor": "none"}
    axes.add_patch(patches.Rectangle((left, top), side, side, **line))
    middle = left + side / 2
    axes.text(middle, top - 0.06, literal(face.true), ha="center", va="bottom", fontsize=8, color=INK)
    said = f"{'✓' if face.right else '✗'} {literal(face.predicted)} {100 * face.confidence:.0f} %"
    axes.text(middle, top + side + 0.05, said, ha="center", va="top", fontsize=8, color=colour, fontweight="bold")
