"""A finished run into one model file: graph, precision, temperature, gate, card.

Everything that is fitted or chosen here is fitted and chosen on the validation split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from mien import files
from mien.data.table import Table
from mien.errors import ExportError, TrainingError
from mien.evaluate import calibration, predictions
from mien.export import classical, gates, graph, quantise
from mien.export.cards import Terms, describe
from mien.export.figures import complete
from mien.export.fusion_file import fuse, fusible
from mien.models import Model, Output
from mien.models.card import attach, detach
from mien.networks import build
from mien.networks import tta as looks
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe
from mien.recipes.loader import Experiment
from mien.runs import RunFolder
from mien.train import faces as training_faces
from mien.train.scoring import score

_PARITY_FACES = 512
_Logits = dict[str, NDArray[np.float32]]
#: What a card repeats of the record of its run.
TOLD = ("seed", "parameters", "seconds", "environment", "weights", "lineage", "without_features")


@dataclass(frozen=True)
class Options:
    """What kind of file a run becomes.

    Attributes:
        views: ``none``, or the test-time views whose mean the file answers; see :mod:`mien.networks.tta`.
        crop: pixels a side of the windows of ``ten-crop``; None takes 5/6 of the face.
        precision: ``fp32``; ``fp16`` stores the weights in half the size; ``int8`` computes in 8 bit.
        calibration_faces: training faces that 8-bit ranges are found on.
        reduce_range: 7-bit weights. Without, x86 processors that lack VNNI saturate and answer otherwise:
            ``benchmarks/instructions.py`` shows how much.
    """

    views: Literal["none", "flip", "ten-crop"] = "none"
    crop: int | None = None
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    calibration_faces: int = 1000
    reduce_range: bool = True


@dataclass(frozen=True)
class _Source:
    """A finished run as its file is made of.

    Attributes:
        training: what the card says of how it came about.
        labels: label set to labels.
        recipe: of the run.
        network: the best weights, or a fitted pipeline rebuilt, with test-time views around them.
        reference: what the file is compared with: pixels uint8 (N, C, S, S) to logits.
        table: the data with the recipe's protocol applied.
        faces: its validation rows.
        pixels: of those as the network takes them, uint8 (N, C, S, S).
    """

    training: dict[str, Any]
    labels: dict[str, list[str]]
    recipe: Experiment
    network: nn.Module
    reference: Callable[[torch.Tensor], dict[str, torch.Tensor]]
    table: Table
    faces: Table
    pixels: NDArray[np.uint8]


def package(
    run: RunFolder, table: Table, out: Path, terms: Terms | None = None, options: Options | None = None
) -> Model:
    """Export a run: its best weights or fitted pipeline, calibrated on validation, checked and written.

    Args:
        run: a finished run.
        table: the data that it was trained on, as imported; the recipe's protocol is applied here.
        out: the model file to write.
        terms: what the card says of version and licence.
        options: views and precision.

    Returns:
        The written file, loaded.

    Raises:
        TrainingError: the run is not finished, is damaged, or was trained on other data.
        ExportError: the file does not say what the network says, or less precisely than the gates allow, or
            the network cannot be exported so, or the run is evaluate-only; nothing is written.
        WriteError: the file cannot be written; an older one stays.
    """
    options = options or Options()
    if not out.parent.is_dir():
        raise ExportError(f"cannot write {out}: the folder {out.parent} does not exist")
    source = _open(run, table, options)
    data = source.recipe.data
    heads = tuple(head.label_set for head in source.recipe.heads)
    exact = graph.export_network(source.network, heads, data.size, data.channels)
    logits = quantise.run(exact, source.pixels)
    made, made_logits, facts = _at_precision(exact, logits, source, options)
    facts = {"precision": options.precision, "views": options.views} | facts
    if options.views == "ten-crop":
        facts["crop"] = options.crop or looks.default_crop(data.size)
    with files.scratch() as folder:
        model = _draft(made, made_logits, source, table, terms or Terms(), facts, folder / "made.onnx")
        scored = [predictions.predict(model, source.table, "validation")]
        if made is exact:
            facts["parity"] = _check_parity(model, source)
        else:
            reference = _draft(exact, logits, source, table, Terms(), {}, folder / "exact.onnx")
            facts["gate"] = _check_agreement(reference, model, source.table, scored[0])
        content = _finish(model, scored[0], facts)
    if fusible(model.card, source.table):
        content = fuse(content, source.table, str(out))
    files.write(out, content)
    return Model(out)


def _open(run: RunFolder, table: Table, options: Options) -> _Source:
    state = finished_state(run, table)
    recipe = recipes.load(run.recipe)
    training = {key: state[key] for key in TOLD if key in state}
    if isinstance(recipe, ClassicalRecipe):
        recipe, network, reference = classical.open_pipeline(run)
        training |= {"chosen": state["chosen"]}
    else:
        try:
            training |= {"best_epoch": run.load(run.best)["epoch"], "epochs": recipe.epochs}
            network = build.restore(run)
        except (RuntimeError, KeyError) as error:
            raise TrainingError(f"{run.best} does not fit {run.recipe}: the run is damaged, train again") from error
        reference = partial(score, network)
    data = recipe.data
    applied = training_faces.as_trained(table, recipe)
    if options.views != "none":
        network = looks.Views(network, options.views, options.crop).eval()
        try:
            with torch.inference_mode():
                network(torch.zeros(1, data.channels, data.size, data.size))
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ExportError(f"the network cannot look at {options.views} views ({reason}): choose others") from error
        reference = partial(score, network)
    faces = applied.split("validation")
    pixels = training_faces.pixels(faces, recipe.data).numpy()
    return _Source(training, state["labels"], recipe, network, reference, applied, faces, pixels)


def finished_state(run: RunFolder, table: Table) -> dict[str, Any]:
    """What a finished run on a table says of itself.

    Raises:
        TrainingError: it is no run, not finished, or was trained on other data.
    """
    state = run.read_state()
    if not state:
        raise TrainingError(f"{run.path} is no run folder: it holds no run.json")
    if state.get("state") != "finished":
        raise TrainingError(f"{run.path} is not finished: resume it with mien train --resume")
    if state.get("data") != table.fingerprint:
        raise TrainingError(f"{run.path} was trained on other data than this table")
    return state


def _at_precision(
    exact: onnx.ModelProto, logits: _Logits, source: _Source, options: Options
) -> tuple[onnx.ModelProto, _Logits, dict[str, Any]]:
    """The graph at the precision asked for, its logits on validation, and what the card says of how it came about."""
    if options.precision == "fp32":
        return exact, logits, {}
    if options.precision == "fp16":
        made = quantise.to_fp16(exact)
        return made, quantise.run(made, source.pixels), {}
    train = source.table.split("train")
    count = min(options.calibration_faces, len(train))
    chosen = np.sort(np.random.default_rng(source.recipe.seed).choice(len(train), count, replace=False))
    faces = training_faces.pixels(train.take(chosen), source.recipe.data).numpy()
    best = quantise.choose(
        lambda method: quantise.to_int8(exact, faces, method, reduce_range=options.reduce_range),
        source.pixels,
        logits,
    )
    calibration = {
        "faces": count,
        "method": best.method,
        "validation_agreement": {name: round(share, 4) for name, share in best.agreements.items()},
        "reduce_range": options.reduce_range,
    }
    return best.network, best.logits, {"calibration": calibration}


def _draft(
    network: onnx.ModelProto,
    logits: _Logits,
    source: _Source,
    table: Table,
    terms: Terms,
    facts: dict[str, Any],
    place: Path,
) -> Model:
    """A file of a network graph with its own calibration, not yet judged; without figures and golden answers."""
    recipe = source.recipe
    outputs = {}
    for number, head in enumerate(recipe.heads):  # the first is what users see
        name = f"probabilities_{head.label_set}" if number else "probabilities"
        fitted = calibration.fit(logits[head.label_set], source.faces.truth(head.label_set))
        names = tuple(source.labels[head.label_set])
        outputs[name] = Output(names, head.label_set, fitted.temperature, bias=fitted.bias, power=fitted.power)
    bare = graph.wrap(
        network,
        {name: (output.label_set, calibration.Calibration.of(output)) for name, output in outputs.items()},
        recipe.data.size,
        recipe.data.channels,
    )
    facts["fitted"] = {o.label_set: calibration.Calibration.of(o).kind for o in outputs.values()}
    training = source.training | {"export": facts}
    place.write_bytes(attach(bare, describe(recipe, table, terms, outputs, training)))
    return Model(place)


def _check_parity(model: Model, source: _Source) -> dict[str, Any]:
    """The file against what was trained, on validation faces, at most 512 of them."""
    count = len(source.pixels)
    pixels = source.pixels[np.unique(np.linspace(0, count - 1, _PARITY_FACES).astype(int))]
    logits = source.reference(torch.from_numpy(pixels))
    expected = {
        name: calibration.Calibration.of(output).probabilities(logits[output.label_set].numpy())
        for name, output in model.card.outputs.items()
    }
    crops = np.broadcast_to(pixels.transpose(0, 2, 3, 1), (len(pixels), *pixels.shape[2:], 3))
    differences = gates.check_parity(expected, model.score(np.ascontiguousarray(crops)))
    return {"largest_difference": max(differences.values()), "faces": len(pixels)}


def _check_agreement(
    reference: Model, model: Model, table: Table, scored: predictions.Predictions
) -> list[dict[str, Any]]:
    """The file against the 32-bit one on validation and, where there is one, on test, whose labels stay unseen."""
    splits = ["validation", *(["test"] if "test" in table.splits else [])]
    unlabelled = None
    if "test" in splits:
        part = table.split("test")
        unlabelled = (predictions.answers(reference, part), predictions.answers(model, part))
    compared = gates.compare(predictions.predict(reference, table, "validation"), scored, unlabelled)
    gates.check_agreement(compared)
    rounded = [replace(c, agreement=round(c.agreement, 5), accuracy_loss=round(c.accuracy_loss, 3)) for c in compared]
    return [{"splits": splits} | asdict(c) for c in rounded]


def _finish(model: Model, scored: predictions.Predictions, facts: dict[str, Any]) -> bytes:
    """The draft's bytes with the card complete: figures on validation, golden answers, what the gate found."""
    bare, card = detach(model.path.read_bytes())
    return attach(bare, complete(replace(card, training={**card.training, "export": facts}), model, scored))
