"""The cross-data matrix: models against tables, so that one sees what training on one data set is worth on another.

A table with FER+'s votes is two columns, its own labels and the voters' majority. Labels are matched by name, and which
were compared is said for every pair. Owns that match and the table of figures. Refuses to compare labels by their
number, and to count a face whose label the model does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien import models
from mien.classical import fitted
from mien.data.table import Table
from mien.errors import DataError, shown
from mien.evaluate.ledger import Ledger, needed
from mien.evaluate.metrics import Figures, measure
from mien.evaluate.predictions import Predictions, Scorer, predict
from mien.models import Card
from mien.report import plots
from mien.runs import RunFolder


@dataclass(frozen=True)
class Labels:
    """Which labels of a pair are compared.

    Attributes:
        output: of the model, that answers.
        label_set: of the table, that is true; its own or ``ferplus``.
        compared: labels that both sides have.
        unknown: the table's that the model does not know; their faces are left out.
        unused: the model's that the table does not have; an answer with one is wrong.
    """

    output: str
    label_set: str
    compared: tuple[str, ...]
    unknown: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A table, and which of its label sets is true."""

    name: str
    table: Table
    label_set: str


@dataclass(frozen=True)
class Crossing:
    """One model on one column.

    Attributes:
        figures: of the faces that have a compared label; None where there are none.
        labels: that were compared; None where there was nothing to compare.
        left_out: faces whose label the model does not know.
        trained_on: the table is the one that the model was trained on.
        reason: why there are no figures; else empty.
        answers: behind the figures.
    """

    figures: Figures | None
    labels: Labels | None
    left_out: int = 0
    trained_on: bool = False
    reason: str = ""
    answers: Predictions | None = None


@dataclass(frozen=True)
class Contender:
    """A row of the matrix: what it is called, what answers, and the data it was trained on."""

    name: str
    scorer: Scorer
    data: str


def contender(name: str) -> Contender:
    """A model by name or file, or a run folder, with a model file or evaluate-only.

    Raises:
        ModelError, TrainingError: it is none of these.
    """
    path = Path(name)
    scorer: Scorer = fitted.load(RunFolder(path)) if path.is_dir() else models.load(name)
    shown = path.name if path.is_dir() or path.suffix != ".onnx" else path.stem
    return Contender(shown, scorer, str(scorer.card.data.get("name", "unknown data")))


def columns(tables: Mapping[str, Table]) -> list[Column]:
    """The columns that tables, by name, make: one for each of their label sets."""
    return [
        Column(f"{name}, {said}" if said else name, table, label_set)
        for name, table in tables.items()
        for label_set, said in zip(
            table.label_sets, ("original labels", "FER+ majority") if len(table.label_sets) > 1 else ("",), strict=True
        )
    ]


def cross(
    contenders: Sequence[Contender],
    columns: Sequence[Column],
    split: str,
    *,
    output: str | None = None,
    say: Callable[[str], None] = lambda doing: None,
    ledger: Ledger | None = None,
) -> list[list[Crossing]]:
    """Score each model on each column: a row a model.

    Args:
        contenders: the models.
        columns: the data.
        split: of all of them; a table that lacks it leaves its columns empty, with the reason.
        output: of the models, that answers everywhere, as in ``probabilities``; None: the one that suits each column.
        say: told what is being done.
        ledger: keeps the looks where the split is test.
    """
    rows = []
    for one in contenders:
        whole: dict[str, Predictions] = {}
        row = []
        for column in columns:
            say(f"{one.name} on {column.name}")
            row.append(_crossing(one.scorer, column, split, output, ledger, whole))
        rows.append(row)
    return rows


def match(card: Card, labels: Mapping[str, tuple[str, ...]], label_set: str, output: str | None = None) -> Labels:
    """The output that answers for a label set, and the labels that are compared.

    One of the same label set with the same labels comes first; else the one that knows most of the labels by name,
    the earlier of equals.

    Args:
        card: of the model.
        labels: the table's label sets, name to labels.
        label_set: that is true.
        output: the one that answers, whatever suits; None: as above.

    Raises:
        DataError: the model has no such output, or they have no label in common.
    """
    own = labels[label_set]
    if output is not None and output not in card.outputs:
        raise DataError(f"the model has no output '{shown(output)}', only {', '.join(card.outputs)}")
    asked = card.outputs if output is None else {output: card.outputs[output]}
    for name, one in asked.items():
        if one.label_set == label_set and one.labels == own:
            return Labels(name, label_set, own, (), ())
    name, one = max(asked.items(), key=lambda item: len(set(own) & set(item[1].labels)))
    compared = tuple(label for label in own if label in one.labels)
    if not compared:
        raise DataError(f"no label in common: the table has {_few(own)}; the model knows {_few(one.labels)}")
    return Labels(name, label_set, compared, _without(own, one.labels), _without(one.labels, own))


def _crossing(
    scorer: Scorer,
    column: Column,
    split: str,
    output: str | None,
    ledger: Ledger | None,
    whole: dict[str, Predictions],
) -> Crossing:
    """One cell. ``whole`` keeps, by fingerprint, answers to whole splits: label sets of one table share a look."""
    needed(split, ledger)
    table = column.table
    seen = scorer.card.data.get("fingerprint") == table.fingerprint
    about = {"data_fingerprint": table.fingerprint}  # of the table, not of its split
    try:
        labels = match(scorer.card, table.label_sets, column.label_set, output)
        left_out = 0
        if not _same(scorer.card, labels, table):
            part, left_out = _by_name(table.split(split), labels)
            answers = predict(scorer, part, split, ledger=ledger, about=about)
        elif (key := table.fingerprint) in whole:
            answers = whole[key]
        else:
            answers = whole[key] = predict(scorer, table, split, ledger=ledger, about=about)
        scores = next(s for s in answers.scores if s.output == labels.output)
        answers = replace(answers, scores=(scores,))
        return Crossing(measure(scores), labels, left_out, seen, answers=answers)
    except DataError as error:
        return Crossing(None, None, trained_on=seen, reason=str(error))


def _same(card: Card, labels: Labels, table: Table) -> bool:
    """The output was trained on this label set."""
    output = card.outputs[labels.output]
    return (output.label_set, output.labels) == (labels.label_set, table.label_sets[labels.label_set])


def _by_name(part: Table, labels: Labels) -> tuple[Table, int]:
    """The rows with a compared label, under a label set of only those; and how many have a label that is none."""
    truth, own = part.truth(labels.label_set), part.label_sets[labels.label_set]
    place = np.array([labels.compared.index(label) if label in labels.compared else -1 for label in own])
    keep = (truth >= 0) & (place[truth] >= 0)
    if not keep.any():
        raise DataError(f"no face of this split has one of the labels {', '.join(labels.compared)}")
    info = replace(part.info, labels=labels.compared, label_set="-".join(labels.compared))
    known = part.take(keep).with_columns(info, label=place[truth[keep]].tolist(), votes=[None] * int(keep.sum()))
    return known, int(((truth >= 0) & ~keep).sum())


def _few(labels: Sequence[str], most: int = 12) -> str:
    more = f" and {len(labels) - most:,} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more


def _without(labels: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label not in others)


def markdown(
    contenders: Sequence[Contender], columns: Sequence[Column], rows: Sequence[Sequence[Crossing]], split: str
) -> str:
    """The matrix as Markdown, the label maps beneath."""
    names = [column.name for column in columns]
    head = ["model", "trained on", *names]
    lines = [
        "# Cross-data matrix",
        "",
        f"Top-1 on the {split} split of each table, with its 95 % bootstrap interval, macro-F1 and faces; in bold where"
        " the table is the one that the model was trained on.",
        "",
        f"| {' | '.join(head)} |",
        f"| {' | '.join(['---'] * len(head))} |",
    ]
    for one, row in zip(contenders, rows, strict=True):
        cells = [one.name, one.data, *(_cell(crossing) for crossing in row)]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines += ["", "## Which labels were compared", "", "Labels are matched by name.", ""]
    for one, row in zip(contenders, rows, strict=True):
        lines += [f"- {one.name} on {name}: {_said(crossing)}" for name, crossing in zip(names, row, strict=True)]
    return "\n".join([*lines, ""])


def plot(contenders: Sequence[Contender], columns: Sequence[Column], rows: Sequence[Sequence[Crossing]]) -> bytes:
    """The matrix as an annotated heat map: a PNG."""
    top1 = np.array([[c.figures.top1 if c.figures else np.nan for c in row] for row in rows])
    counts = np.array([[c.figures.n if c.figures else 0 for c in row] for row in rows])
    return plots.matrix(top1, counts, [f"{one.name}\n({one.data})" for one in contenders], [c.name for c in columns])


def _cell(crossing: Crossing) -> str:
    f = crossing.figures
    if f is None:
        return "–"
    low, high = f.interval
    top1 = f"{100 * f.top1:.2f}"
    shown = f"**{top1}**" if crossing.trained_on else top1
    return f"{shown} [{100 * low:.2f}, {100 * high:.2f}], F1 {100 * f.macro_f1:.2f}, n = {f.n:,}"


def _said(crossing: Crossing) -> str:
    labels = crossing.labels
    if labels is None:
        return f"nothing: {crossing.reason}."
    said = [f"{len(labels.compared)} labels ({', '.join(labels.compared)}) of {labels.label_set} by {labels.output}"]
    if labels.unknown:
        said.append(f"the model does not know {_few(labels.unknown)}: {crossing.left_out:,} faces left out")
    if labels.unused:
        said.append(f"the table does not have {', '.join(labels.unused)}: such an answer is wrong")
    return "; ".join(said) + "."
