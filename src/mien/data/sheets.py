"""Data tables as pictures: the class distribution, faces per class, and what an audit found.

Owns the PNG files that ``mien data describe`` and ``audit`` write. They show the data set's own pictures, so
they are made on demand and belong to no repository. Refuses to count or to search.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.audit import Audit
from mien.data.describe import Description
from mien.data.table import Table
from mien.data.writer import SPLITS
from mien.errors import require
from mien.files import write
from mien.sources.images import decode

_SPLIT_COLOURS = {"train": "#4477aa", "validation": "#ccbb44", "test": "#ee6677"}
_PER_ROW = 10
_ROWS_PER_FINDING = 3


@dataclass(frozen=True, slots=True)
class _Strip:
    """One row of a sheet: what it shows, and rows of the table with a caption each."""

    title: str
    rows: Sequence[int]
    captions: Sequence[str]


def _save(figure: Any, path: Path) -> Path:
    content = io.BytesIO()  # memory: what draws does not see a disk that is full
    figure.savefig(content, dpi=110, bbox_inches="tight", format="png")
    write(path, content.getvalue(), parents=True)
    return path


def draw_distribution(description: Description, path: Path) -> Path:
    """Bars of rows per class and split, one panel per label set (the paper's figure 3); returns the path."""
    figure_module = require("matplotlib.figure", "tables")
    panels = list(description.counts.items())
    figure = figure_module.Figure(figsize=(9, 3.4 * len(panels)), layout="constrained")
    for axes, (label_set, splits) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        labels = list(next(iter(splits.values())))
        width = 0.8 / len(splits)
        for place, (split, counts) in enumerate(splits.items()):
            left = np.arange(len(labels)) + (place - (len(splits) - 1) / 2) * width
            bars = axes.bar(left, list(counts.values()), width, label=split, color=_SPLIT_COLOURS[split])
            axes.bar_label(bars, fmt="{:,.0f}", fontsize=6, padding=1)
        axes.set_xticks(np.arange(len(labels)), labels)
        axes.set_ylabel("pictures")
        axes.set_title(f"{description.name}: {label_set} labels, n = {sum(map(_total, splits.values())):,}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return _save(figure, path)


def _total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def draw_samples(table: Table, path: Path, seed: int = 0) -> Path:
    """Ten pictures of each class of the table's own labels (the paper's figure 1), drawn from the seed.

    Training pictures where there are any. Returns the PNG's path.
    """
    rng = np.random.default_rng(seed)
    preferred = table.splits == next(name for name in SPLITS if name in table.splits)
    strips: list[_Strip] = []
    for index, label in enumerate(table.info.labels):
        own = np.flatnonzero((table.labels == index) & preferred)
        if not len(own):
            own = np.flatnonzero(table.labels == index)
        drawn = np.sort(rng.permutation(own)[:_PER_ROW]).tolist()
        strips.append(_Strip(f"{label}\n{int((table.labels == index).sum()):,}", drawn, [""] * len(drawn)))
    return _draw_sheet(table, strips, f"{table.info.name}: pictures per class", path)


def draw_findings(table: Table, found: Audit, path: Path) -> Path:
    """Examples of what an audit found, with row numbers and labels; returns the PNG's path."""
    strips = _group_strips("same picture,\nother label", table, found.conflicting)
    across = [group for group in found.groups if len(set(table.splits[list(group)].tolist())) > 1]
    strips += _group_strips("same picture,\nother split", table, across)
    pairs = sorted(found.near_examples, key=lambda pair: pair[2])
    places: list[int] = np.linspace(0, len(pairs) - 1, min(len(pairs), 15)).astype(int).tolist()
    chosen = [pairs[at] for at in places]
    for start in range(0, len(chosen), _PER_ROW // 2):
        part = chosen[start : start + _PER_ROW // 2]
        rows = [row for left, right, _ in part for row in (left, right)]
        captions = [f"{_caption(table, row)}\n{cosine:.4f}" for left, right, cosine in part for row in (left, right)]
        strips.append(_Strip("near copies,\ntwo by two", rows, captions))
    strips += _list_strips("blank", table, found.blank)
    strips += _list_strips("not a face\n(votes)", table, found.not_a_face or ())
    if not strips:
        strips = [_Strip("nothing found", [], [])]
    return _draw_sheet(table, strips, f"{found.name}: what the audit found", path)


def _caption(table: Table, row: int) -> str:
    label = int(table.labels[row])
    name = table.info.labels[label] if label >= 0 else "no label"
    return f"{table.splits[row]} {table.rows[row]}\n{name}"


def _group_strips(title: str, table: Table, groups: Sequence[Sequence[int]]) -> list[_Strip]:
    """Whole groups side by side, as many as fit."""
    strips: list[_Strip] = []
    row: list[int] = []
    for group in groups:
        if len(group) > _PER_ROW:
            continue
        if len(row) + len(group) > _PER_ROW:
            strips.append(_Strip(title, row, [_caption(table, r) for r in row]))
            row = []
        if len(strips) == _ROWS_PER_FINDING:
            return strips
        row = [*row, *group]
    if row:
        strips.append(_Strip(title, row, [_caption(table, r) for r in row]))
    return strips


def _list_strips(title: str, table: Table, rows: Sequence[int]) -> list[_Strip]:
    shown = rows[: _PER_ROW * _ROWS_PER_FINDING]
    parts = [shown[start : start + _PER_ROW] for start in range(0, len(shown), _PER_ROW)]
    return [_Strip(title, part, [_caption(table, row) for row in part]) for part in parts]


def _draw_sheet(table: Table, strips: Sequence[_Strip], title: str, path: Path) -> Path:
    """Strips of pictures, one under the other, each picture one unit wide."""
    figure_module = require("matplotlib.figure", "tables")
    step = 1.45 if any("".join(strip.captions) for strip in strips) else 1.08
    height = step * len(strips)
    figure = figure_module.Figure(figsize=(_PER_ROW + 1.2, height + 0.4))
    axes = figure.add_axes((0, 0, 1, 1))
    for line, strip in enumerate(strips):
        top = line * step
        axes.text(-0.12, top + 0.5, strip.title, ha="right", va="center", fontsize=9)
        if not strip.rows:
            continue
        part = table.take(np.array(strip.rows))
        for place, (_, data, _) in enumerate(part.encoded()):
            axes.imshow(decode(data), extent=(place * 1.05, place * 1.05 + 1, top + 1, top))
            axes.text(place * 1.05 + 0.5, top + 1.02, strip.captions[place], ha="center", va="top", fontsize=6)
    axes.set_xlim(-1.2, _PER_ROW * 1.05)
    axes.set_ylim(height, -0.1)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=11)
    return _save(figure, path)
