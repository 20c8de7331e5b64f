"""The parts of the report page as plain values: what each section says, without how it looks.

Each function answers one section from the evidence. Owns the choice of faces that are shown, which is by rule and by
seed, never by hand. Refuses HTML; ``page`` has the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from mien.data import describe, protocol
from mien.data.table import Table
from mien.errors import DataError, TrainingError
from mien.evaluate.calibration import Calibration
from mien.evaluate.coverage import Coverage, coverage
from mien.evaluate.metrics import Bin, Figures, expected_calibration_error, measure, reliability
from mien.evaluate.predictions import Scores
from mien.explain import gradcam
from mien.networks import build
from mien.recipes.classical_schema import ClassicalRecipe
from mien.recipes.loader import Experiment
from mien.recipes.schema import Recipe
from mien.report import sheet
from mien.report.evidence import Evidence
from mien.report.sheet import Marked
from mien.train import faces as training_faces

#: Coverages that the table of thresholds lists.
COVERAGES = (1.0, 0.9, 0.75, 0.5, 0.25)
_MISTAKES = 16


@dataclass(frozen=True)
class OutputSection:
    """Everything about one output on one split.

    Attributes:
        scores, figures: of the labelled faces.
        calibration: that is in the scores.
        confusion: (K, K) counts, true labels down.
        bins: reliability bins before calibration and as scored.
        ece: calibration error of both.
        coverage: accuracy on the surest faces.
    """

    scores: Scores
    figures: Figures
    calibration: Calibration
    confusion: NDArray[np.int64]
    bins: tuple[tuple[Bin, ...], tuple[Bin, ...]]
    ece: tuple[float, float]
    coverage: Coverage


def output_sections(evidence: Evidence, split: str) -> list[OutputSection]:
    """One section for each output of the model file that the split has labels for."""
    found = []
    for scores in evidence.predictions[split].scores:
        part = scores.labelled()
        output = evidence.card.outputs[scores.output]
        calibration = Calibration.of(output)
        raw = calibration.undone(part.probabilities)
        guess = part.probabilities.argmax(axis=1)
        found.append(
            OutputSection(
                part,
                measure(scores),
                calibration,
                confusion_matrix(part.truth, guess, labels=range(len(part.labels))),
                (reliability(raw, part.truth), reliability(part.probabilities, part.truth)),
                (
                    expected_calibration_error(raw, part.truth),
                    expected_calibration_error(part.probabilities, part.truth),
                ),
                coverage(part.probabilities, part.truth),
            )
        )
    return found


def data_section(table: Table) -> dict[str, Any]:
    """Counts per split and label, and how many faces of each split have an identical training picture."""
    found = describe.describe(table)
    train = table.digests[table.splits == "train"]
    copies = {}
    for split in ("validation", "test"):
        own = table.digests[table.splits == split]
        if len(own) and len(train):
            count = int(np.isin(own, train).sum())
            copies[split] = (count, count / len(own))
    return {"found": found, "copies": copies}


def stage_rows(recipe: Recipe) -> list[tuple[str, list[str]]]:
    """What the stages set: a row for each key that any stage changes from its default, a column for each stage."""
    changed = list(dict.fromkeys(key for stage in recipe.stages for key in stage.model_dump(exclude_defaults=True)))
    rows = []
    for key in changed:
        values = [_phrase(stage.model_dump()[key]) for stage in recipe.stages]
        if key == "augmentation":
            values = [_listed(stage.augmentation.model_dump(exclude_defaults=True)) for stage in recipe.stages]
        rows.append((key.replace("_", " "), values))
    return rows


def recipe_parts(recipe: Experiment) -> list[tuple[str, str]]:
    """Network, heads and data in words: what the recipe sets, and what kind of thing it is."""
    if isinstance(recipe, ClassicalRecipe):
        return _classical_parts(recipe)
    network, data = recipe.network, recipe.data
    parts = [("network", _listed({network.kind: True} | network.model_dump(exclude={"kind"})))]
    for head in recipe.heads:
        changed = head.model_dump(exclude_defaults=True, exclude={"label_set"})
        parts.append((f"head {head.label_set}", _listed({"loss": head.loss, "targets": head.targets} | changed)))
    parts.append(("pictures", _listed({"size": data.size, "color": data.color, "merge copies": data.merge_copies})))
    if recipe.ema:
        parts.append(("moving average", f"{recipe.ema:g} a step"))
    return parts


def _classical_parts(recipe: ClassicalRecipe) -> list[tuple[str, str]]:
    features, classifier = recipe.features, recipe.classifier
    return [
        ("features", _listed({features.kind: True} | features.model_dump(exclude={"kind"}))),
        ("standardise", "yes" if recipe.standardise else "no"),
        ("reduction", _listed({"pca": True} | recipe.reduce.model_dump(exclude={"kind"})) if recipe.reduce else "none"),
        ("classifier", _listed({classifier.kind: True} | classifier.model_dump(exclude={"kind"}))),
        ("label set", recipe.label_set),
        ("pictures", _listed({"size": recipe.data.size, "merge copies": recipe.data.merge_copies})),
    ]


@dataclass(frozen=True)
class SearchSection:
    """What a classical run tried.

    Attributes:
        paths: of the recipe, whose values were tried.
        rows: a row for each combination: its values, validation top-1 in 0-1, seconds, and whether it was kept.
        without: faces of each split that have no features.
    """

    paths: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], float, float, bool], ...]
    without: dict[str, int]


def search_section(evidence: Evidence) -> SearchSection | None:
    """What a classical run tried, and which it kept; None for a network's run."""
    state = evidence.state
    if not isinstance(evidence.recipe, ClassicalRecipe):
        return None
    paths, kept = tuple(state["chosen"]["values"]), state["chosen"]["candidate"]
    column = f"validation_top1_{evidence.recipe.label_set}"
    rows = tuple(
        (tuple(str(row[p]) for p in paths), float(row[column]), float(row["seconds"]), int(row["candidate"]) == kept)
        for row in state["search"]
    )
    return SearchSection(paths, rows, state["without_features"])


def _listed(values: dict[str, Any]) -> str:
    """Settings as a phrase: ``size 48, flip``; what is off is left out."""
    shown = {name.replace("_", " "): value for name, value in values.items() if value not in (None, False, "none", ())}
    return ", ".join(name if value is True else f"{name} {_phrase(value)}" for name, value in shown.items()) or "none"


def _phrase(value: object) -> str:
    if isinstance(value, dict):
        return f"({_listed(value)})"
    if isinstance(value, (tuple, list)):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def deduplicated_section(evidence: Evidence) -> list[tuple[Figures, Figures]]:
    """Test figures on all faces and without those that have a copy elsewhere, for each output.

    Empty where the test split was not scored or is not the official one.
    """
    table = evidence.table
    if table is None or "test" not in evidence.predictions or evidence.recipe.data.protocol != "official":
        return []
    kept = protocol.apply(table, "deduplicated")
    rows = kept.rows[kept.splits == "test"]
    found = []
    for scores in evidence.predictions["test"].scores:
        alone = np.isin(scores.rows, rows)
        if not (scores.truth[alone] >= 0).any():
            continue
        part = Scores(
            scores.output,
            scores.label_set,
            scores.labels,
            scores.rows[alone],
            scores.truth[alone],
            scores.unfiltered[alone],
            scores.probabilities[alone],
        )
        found.append((measure(scores), measure(part)))
    return found


def mistakes(evidence: Evidence, split: str, scores: Scores) -> list[Marked]:
    """The wrong answers that the model was surest of.

    Raises:
        DataError: no table was given.
    """
    wrong = np.flatnonzero((scores.truth >= 0) & (scores.probabilities.argmax(axis=1) != scores.truth))
    surest = wrong[np.argsort(-scores.probabilities[wrong].max(axis=1), kind="stable")][:_MISTAKES]
    faces = _part(evidence, split).take(surest)
    return sheet.mark(scores, surest, faces.pictures(evidence.card.width)) if len(surest) else []


def _part(evidence: Evidence, split: str) -> Table:
    if evidence.table is None:
        raise DataError("pictures need the table: add --data FILE")
    return evidence.table.split(split)


@dataclass(frozen=True)
class HeatSection:
    """Heat maps of one output: the faces, what they were told, the same faces with the maps over them."""

    label_set: str
    faces: list[Marked]
    overlays: list[NDArray[np.uint8]]
    maps: gradcam.Heatmaps


def heat_sections(evidence: Evidence, split: str) -> list[HeatSection]:
    """For each label of each output one right and one wrong face, drawn by seed, with Grad-CAM of what was said.

    Args:
        evidence: with the table.
        split: whose faces.

    Raises:
        TrainingError: the run does not lend itself to Grad-CAM; the message says why.
        DataError: no table was given.
    """
    if isinstance(evidence.recipe, ClassicalRecipe):
        raise TrainingError("A classical pipeline has no layers to ask where it looks.")
    network, part = build.restore(evidence.run), _part(evidence, split)
    found = []
    for scores in evidence.predictions[split].scores:
        if scores.label_set not in network.heads:  # the answer that is fused from several heads
            continue
        positions = _examples(scores)
        chosen = part.take(positions)
        said = scores.probabilities[positions].argmax(axis=1)
        maps = gradcam.explain(network, training_faces.pixels(chosen, evidence.recipe.data), scores.label_set, said)
        pixels = chosen.pictures(evidence.card.width)
        overlays = [gradcam.overlay(face, heat) for face, heat in zip(pixels, maps.maps, strict=True)]
        found.append(HeatSection(scores.label_set, sheet.mark(scores, positions, pixels), overlays, maps))
    return found


def _examples(scores: Scores) -> NDArray[np.int64]:
    """For each label a right and a wrong face, where there are such."""
    hits = scores.probabilities.argmax(axis=1) == scores.truth
    rng = np.random.default_rng(0)
    drawn = []
    for label in range(len(scores.labels)):
        for right in (True, False):
            pool = np.flatnonzero((scores.truth == label) & (hits == right))
            if len(pool):
                drawn.append(int(rng.choice(pool)))
    return np.array(drawn, np.int64)
