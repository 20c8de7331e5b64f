"""What a new model file's card says: terms, provenance, golden crop, figures in a card's form.

Owns the words and the rounding. Refuses to measure anything and to write files.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import yaml

from mien.data import protocol
from mien.data.table import Table
from mien.detection.framing import FER2013_FRAMING, FRAMING_RULE, resize
from mien.evaluate import metrics
from mien.expressions import LABEL_SETS
from mien.models import Card, Golden, Output
from mien.recipes import loader as recipes
from mien.recipes.loader import Experiment
from mien.sources.images import decode

GOLDEN_SOURCE = "NASA portrait of Eileen Collins (public domain), its face framed as FER2013 frames faces, resized"
INTENDED_USE = (
    "Reading the visible expression of faces in pictures, for research and for applications whose users know of it."
    " It reads expressions, not feelings, intentions or attention; it must not decide about people. Inferring"
    " emotions at work and in education is prohibited in the European Union (Regulation 2024/1689, article 5)."
)
_FERPLUS_TERMS = "FER+ votes: Barsoum et al. 2016, MIT licence."
_FER2013_TERMS = (
    "Trained on FER2013 (Goodfellow et al. 2013), pictures gathered from the web for research; whether weights"
    " trained on them may be used commercially is not settled."
)


@dataclass(frozen=True)
class Terms:
    """What the maker of a file says in its card.

    Attributes:
        name: of the model; None takes the recipe's.
        version: of the model.
        licence: of the weights, as an SPDX name.
        data_terms: of the data they were trained on; None takes FER2013's for FER2013, else asks to ask.
    """

    name: str | None = None
    version: str = "1"
    licence: str = "Apache-2.0"
    data_terms: str | None = None


def describe(
    recipe: Experiment, table: Table, terms: Terms, outputs: Mapping[str, Output], training: Mapping[str, Any]
) -> Card:
    """The card of a file that is being made; the golden probabilities are still missing.

    Args:
        recipe: it was trained with.
        table: it was trained on, before the recipe's protocol.
        terms: name, version and licence.
        outputs: of the graph, in order.
        training: what the run and the export say of how it came about.
    """
    size = recipe.data.size
    picture = decode((resources.files("mien.export") / "golden.png").read_bytes())
    golden = np.ascontiguousarray(resize(picture, size, size))
    return Card(
        name=terms.name or recipe.name,
        version=terms.version,
        outputs=outputs,
        height=size,
        width=size,
        framing={name: framing.to_dict() for name, framing in FER2013_FRAMING.items()},
        framing_rule=FRAMING_RULE,
        golden=Golden(base64.b64encode(golden.tobytes()).decode(), {}, GOLDEN_SOURCE),
        recipe=yaml.safe_load(recipes.dump(recipe)),
        data=_data(recipe, table),
        training=training,
        licence=terms.licence,
        data_terms=" ".join([terms.data_terms or _data_terms(table), *_further_terms(training.get("lineage", ()))]),
        intended_use=INTENDED_USE,
    )


def _data(recipe: Experiment, table: Table) -> dict[str, Any]:
    mark = protocol.mark(recipe.data.protocol, recipe.data.limit)
    return {
        "name": table.info.name,
        "fingerprint": table.fingerprint,
        "official_splits": table.info.official,
        "source": table.info.source,
        "protocol": recipe.data.protocol,
    } | ({"warning": mark} if mark else {})


def _data_terms(table: Table) -> str:
    if table.info.label_set not in LABEL_SETS or table.info.name != "fer2013":
        return "not stated"
    return _FER2013_TERMS + (" " + _FERPLUS_TERMS if table.votes is not None else "")


def _further_terms(lineage: Sequence[str]) -> Iterator[str]:
    """What a deployer must know of starting weights and teachers; nothing where there were none."""
    if lineage:
        yield f"Further terms may follow from what the network descends from: {'; '.join(lineage)}."


def summary(figures: metrics.Figures) -> dict[str, Any]:
    """Figures as a card carries them, in percent, rounded to two digits; the calibration error in 0-1."""
    return {
        "n": figures.n,
        "top1": round(100 * figures.top1, 2),
        "interval95": [round(100 * bound, 2) for bound in figures.interval],
        "balanced_accuracy": round(100 * figures.balanced_accuracy, 2),
        "macro_f1": round(100 * figures.macro_f1, 2),
        "ece": round(figures.ece, 4),
    } | {name.replace(" ", "_"): {"n": n, "top1": round(100 * top1, 2)} for name, (n, top1) in figures.also.items()}
