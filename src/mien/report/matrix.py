"""The cross-data matrix: models against tables, so that one sees what training on one data set is worth on another.

Labels are matched by name, and which were compared is said for every pair. Owns that match and the table of figures.
Refuses to compare labels by their number, and to count a face whose label the model does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien import models
from mien.classical import fitted
from mien.data.table import Table
from mien.errors import DataError
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
class Crossing:
    """One model on one table.

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


def cross(
    contenders: Sequence[Contender],
    tables: Sequence[Table],
    split: str,
    say: Callable[[str], None] = lambda doing: None,
    ledger: Ledger | None = None,
) -> list[list[Crossing]]:
    """Score each model on each table: a row a model, a column a table.

    Args:
        contenders: the models.
        tables: the data.
        split: of all of them; a table that lacks it leaves its column empty, with the reason.
        say: told what is being done.
        ledger: keeps the looks where the split is test.
    """
    rows = []
    for one in contenders:
        row = []
        for table in tables:
            say(f"{one.name} on {table.info.name}")
            row.append(_crossing(one.scorer, table, split, ledger))
        rows.append(row)
    return rows


def match(card: Card, table: Table) -> Labels:
    """The output that suits a table, and the labels that are compared.

    An output of one of the table's label sets with the same labels comes first, the table's own before FER+; else the
    one that knows most of the table's own labels by name, the earlier of equals.

    Raises:
        DataError: they have no label in common.
    """
    for label_set, labels in table.label_sets.items():
        for name, output in card.outputs.items():
            if output.label_set == label_set and output.labels == labels:
                return Labels(name, label_set, labels, (), ())
    own = table.info.labels
    name, output = max(card.outputs.items(), key=lambda item: len(set(own) & set(item[1].labels)))
    compared = tuple(label for label in own if label in output.labels)
    if not compared:
        raise DataError(f"no label in common: the table has {_few(own)}; the model knows {_few(output.labels)}")
    return Labels(name, table.info.label_set, compared, _without(own, output.labels), _without(output.labels, own))


def _crossing(scorer: Scorer, table: Table, split: str, ledger: Ledger | None) -> Crossing:
    needed(split, ledger)
    seen = scorer.card.data.get("fingerprint") == table.fingerprint
    try:
        labels = match(scorer.card, table)
        part, left_out = _known(table.split(split), labels)
        about = {"data_fingerprint": table.fingerprint}  # of the table, not of its split
        answers = predict(scorer, part, split, ledger=ledger, about=about)
        scores = next(s for s in answers.scores if s.output == labels.output)
        answers = replace(answers, scores=(scores,))
        return Crossing(measure(scores), labels, left_out, seen, answers=answers)
    except DataError as error:
        return Crossing(None, None, trained_on=seen, reason=str(error))


def _known(part: Table, labels: Labels) -> tuple[Table, int]:
    """The rows with labels that the model knows, under a label set of only those; and how many were left out."""
    if not labels.unknown:
        return part, 0
    own = part.info.labels
    place = np.array([labels.compared.index(label) if label in labels.compared else -1 for label in own])
    keep = (part.labels >= 0) & (place[part.labels] >= 0)
    if not keep.any():
        raise DataError(f"no face of this split has one of the labels {', '.join(labels.compared)}")
    info = replace(part.info, labels=labels.compared, label_set="-".join(labels.compared))
    rows = part.take(keep)
    known = rows.with_columns(info, label=place[rows.labels].tolist(), votes=[None] * len(rows))
    return known, int(((part.labels >= 0) & ~keep).sum())


def _few(labels: Sequence[str], most: int = 12) -> str:
    more = f" and {len(labels) - most:,} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more


def _without(labels: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label not in others)


def markdown(
    contenders: Sequence[Contender], names: Sequence[str], rows: Sequence[Sequence[Crossing]], split: str
) -> str:
    """The matrix as Markdown, the label maps beneath."""
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


def plot(contenders: Sequence[Contender], names: Sequence[str], rows: Sequence[Sequence[Crossing]]) -> bytes:
    """The matrix as an annotated heat map: a PNG."""
    top1 = np.array([[c.figures.top1 if c.figures else np.nan for c in row] for row in rows])
    counts = np.array([[c.figures.n if c.figures else 0 for c in row] for row in rows])
    return plots.matrix(top1, counts, [f"{one.name}\n({one.data})" for one in contenders], names)


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
