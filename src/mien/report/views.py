"""What test-time views are worth: the network of a run alone, with its mirror image, and with ten crops.

The answers are kept as predictions tables in the run folder, one a split and view, so that their figures can be
recomputed without the network. All views are calibrated as the model file is; the exporter fits a calibration of its
own to the view it packs. A choice among the views belongs to validation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mien.data.table import Table
from mien.errors import DataError, RecipeError
from mien.evaluate import predictions
from mien.evaluate.calibration import Calibration
from mien.evaluate.ledger import Ledger, needed
from mien.evaluate.metrics import Figures, measure
from mien.evaluate.predictions import Predictions, Scores
from mien.evaluate.significance import McNemar, mcnemar
from mien.models import Card
from mien.networks import build
from mien.networks.tta import NAMES, Views
from mien.recipes.schema import Recipe
from mien.runs import RunFolder
from mien.train import faces
from mien.train.scoring import score

SINGLE = "single"


@dataclass(frozen=True)
class ViewFigures:
    """One view on one split and output: its figures, and the paired test against the single view."""

    split: str
    view: str
    figures: Figures
    against_single: McNemar | None


def compare(
    run: RunFolder, recipe: Recipe, card: Card, table: Table, split: str, ledger: Ledger | None = None
) -> list[ViewFigures]:
    """Score a split with every view that the network takes; what was scored before is read.

    Args:
        run: with its best weights.
        recipe: of the run.
        card: of its model file.
        table: as the run's protocol makes it.
        split: validation, or test where the caller was asked to.
        ledger: keeps the looks at test; answers that are stored need none.

    Raises:
        TrainingError: the best weights are missing.
        DataError: the table lacks the split.
    """
    weights = hashlib.sha256(run.best.read_bytes()).hexdigest() if run.best.exists() else ""
    expected = {"weights_sha256": weights, "data_fingerprint": table.fingerprint, "graph_sha256": card.graph_sha256}
    files = {view: run.predictions / f"{split}-{view}.parquet" for view in (SINGLE, *NAMES)}
    kept = {view: _kept(file, expected) for view, file in files.items()}
    if None in kept.values():
        kept |= _score(
            run, recipe, card, table, split, expected, ledger, [view for view, found in kept.items() if found is None]
        )
    single = kept[SINGLE]
    assert single is not None  # a network that does not take its own faces raises
    found = []
    for position, alone in enumerate(single.scores):
        for view, answers in kept.items():
            if answers is not None:
                scores = answers.scores[position]
                test = mcnemar(_hits(scores), _hits(alone)) if view != SINGLE else None
                found.append(ViewFigures(split, view, measure(scores), test))
    return found


def _kept(file: object, expected: dict[str, str]) -> Predictions | None:
    try:
        found = predictions.read(str(file))
    except DataError:
        return None
    return found if expected.items() <= dict(found.provenance).items() else None


def _hits(scores: Scores) -> np.ndarray:
    part = scores.labelled()
    return part.probabilities.argmax(axis=1) == part.truth


def _score(
    run: RunFolder,
    recipe: Recipe,
    card: Card,
    table: Table,
    split: str,
    expected: dict[str, str],
    ledger: Ledger | None,
    views: list[str],
) -> dict[str, Predictions | None]:
    """Let the network answer; a view that its backbone does not take is None."""
    needed(split, ledger)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = build.restore(run)
    part = table.split(split)
    pixels = faces.pixels(part, recipe.data)
    found: dict[str, Predictions | None] = {}
    for view in views:
        viewed: nn.Module = network if view == SINGLE else Views(network, view)  # pyright: ignore[reportArgumentType]  others are refused
        try:
            logits = score(viewed.to(device), pixels, device)
        except (RuntimeError, AssertionError, ValueError, RecipeError):
            if view == SINGLE:
                raise
            found[view] = None
            continue
        answers = _as_predictions(part, split, view, logits, card, expected)
        if ledger and split == "test":
            ledger.record(answers.provenance, answers.scores)
        predictions.write(answers, run.predictions / f"{split}-{view}.parquet")
        found[view] = answers
    return found


def _as_predictions(
    part: Table, split: str, view: str, logits: dict[str, torch.Tensor], card: Card, expected: dict[str, str]
) -> Predictions:
    fitted = {o.label_set: Calibration.of(o) for o in card.heads.values()}
    scores = tuple(
        Scores(
            name,
            name,
            part.label_sets[name],
            part.rows,
            part.truth(name),
            part.unfiltered_truth(name),
            fitted[name].probabilities(rows.float().cpu().numpy()).astype(np.float32),
        )
        for name, rows in logits.items()
    )
    outputs = {s.output: {"labels": list(s.labels), **fitted[s.label_set].to_dict()} for s in scores}
    provenance = {"model": f"weights, {view}", "data": part.info.name, **expected, "outputs": outputs}
    return Predictions(split, provenance, scores)
