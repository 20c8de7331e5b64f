"""A finished model file revised: its answer fitted anew, or figures put into its card. Its heads stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mien import files
from mien.data import protocol
from mien.data.table import Table
from mien.errors import ExportError
from mien.evaluate import metrics, predictions
from mien.export.cards import summary
from mien.export.figures import thresholds
from mien.export.fusion_file import fuse
from mien.models import Model
from mien.models.card import attach, detach


def renew(file: Path, table: Table, out: Path) -> Model:
    """Fit the answer of a model file anew: its heads stay as they are, with their figures.

    Args:
        file: with the heads ``ferplus`` and ``fer2013``.
        table: the data that it was trained on, as imported; the recipe's protocol is applied here.
        out: the model file to write; may be the same.

    Raises:
        ModelError: the file is damaged.
        ExportError: it is not of this table, or cannot be fused; nothing is written.
    """
    content = file.read_bytes()
    card = detach(content, where=str(file))[1]
    if card.data.get("fingerprint") != table.fingerprint:
        raise ExportError(f"{file} was trained on other data than this table")
    dealt = {key: number for key, number in card.recipe.get("data", {}).items() if key in {"folds", "fold"}}
    applied = protocol.apply(table, str(card.data.get("protocol", "official")), **dealt)
    files.write(out, fuse(content, applied, str(file)))
    return Model(out)


def record_metrics(file: Path, scored: predictions.Predictions) -> None:
    """Write the figures of a split into a model file's card; the graph stays byte for byte what it is.

    Validation also says how sure the model must be for a given share of wrong answers.

    Raises:
        ModelError: the file is damaged.
        WriteError: it cannot be written; it is as it was.
    """
    bare, card = detach(file.read_bytes(), where=str(file))
    outputs = dict(card.outputs)
    for scores in scored.scores:
        before = outputs[scores.output]
        figures = {**before.metrics, scored.split: summary(metrics.measure(scores))}
        abstain = thresholds(scores) if scored.split == "validation" else before.abstain
        outputs[scores.output] = replace(before, metrics=figures, abstain=abstain)
    files.write(file, attach(bare, replace(card, outputs=outputs)))
