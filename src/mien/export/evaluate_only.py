"""What a run gets in place of a model file where ONNX does not express its pipeline: the card, and its answers.

The card is the one that a model file would carry, as JSON beside the fitted pipeline, and names that file's sha256 for
a graph's. Refuses to hold anything that a model file would not: no faces, no code.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mien import files
from mien.classical import to_torch
from mien.classical.fit import chosen, restore
from mien.classical.fitted import Fitted
from mien.data.table import Table
from mien.errors import ExportError
from mien.evaluate import predictions
from mien.evaluate.calibration import Calibration
from mien.export.cards import Terms, describe
from mien.export.figures import complete
from mien.export.package import TOLD, finished_state
from mien.models import Card, Output
from mien.runs import RunFolder
from mien.train import faces


def reason(run: RunFolder) -> str:
    """Why a classical run is evaluate-only; "" where it becomes a model file.

    Raises:
        TrainingError, ModelError: the run holds no pipeline, or a damaged one.
    """
    return to_torch.obstacle(chosen(run), restore(run))


def write_card(run: RunFolder, table: Table, terms: Terms | None = None) -> Fitted:
    """Write the card of an evaluate-only run and its answers to validation; say why in its record.

    Args:
        run: finished.
        table: the data that it was trained on, as imported; the recipe's protocol is applied here.
        terms: what the card says of version and licence.

    Returns:
        The run, ready to score.

    Raises:
        TrainingError: the run is not finished, or was trained on other data.
        ExportError: it is not evaluate-only.
        ModelError: its pipeline is damaged.
    """
    state, recipe, why = finished_state(run, table), chosen(run), reason(run)
    if not why:
        raise ExportError(f"{run.path} is not evaluate-only: mien export {run.path} --data FILE")
    head, judged = recipe.heads[0], Calibration.from_dict(state["calibration"])
    labels = tuple(state["labels"][head.label_set])
    output = Output(labels, head.label_set, judged.temperature, bias=judged.bias, power=judged.power)
    training = {key: state[key] for key in (*TOLD, "chosen") if key in state} | {"evaluate_only": why}
    card = describe(recipe, table, terms or Terms(), {"probabilities": output}, training)
    _write(run, replace(card, graph_sha256=hashlib.sha256(run.pipeline.read_bytes()).hexdigest()))
    fitted = Fitted(run)
    scored = predictions.predict(fitted, faces.as_trained(table, recipe), "validation")
    fitted.card = complete(fitted.card, fitted, scored)
    _write(run, fitted.card)
    predictions.write(scored, run.predictions / "validation.parquet")
    run.write_state(evaluate_only=why)
    return fitted


def _write(run: RunFolder, card: Card) -> None:
    files.write(run.card, card.to_json() + "\n")
