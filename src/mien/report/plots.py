"""The diagrams of the report as PNG: learning curves, confusion matrix, reliability, coverage, figures.

Owns how numbers look; no meaning depends on a colour alone. Colours and figures are those of :mod:`mien.plotting`.
Refuses to measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import require
from mien.evaluate.coverage import Coverage
from mien.evaluate.groups import FEW, Comparison
from mien.evaluate.metrics import Bin
from mien.plotting import BAND, BLUE, FAINT, GREEN, INK, PURPLE, SKY, VERMILLION, literal, new_figure, plain, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"))
#: Bins of fewer faces than this are drawn as outlines: their accuracy is mostly luck.
_FEW = 10


def curves(history: Sequence[Mapping[str, float]], stages: Sequence[int], kept: int | None) -> bytes:
    """Loss, validation top-1 and learning rate over the epochs.

    Args:
        history: one mapping a finished epoch, as ``history.csv`` has it; columns that are missing are left out.
        stages: epochs that each stage ran.
        kept: the epoch whose weights were kept, from 1; None marks none.

    Returns:
        A PNG.
    """
    names = list(history[0])
    panels = [("loss", [n for n in names if n == "loss" or n.startswith("validation_loss")])]
    panels.append(("validation top-1, %", [n for n in names if n.startswith("validation_top1")]))
    panels.append(("learning rate", [n for n in names if n == "learning_rate"]))
    panels = [(title, columns) for title, columns in panels if columns]
    figure = new_figure(9.6, 2.1 * len(panels) + 0.5)
    for place, (axes, (title, columns)) in enumerate(
        zip(np.atleast_1d(figure.subplots(len(panels), 1, sharex=True)), panels, strict=True)
    ):
        epochs = [row["epoch"] for row in history]
        for name, (colour, style) in zip(columns, _LINES, strict=False):
            scale = 100 if "top1" in name else 1
            values = [scale * row[name] for row in history]
            label = name.replace("validation_top1_", "").replace("validation_loss_", "validation, ")
            axes.plot(
                epochs, values, style, color=colour, lw=1.6, label="training" if name == "loss" else literal(label)
            )
        if title == "learning rate" and min(row["learning_rate"] for row in history) > 0:
            axes.set_yscale("log")
        _mark_stages(axes, stages, kept, named=place == 0)
        axes.set_ylabel(title)
        if len(columns) > 1:
            axes.legend(framealpha=0.9, edgecolor="none", loc="lower right" if "top-1" in title else "upper right")
        plain(axes)
    lowest = figure.axes[-1]
    lowest.set_xlabel("epoch")
    lowest.set_xlim(0.5, max(len(history), 2) + 0.5)
    lowest.locator_params(axis="x", integer=True)
    return png(figure)


def _mark_stages(axes: Axes, stages: Sequence[int], kept: int | None, *, named: bool) -> None:
    """Every second stage on a band, the kept epoch as a line; their names above the first panel."""
    start = 0.5
    for number, epochs in enumerate(stages):
        if number % 2:
            axes.axvspan(start, start + epochs, color=BAND, zorder=0)
        if number:
            axes.axvline(start, color=FAINT, lw=0.8)
        if named:
            place = (start + epochs / 2, 1.02)
            axes.text(*place, f"stage {number + 1}", transform=axes.get_xaxis_transform(), ha="center", color=INK)
        start += epochs
    if kept is not None:
        axes.axvline(kept, color=INK, lw=1, ls=(0, (2, 2)))
        if named:
            right = kept > sum(stages) / 2
            axes.annotate(
                f"kept: epoch {kept}",
                (kept, 0.5),
                xycoords=axes.get_xaxis_transform(),
                xytext=(-5 if right else 5, 0),
                textcoords="offset points",
                ha="right" if right else "left",
                color=INK,
            )


def confusion(counts: NDArray[np.integer], labels: Sequence[str], title: str) -> bytes:
    """A confusion matrix: shade and percentage by row, counts beneath.

    Args:
        counts: (K, K), true labels down, predicted labels across.
        labels: of rows and columns.
        title: above the matrix.

    Returns:
        A PNG.
    """
    names = [literal(label) for label in labels]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = 0.5 * len(labels) + 1.0
    figure = new_figure(max(side, 3.4), max(side, 3.4))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    middle: Any = {"ha": "center", "va": "center"}
    for (row, column), count in np.ndenumerate(counts):
        if not totals[row]:
            continue
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row - 0.11, f"{100 * shares[row, column]:.0f}", color=colour, fontsize=9, **middle)
        axes.text(column, row + 0.27, f"{count:,}", color=colour, fontsize=6.5, **middle)
    axes.set_xticks(range(len(labels)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(literal(title))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return png(figure)


def reliability(panels: Mapping[str, tuple[Sequence[Bin], float]], title: str) -> bytes:
    """Reliability diagrams side by side, how many faces each bin has beneath.

    Args:
        panels: what each shows, as in ``"before"``, to its bins and its calibration error.
        title: above all.

    Returns:
        A PNG.
    """
    figure = new_figure(2.6 * len(panels) + 0.4, 3.7)
    grid: Any = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1))
    for column, (name, (bins, error)) in enumerate(panels.items()):
        upper, lower = grid[0, column], grid[1, column]
        filled = [b for b in bins if b.n]
        middles = [(b.low + b.high) / 2 for b in filled]
        width = bins[0].high - bins[0].low
        accuracy = [b.accuracy for b in filled]
        colours = [SKY if b.n >= _FEW else "none" for b in filled]
        upper.bar(middles, accuracy, width * 0.88, color=colours, edgecolor=SKY, lw=0.8)
        upper.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", label="perfect")
        confidences = [b.confidence for b in filled]
        for b in filled:
            if b.n >= _FEW:
                upper.vlines(b.confidence, b.accuracy, b.confidence, color=VERMILLION, lw=1.2)
        upper.plot(confidences, confidences, "o", ms=3, color=VERMILLION, label="mean confidence")
        upper.set_title(f"{name}\nECE {error:.4f}")
        lower.bar(middles, [b.n for b in filled], width * 0.94, color=FAINT)
        lower.set_xlabel("confidence")
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1)
        for axes in (upper, lower):
            plain(axes)
    grid[0, 0].set_ylabel("share that is right")
    grid[1, 0].set_ylabel("faces")
    handles, names = grid[0, 0].get_legend_handles_labels()
    patches = require("matplotlib.patches", "tables")
    handles.append(patches.Patch(color=SKY))
    names.append(f"accuracy (outline: under {_FEW} faces)")
    figure.legend(handles, names, loc="outside lower center", ncol=3, frameon=False, fontsize=8)
    figure.suptitle(literal(title))
    return png(figure)


def coverage(found: Coverage, title: str) -> bytes:
    """Accuracy against the share of faces that are answered, the surest first; some thresholds marked.

    Returns:
        A PNG.
    """
    figure = new_figure(4.6, 3.2)
    axes = figure.subplots()
    shares = np.arange(1, len(found.accuracy) + 1) / len(found.accuracy)
    shown = shares >= min(0.02, shares[-1])  # the first handful of faces say little and swing wildly
    axes.plot(100 * shares[shown], 100 * found.accuracy[shown], color=BLUE, lw=1.8)
    for share in (0.25, 0.5, 0.75, 1.0):
        _, accuracy, threshold = found.at(share)
        axes.plot(100 * share, 100 * accuracy, "o", ms=4, color=VERMILLION)
        note = f"{100 * accuracy:.1f} %\nsure ≥ {threshold:.2f}"
        axes.annotate(note, (100 * share, 100 * accuracy), (-4, -5), textcoords="offset points", ha="right", va="top")
    low = 100 * found.accuracy[shown].min()
    axes.set_ylim(max(0, low - 0.35 * (101 - low)), 101)
    axes.set_xlim(0, 102)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("faces answered, %")
    axes.set_ylabel("accuracy on them, %")
    axes.set_title(f"{literal(title)}\nAURC {found.aurc:.4f}")
    plain(axes)
    return png(figure)


def groups(compared: Sequence[Comparison]) -> bytes:
    """Top-1 against the faces in a group, one panel for each comparison, bars of 95 %.

    Returns:
        A PNG.
    """
    figure = new_figure(6.4, 3.0 * len(compared) + 0.3)
    panels: Any = figure.subplots(len(compared), 1, squeeze=False)[:, 0]
    for axes, one in zip(panels, compared, strict=True):
        whole = one.whole.figures["top1"].value
        axes.axhline(100 * whole, color=FAINT, lw=1, ls="--", label=f"all faces: {100 * whole:.1f} %")
        axes.axvspan(1, FEW, color=BAND, zorder=0, label=f"under {FEW} faces")
        for group in (group for group in one.groups if group.n):
            f = group.figures["top1"]
            bars = np.maximum(100 * np.array([[f.value - f.low], [f.high - f.value]]), 0)
            fill = BLUE if group.n >= FEW else "white"
            axes.errorbar(group.n, 100 * f.value, bars, fmt="o", color=BLUE, mfc=fill, capsize=3, lw=1.2)
            place: Any = {"textcoords": "offset points", "fontsize": 8, "color": INK}
            axes.annotate(literal(group.name), (group.n, 100 * f.value), (6, 4), **place)
        axes.set_xscale("log")
        sizes = [group.n for group in one.groups if group.n]
        axes.set_xlim(0.7 * min(*sizes, FEW), 2 * max(sizes))
        axes.set_ylabel("top-1, %")
        axes.set_title(literal(f"{one.label_set} by {one.column}"))
        axes.legend(frameon=False, fontsize=8, loc="lower left")
        plain(axes)
    panels[-1].set_xlabel("faces in the group")
    return png(figure)


def matrix(
    top1: NDArray[np.floating], counts: NDArray[np.integer], rows: Sequence[str], columns: Sequence[str]
) -> bytes:
    """A heat map of accuracies, each with its number of faces.

    Args:
        top1: (R, C), 0-1; nan where there is none.
        counts: (R, C), faces behind each.
        rows, columns: their names.

    Returns:
        A PNG.
    """
    longest = max(len(line) for name in rows for line in name.splitlines())
    figure = new_figure(0.085 * longest + 1.15 * len(columns) + 2.0, 0.62 * len(rows) + 1.7)
    axes = figure.subplots()
    shown = axes.imshow(100 * np.ma.masked_invalid(top1), cmap="Blues", vmin=0, vmax=100, aspect="auto")
    middle: Any = {"ha": "center", "va": "center"}
    for (row, column), share in np.ndenumerate(top1):
        if math.isnan(share):
            axes.text(column, row, "–", color=FAINT, **middle)
            continue
        colour = "white" if share > 0.55 else INK
        axes.text(column, row - 0.12, f"{100 * share:.1f}", color=colour, fontsize=11, **middle)
        axes.text(column, row + 0.24, f"n = {counts[row, column]:,}", color=colour, fontsize=7.5, **middle)
    turned: Any = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if max(map(len, columns)) > 11 else {}
    axes.set_xticks(range(len(columns)), [literal(name) for name in columns], **turned)
    axes.set_yticks(range(len(rows)), [literal(name) for name in rows])
    axes.set_xlabel("tested on")
    axes.set_ylabel("model (trained on)")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(shown, ax=axes, label="top-1, %", pad=0.02).outline.set_visible(False)
    return png(figure)
