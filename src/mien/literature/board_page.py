"""The board as Markdown and as one self-contained HTML page.

Owns the words and the order; ``board.html.j2`` owns the look of the page, where jinja2 escapes every text. Published
figures stand in columns of their own. Nothing is typed in: published figures come from the list, all others from runs.
Refuses to measure, and to load anything from a network.
"""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from mien.errors import require
from mien.literature.board import best
from mien.literature.cell import Filled, Score
from mien.literature.systems import QUOTED, BoardList, Published, Row

_NONE = "no figure quoted by the paper"


@dataclass(frozen=True)
class Board:
    """What is shown.

    Attributes:
        listed: the list.
        cells: all of them filled, in order.
        data: what the figures are measured on, as in ``fer2013``.
        processor: that timed the model files; "" if none was timed.
        command: that writes this page again.
        rows: split to its rows in the table; empty where no table is at hand.
    """

    listed: BoardList
    cells: Sequence[Filled]
    data: str
    processor: str
    command: str
    rows: Mapping[str, int] = field(default_factory=dict[str, int])

    def known_as(self, split: str) -> str:
        """The split as readers know it."""
        return self.listed.splits.get(split, split)

    @property
    def lacks(self) -> list[str]:
        """Where the figures are of other faces than the whole data set's: ``900 of 3,589 PublicTest faces``."""
        said: list[str] = []
        for split, whole in self.listed.faces.items():
            scored = [getattr(c, split, None) for c in self.cells if c.protocol == "official"]
            counts = {score.n for score in scored if score} | {self.rows.get(split, whole)}
            said += [f"{n:,} of {whole:,} {self.known_as(split)} faces" for n in sorted(counts - {whole})]
        return said

    @property
    def by_row(self) -> list[tuple[Row, list[Filled]]]:
        """The rows with their cells."""
        grouped = itertools.groupby(self.cells, key=lambda cell: cell.row)
        return [(row, list(cells)) for row, cells in grouped]


def missing(cells: Sequence[Filled]) -> list[str]:
    """The commands of the cells that are not there yet, each once, after those that have to be run before."""
    lines: list[str] = []
    for cell in cells:
        if cell.state in {"absent", "unfinished"}:
            lines += [step.command for step in cell.cell.before if not Path(step.makes).exists()]
            lines.append(_command(cell))
    return list(dict.fromkeys(lines))


def _command(cell: Filled) -> str:
    """What makes the run: again as it was if it is finished, else what is still to be done."""
    resumed = cell.state == "unfinished" and not cell.cell.folds  # mien crossval goes on by itself
    return f"{cell.command} --resume" if resumed else cell.rerun


def _before(cell: Filled) -> list[str]:
    return [step.command for step in cell.cell.before]


def html(board: Board, plot: bytes | None) -> str:
    """The page.

    Args:
        board: what is shown.
        plot: a PNG; None shows none.
    """
    jinja = require("jinja2", "train")
    environment = jinja.Environment(
        autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (resources.files("mien.literature") / "board.html.j2").read_text(encoding="utf-8")
    uri = "data:image/png;base64," + base64.b64encode(plot).decode() if plot else ""
    return environment.from_string(text).render(_content(board), plot=uri)


def markdown(board: Board, plot: Path | None, beside: Path) -> str:
    """The page as Markdown.

    Args:
        board: what is shown.
        plot: the file that has it; None shows none.
        beside: the folder of the Markdown file, for the link to the plot.
    """
    content = _content(board)
    lines = ["# The board", "", *content["intro"], ""]
    if plot:
        link = Path(os.path.relpath(plot, beside)).as_posix()
        lines += [f"![Accuracy against milliseconds a face]({link})", "", content["about_plot"], ""]
    summary = [[*line[:2], "<br>".join(line[2]), "<br>".join(line[3]), *line[4:]] for line in content["summary"]]
    lines += ["## At a glance", "", *_table(content["summary_head"], summary), "", content["about_best"], ""]
    for section in content["sections"]:
        lines += [f"## {section['number']}. {section['system']}", "", section["does"], ""]
        lines += [*(f"- {line}" for line in section["published"]), *([""] if section["published"] else [])]
        lines += [*_table(content["head"], [cell["values"] for cell in section["cells"]]), ""]
        lines += ["<details><summary>Commands</summary>", "", "```", *section["commands"], "```", "", "</details>", ""]
        for further in section["further"]:
            lines += [f"{further.name}{f' (needs {further.needs})' if further.needs else ''}: `{further.command}`", ""]
    notes = [f"- {note}" for note in content["notes"]]
    return "\n".join([*lines, "## How to read it", "", *notes, f"- Written by `{content['command']}`.", ""])


def _content(board: Board) -> dict[str, Any]:
    """Everything that either form shows, as text."""
    validation, test = board.known_as("validation"), board.known_as("test")
    finished = sum(cell.state == "finished" for cell in board.cells)
    return {
        "intro": [
            f"Every system of the literature as a recipe, on the same data ({board.data}, {board.listed.label_set}"
            f" labels) under the same protocol: {finished} of {len(board.cells)} cells are filled. What others"
            " published is marked as published and stands with its own data set; everything else was measured by the"
            " run named beside it.",
            *_part(board),
        ],
        "summary_head": [
            "row",
            "system",
            "published, %",
            "published on",
            f"ours, {validation}, %",
            f"ours, {test}, %",
            "by",
        ],
        "summary": [_summary(row, cells, board.lacks) for row, cells in board.by_row],
        "about_best": (
            f"Ours is the row's best cell by {validation} under the official protocol, with its 95 % bootstrap"
            f" interval; {test} is shown where it was scored, and chose nothing. Published figures are {QUOTED}, unless"
            " the row's own section names another source; data sets and protocols differ, so they do not compare with"
            " ours unless they are of the same faces."
        ),
        "about_plot": (
            f"Top-1 on {validation} against milliseconds a face of the model file, one thread; bars are 95 % intervals."
            " Up and to the left is better."
        ),
        "head": [
            "cell",
            "run",
            f"{validation} top-1, %",
            f"{test} top-1, %",
            "macro-F1, %",
            "balanced, %",
            "parameters, M",
            "ms a face",
            "training",
            "epochs",
            "protocol",
            "remarks",
        ],
        "sections": [_section(row, cells) for row, cells in board.by_row],
        "notes": _notes(board, validation),
        "command": board.command,
    }


def _part(board: Board) -> list[str]:
    """The warning on a page whose figures are not of the whole data set."""
    if not board.lacks:
        return []
    said = "; ".join(board.lacks)
    return [
        f"A PART of the data set: {said}. These figures do not compare with published ones, which are of the whole."
    ]


def _notes(board: Board, validation: str) -> list[str]:
    timed = f" ({board.processor})" if board.processor else ""
    kept = any(cell.recorded for cell in board.cells)
    return [
        f"Macro-F1 and balanced accuracy are of {validation}. Calibration and the kept epoch were fitted or chosen"
        " there, which flatters by some tenths.",
        f"Milliseconds are medians of single faces through the model file on one thread{timed}, all files timed in"
        " turn, each as in its quietest turn, while other programs ran: compare within this page only.",
        "Training times are wall-clock on the hardware named, often shared; epochs are those that ran, of those that"
        " the shipped recipe has.",
        "Parameters are counted before export; classical pipelines have them where it means something.",
        *(["† Timed for an earlier board: the run is not at hand, and all of its line is kept."] if kept else []),
    ]


def _summary(row: Row, cells: Sequence[Filled], lacks: Sequence[str]) -> list[Any]:
    top = best(cells)
    unfinished = sum(cell.state != "finished" for cell in cells)
    there = top.cell.name if top else f"not there yet: {unfinished} cell{'s' * (unfinished > 1)}"
    if top and any(r.startswith("cut short") for r in top.remarks):
        there += ", cut short"
    there += ", on a part of the data" if top and lacks else ""
    published = [p.figure for p in row.published] or ([] if row.own else [_NONE])
    on = [p.data for p in row.published] or [""] * len(published)
    ours = [_share(top.validation if top else None), _share(top.test if top else None)]
    return [str(row.number), row.system, published, on, *ours, there]


def _section(row: Row, cells: Sequence[Filled]) -> dict[str, Any]:
    return {
        "number": row.number,
        "system": row.system,
        "does": row.does,
        "published": [_published(p) for p in row.published] or ([] if row.own else [f"Published: {_NONE}."]),
        "cells": [{"state": c.state, "values": _cell(c)} for c in cells],
        "commands": list(dict.fromkeys(line for cell in cells for line in (*_before(cell), _command(cell)))),
        "further": row.further,
    }


def _published(p: Published) -> str:
    return f"Published: {p.figure} % on {p.data}, {p.source}. {p.means}".rstrip()


def _cell(c: Filled) -> list[str]:
    remarks = "; ".join([*([c.mark] if c.mark else []), *c.remarks])
    if c.state != "finished":
        needs = f"needs {c.cell.needs}" if c.cell.needs else ""
        said = "; ".join(part for part in (c.state.replace("absent", "not run here"), needs, remarks) if part)
        return [c.cell.name, c.cell.run, *[""] * 9, said]
    f = c.validation
    trained = f"{c.seconds / 60:.1f} min, {c.hardware}".rstrip(", ") if c.seconds is not None else ""
    return [
        c.cell.name,
        c.cell.run,
        _share(f) + (f", n = {f.n:,}" if f else ""),
        _share(c.test) + (f", n = {c.test.n:,}" if c.test else "not scored" if c.protocol == "official" else ""),
        f"{100 * f.macro_f1:.2f}" if f else "",
        f"{100 * f.balanced_accuracy:.2f}" if f else "",
        f"{c.parameters / 1e6:.2f}" if c.parameters else "",
        f"{c.milliseconds:.2f}{' †' if c.recorded else ''}" if c.milliseconds is not None else "",
        trained,
        f"{c.epochs[0]} of {c.epochs[1]}" if c.epochs else "",
        c.protocol + (f" ({c.mark.partition(':')[0]})" if c.mark else ""),
        remarks,
    ]


def _share(score: Score | None) -> str:
    if score is None:
        return ""
    low, high = score.interval
    return f"{100 * score.top1:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; a pipe in a cell would end it."""
    rule = ["---"] * len(head)
    lines = [list(head), rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
