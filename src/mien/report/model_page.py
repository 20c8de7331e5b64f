"""The card of a model file as a page: everything a deployer or reviewer asks, from the file and its predictions.

Owns the page's order and words. Figures come from predictions tables, the framing and terms from the file's own card;
refuses to score the test split.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import models
from mien.benchmark import Timing
from mien.evaluate.calibration import Calibration
from mien.evaluate.groups import Comparison
from mien.evaluate.metrics import Figures, measure
from mien.evaluate.predictions import Predictions
from mien.evaluate.sensitivity import Sensitivity
from mien.expressions import LABEL_SETS
from mien.models import Card, Model
from mien.recipes import loader as recipes
from mien.recipes.commands import differences, train_command
from mien.report import grouping

_UNKNOWN = (
    "Not for judging attention, honesty, health or character. The labels are what strangers saw in a picture; people"
    " show, hide and act expressions. The pictures name neither age nor origin, so accuracy for groups of people is"
    " unknown: measure it on your own (`mien evaluate --by`) before you rely on it."
)


@dataclass(frozen=True)
class Sources:
    """What a page is made of.

    Attributes:
        model: the file.
        answers: split to predictions of that file.
        copied: (N,) source rows of test faces with an identical or near copy in the other splits; None if unknown.
        sensitivity: on validation.
        timing: of this machine.
        note: what else has to be said, as who trained on what.
        groups: figures of groups of faces, of the split that :func:`shown_split` says.
    """

    model: Model
    answers: dict[str, Predictions]
    copied: NDArray[np.int64] | None
    sensitivity: Sequence[Sensitivity]
    timing: Timing
    note: str = ""
    groups: Sequence[Comparison] = ()


def page(sources: Sources) -> str:
    """The page in Markdown, with the front matter that the Hugging Face hub reads."""
    return "\n".join(_lines(sources)) + "\n"


def _lines(sources: Sources) -> Iterator[str]:
    card = sources.model.card
    yield from (
        "---",
        f"license: {card.licence.lower()}",
        "library_name: mien",
        "tags: [facial-expression, onnx]",
        "---",
    )
    yield from ("", f"# {card.name} {card.version}", "")
    yield from _file(sources.model, sources.note)
    yield from ("", "## Figures", "")
    yield from _figures(sources)
    yield from ("", "## Per class", "")
    yield from _classes(sources.answers)
    if sources.groups:
        yield from ("## Per group", "")
        yield from _groups(sources.groups, shown_split(sources.answers))
    yield from ("## Being unsure", "")
    yield from _abstention(sources)
    yield from ("", "## Sensitivity", "")
    yield from _sensitivity(sources.sensitivity)
    yield from ("", "## Data, terms and use", "")
    fingerprint = str(card.data.get("fingerprint"))[:12]
    yield f"Training table: {card.data.get('name')}, fingerprint `{fingerprint}`. {card.data_terms}"
    yield from ("", f"Intended use: {card.intended_use}", "", _UNKNOWN)
    yield from ("", "## Rebuild", "", "```", *_commands(card), "```")


def _file(model: Model, note: str) -> Iterator[str]:
    card, training = model.card, model.card.training
    made = training.get("export", {})
    size = model.path.stat().st_size / 1e6
    yield (
        f"One file, {size:.1f} MB, {training['parameters'] / 1e6:.2f} M parameters, precision"
        f" {made.get('precision', 'fp32')}, test-time views {made.get('views', 'single')}; crops of"
        f" {card.width}x{card.height} px, RGB uint8. Graph sha256 `{card.graph_sha256[:16]}…`."
    )
    yield ""
    for name, output in card.outputs.items():
        labels, fitted = ", ".join(output.labels), Calibration.of(output)
        yield f"- `{name}`: {labels} (label set {output.label_set}, {fitted})"
    if note:
        yield from ("", note)


def _figures(sources: Sources) -> Iterator[str]:
    yield "Top-1, balanced accuracy and macro-F1 in percent, 95 % bootstrap intervals, expected calibration error of"
    training = sources.model.card.training
    runs = "single run" if "members" not in training else "one run each; members and weights chosen on validation too"
    yield f"the top label in 15 bins. Selected by validation, seed {training.get('seed')}, {runs}."
    yield ""
    yield "| faces | n | top-1 | interval | balanced | macro-F1 | ECE |"
    yield "|---|---|---|---|---|---|---|"
    for split, answers in sources.answers.items():
        for scores in answers.scores:
            figures = measure(scores)
            yield _figure_row(f"{split}, {scores.label_set}", figures)
            for name, (n, top1) in figures.also.items():
                yield f"| {split}, {scores.label_set}, {name} | {n:,} | {100 * top1:.2f} | | | | |"
            if split == "test" and sources.copied is not None:
                alone = scores.where(~np.isin(scores.rows, sources.copied))
                yield _figure_row(f"{split}, {scores.label_set}, deduplicated", measure(alone))
    time_ = sources.timing
    yield ""
    yield f"Speed: {time_.milliseconds:.2f} ms a face, one thread, median of {time_.calls} calls ({time_.processor})."


def _figure_row(name: str, f: Figures) -> str:
    low, high = f.interval
    shares = f"{100 * f.top1:.2f} | {100 * low:.2f}-{100 * high:.2f} | {100 * f.balanced_accuracy:.2f}"
    return f"| {name} | {f.n:,} | {shares} | {100 * f.macro_f1:.2f} | {f.ece:.4f} |"


def shown_split(answers: Mapping[str, Predictions]) -> str:
    """The split whose classes and groups a page shows: test where it was scored."""
    return "test" if "test" in answers else "validation"


def _classes(answers: dict[str, Predictions]) -> Iterator[str]:
    split = shown_split(answers)
    for scores in answers[split].scores:
        yield f"{scores.label_set}, {split}:"
        yield ""
        yield "| label | n | precision | recall |"
        yield "|---|---|---|---|"
        for row in measure(scores).classes:
            yield f"| {row.label} | {row.n:,} | {100 * row.precision:.1f} | {100 * row.recall:.1f} |"
        yield ""


def _groups(compared: Sequence[Comparison], split: str) -> Iterator[str]:
    yield f"Of the {split} faces, in percent with 95 % bootstrap intervals; p from permutations, corrected for all"
    yield "pairs of groups of a column."
    yield ""
    yield "| labels | by | group | n | top-1 | balanced |"
    yield "|---|---|---|---|---|---|"
    for one in compared:
        for place, group in enumerate(one.groups):
            top1, balanced, *_ = grouping.cells(group)
            told = f"{one.label_set} | {one.column}" if place == 0 else " | "
            yield f"| {told} | {group.name} | {group.n:,} | {top1} | {balanced} |"
    yield ""
    for one in compared:
        for gap in (gap for gap in one.gaps if gap.figure == "top1"):
            yield f"- {one.label_set} by {one.column}: {grouping.said(gap, one)}"
        yield from (f"- {one.label_set} by {one.column}: {warning}" for warning in one.warnings)
    yield ""


def _abstention(sources: Sources) -> Iterator[str]:
    yield "With `--error-rate`, faces that the model is less sure of than this are answered `unsure`. The threshold was"
    yield "chosen on validation: with 95 % certainty the share of wrong answers among those given is at most the rate,"
    yield "for faces of the same kind. For other faces it promises nothing."
    yield ""
    yield "| labels | rate asked for | threshold | split | answered, % | wrong among them, % |"
    yield "|---|---|---|---|---|---|"
    for split, answers in sources.answers.items():
        for scores in answers.scores:
            part = scores.labelled()
            sure, right = part.probabilities.max(axis=1), part.probabilities.argmax(axis=1) == part.truth
            for rate, least in sources.model.card.outputs[scores.output].abstain.items():
                given = sure >= least
                wrong = 100 * (1 - right[given].mean()) if given.any() else 0.0
                shares = f"{100 * given.mean():.1f} | {wrong:.1f}"
                yield f"| {scores.label_set} | {rate} | {least:.3f} | {split} | {shares} |"


def _sensitivity(found: Sequence[Sensitivity]) -> Iterator[str]:
    sets = list(found[0].top1)
    yield "Top-1 on validation when every face is corrupted, and the change in points."
    yield ""
    yield "| | " + " | ".join(sets) + " |"
    yield "|---|" + "---|" * len(sets)
    for line in found:
        cells = (f"{100 * line.top1[name]:.1f} ({100 * line.change[name]:+.1f})" for name in sets)
        yield f"| {line.name} | " + " | ".join(cells) + " |"


def _commands(card: Card) -> Iterator[str]:
    data, file = f"{card.data.get('name')}.parquet", f"{card.name}.onnx"
    if "members" in card.training:
        yield from _joining(card.training["members"], data, file, card.name)
        return
    recipe = recipes.current_name(str(card.recipe.get("name")))
    yield from _training(card.recipe, data, f"runs/{recipe}")
    yield from _export(
        card.training, data, f"runs/{recipe}", file, f" --name {card.name}" if card.name != recipe else ""
    )


def _joining(members: Mapping[str, Any], data: str, file: str, name: str) -> Iterator[str]:
    """What makes the members of an ensemble that do not come with mien, then the ensemble."""
    for member, made in members.items():
        if member in models.installed():
            continue
        if "members" in made["training"]:
            yield from _joining(made["training"]["members"], data, member, made["name"])
        elif PurePath(member).suffix == ".onnx":
            folder = f"runs/{PurePath(member).stem}"
            yield from _training(made["recipe"], data, folder)
            yield from _export(made["training"], data, folder, member)
        else:
            yield from _training(made["recipe"], data, member)
    yield shlex.join(["mien", "ensemble", *members, "--data", data, "--pack", file, "--name", name])


def _training(recipe: Mapping[str, Any], data: str, folder: str) -> Iterator[str]:
    name = recipes.current_name(str(recipe.get("name")))
    for earlier in _earlier_runs(recipe):
        first = PurePath(earlier).name
        yield f"mien train {first} --data {_table_of(first) or data} -o {earlier}"
    own = recipes.load(name).model_dump(mode="json") if name in recipes.names() else recipe
    yield train_command(name, differences(own, _with_defaults(recipe)), data, folder)


def _table_of(recipe: str) -> str | None:
    """The table that a recipe names by its labels, as one that pre-trains does."""
    if recipe not in recipes.names():
        return None
    own = recipes.load_network(recipe).heads[0].label_set
    return None if own in {*LABEL_SETS, "own"} else f"{own}.parquet"


def _export(training: Mapping[str, Any], data: str, folder: str, file: str, more: str = "") -> Iterator[str]:
    """Where it takes options: the file that a run writes by itself has none."""
    made = training.get("export", {})
    told = {key: made.get(key) for key in ("precision", "views")}
    options = "".join(f" --{key} {value}" for key, value in told.items() if value not in {None, "fp32", "single"})
    if options + more:
        yield f"mien export {folder} --data {data}{options}{more} -o {file}"


def _earlier_runs(recipe: Mapping[str, Any]) -> list[str]:
    """Folders of the runs that a recipe needs, the first to train first, each named after the recipe that makes it."""
    start = (recipe.get("network", {}).get("weights") or {}).get("run")
    teachers = (recipe.get("distillation") or {}).get("teachers", [])
    folders: list[str] = []
    runs = [t for t in teachers if t not in models.installed() and PurePath(t).suffix != ".onnx"]
    for folder in [*([start] if start else []), *runs]:
        name = PurePath(folder).name
        own = recipes.load(name).model_dump(mode="json") if name in recipes.names() else {}
        folders += [*_earlier_runs(own), folder]
    return list(dict.fromkeys(folders))


def _with_defaults(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """A card's recipe with the keys that came after it was written, so that it compares with one of today."""
    return recipes.parse(json.dumps(recipe), "the card's recipe").model_dump(mode="json")
