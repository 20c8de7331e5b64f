"""A finished run into one model file: temperature, graph, gate, card.

Everything that is fitted here is fitted on the validation split.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from scipy.special import softmax

from mien.data.table import Table
from mien.errors import TrainingError
from mien.evaluate import metrics, predictions
from mien.evaluate.calibration import fit_temperature
from mien.export import graph
from mien.export.gates import check_parity
from mien.expressions import LABEL_SETS
from mien.faces.crop import FER2013_FRAMING, FRAMING_RULE, resize
from mien.faces.images import decode
from mien.models import Card, Golden, Model, Output
from mien.models.card import attach, detach
from mien.train import recipe as recipes
from mien.train.folder import RunFolder
from mien.train.networks import Classifier
from mien.train.recipe import Recipe
from mien.train.run import score

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
    """What the card says of the law.

    Attributes:
        version: of the model.
        licence: of the weights, as an SPDX name.
        data_terms: of the data they were trained on; None takes FER2013's for FER2013, else asks to ask.
    """

    version: str = "1"
    licence: str = "Apache-2.0"
    data_terms: str | None = None


def package(run: RunFolder, table: Table, out: Path, terms: Terms | None = None) -> Model:
    """Export the best weights of a run, fit the temperatures on validation, check the file and write it.

    Args:
        run: a finished run.
        table: the data that it was trained on.
        out: the model file to write.
        terms: what the card says of version and licence.

    Returns:
        The written file, loaded.

    Raises:
        TrainingError: the run is not finished or was trained on other data.
        ExportError: the file does not say what the network says; nothing is written.
    """
    state = run.read_state()
    if state.get("state") != "finished":
        raise TrainingError(f"{run.path} is not finished: go on with mien train --resume")
    if state["data"] != table.fingerprint:
        raise TrainingError(f"{run.path} was trained on other data than this table")
    recipe = recipes.load(run.recipe)
    best = run.load(run.best)
    labels = {name: tuple(names) for name, names in state["labels"].items()}
    network = Classifier(recipe.network, {name: len(names) for name, names in labels.items()})
    network.load_state_dict(best["network"])
    faces = table.split("validation")
    grey = faces.pictures(recipe.data.size, grey=True)
    logits = {name: rows.numpy() for name, rows in score(network, torch.from_numpy(grey).unsqueeze(1)).items()}
    outputs = _outputs(recipe, labels, logits, faces)
    bare = graph.wrap(
        graph.export_network(network, tuple(labels), recipe.data.size),
        {name: (output.label_set, output.temperature) for name, output in outputs.items()},
        recipe.data.size,
    )
    card = _card(recipe, outputs, table, state, best, terms or Terms())
    return _check_and_write(run, bare, card, logits, table, grey, out)


def _outputs(
    recipe: Recipe, labels: dict[str, tuple[str, ...]], logits: dict[str, NDArray[np.float32]], faces: Table
) -> dict[str, Output]:
    """The first head is ``probabilities``, every further one ``probabilities_<label set>``."""
    outputs = {}
    for number, head in enumerate(recipe.heads):
        name = f"probabilities_{head.label_set}" if number else "probabilities"
        temperature = fit_temperature(logits[head.label_set], faces.truth(head.label_set))
        outputs[name] = Output(labels[head.label_set], head.label_set, round(temperature, 4))
    return outputs


def _card(recipe: Recipe, outputs: dict[str, Output], table: Table, state: Any, best: Any, terms: Terms) -> Card:
    size = recipe.data.size
    picture = decode((resources.files("mien.export") / "golden.png").read_bytes())
    golden = np.ascontiguousarray(resize(picture, size, size))
    known = _FER2013_TERMS + (" " + _FERPLUS_TERMS if table.votes is not None else "")
    fallback = known if table.info.label_set in LABEL_SETS and table.info.name == "fer2013" else "not stated"
    return Card(
        name=recipe.name,
        version=terms.version,
        outputs=outputs,
        height=size,
        width=size,
        framing={name: framing.to_dict() for name, framing in FER2013_FRAMING.items()},
        framing_rule=FRAMING_RULE,
        golden=Golden(base64.b64encode(golden.tobytes()).decode(), {}, GOLDEN_SOURCE),
        recipe=yaml.safe_load(recipes.dump(recipe)),
        data={
            "name": table.info.name,
            "fingerprint": table.fingerprint,
            "official_splits": table.info.official,
            "source": table.info.source,
        },
        training={
            "seed": state["seed"],
            "parameters": state["parameters"],
            "best_epoch": best["epoch"],
            "epochs": recipe.epochs,
            "seconds": state["seconds"],
            "environment": state["environment"],
        },
        licence=terms.licence,
        data_terms=terms.data_terms or fallback,
        intended_use=INTENDED_USE,
    )


def _check_and_write(
    run: RunFolder,
    bare: bytes,
    card: Card,
    logits: dict[str, NDArray[np.float32]],
    table: Table,
    grey: NDArray[np.uint8],
    out: Path,
) -> Model:
    """Run the file that is to be written, compare it, let it score validation, and only then write it."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        draft.write_bytes(attach(bare, card))
        model = Model(draft)
        expected = {
            name: softmax(logits[output.label_set] / output.temperature, axis=1)
            for name, output in card.outputs.items()
        }
        differences = check_parity(expected, model.score(np.repeat(grey[..., None], 3, axis=3)))
        scored = predictions.predict(model, table, "validation")
        figures = {s.output: summary(metrics.measure(s)) for s in scored.scores}
        golden = {
            name: tuple(round(float(p), 5) for p in rows[0])
            for name, rows in model.score(card.golden_crop()[None]).items()
        }
    outputs = {name: replace(output, metrics={"validation": figures[name]}) for name, output in card.outputs.items()}
    parity = {"largest_difference": max(differences.values()), "faces": len(grey)}
    card = replace(
        card,
        outputs=outputs,
        golden=replace(card.golden, probabilities=golden),
        training={**card.training, "parity": parity},
    )
    run.write(out, attach(bare, card))
    return Model(out)


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


def record_metrics(file: Path, split: str, figures: dict[str, metrics.Figures]) -> None:
    """Write the figures of a split into a model file's card; the graph stays byte for byte what it is.

    Raises:
        ModelError: the file is damaged.
    """
    bare, card = detach(file.read_bytes(), where=str(file))
    outputs = {
        name: replace(output, metrics={**output.metrics, split: summary(figures[name])}) if name in figures else output
        for name, output in card.outputs.items()
    }
    RunFolder(file.parent).write(file, attach(bare, replace(card, outputs=outputs)))
