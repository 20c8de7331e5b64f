"""``mien models``: which models are installed, what their cards say, and the page that documents one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mien.cli import notices
from mien.cli.notices import counted
from mien.cli.verbs import Verb
from mien.narrowing import is_list, is_object

if TYPE_CHECKING:
    from mien.models import Card

app = typer.Typer(help="List the installed models, show a model's card, or write it as a page.")


@app.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the installed models."""
    if context.invoked_subcommand:
        return
    from mien import models as catalogue

    grid = Table("name", "version", "size", "labels", "test top-1", "terms")
    descends: dict[str, Sequence[str]] = {}
    for name, path in catalogue.installed().items():
        card = catalogue.read_card(name)
        facts = (name, card.version, f"{path.stat().st_size / 1e6:.1f} MB")
        descends[name] = card.training.get("lineage", ())
        terms = card.licence + (", see below" if descends[name] else "")
        for output in card.outputs.values():
            grid.add_row(*facts, output.label_set, _test(output.metrics), terms)
            facts, terms = ("", "", ""), ""
    Console(markup=False).print(grid)
    for name, lines in descends.items():  # terms of others, which a table has no room for
        for line in lines:
            print(f"{name}: {line}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")] = "default",
    full: Annotated[bool, typer.Option("--full", help="Print the whole card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole card as JSON.")] = False,
) -> None:
    """Print what a model is, how good it is, and its terms."""
    from mien import models as catalogue

    card = catalogue.read_card(name)
    if as_json:
        print(card.to_json())
        return
    if not full:
        for line in _short(card, catalogue.find(name)):
            print(line)
        return
    document: dict[str, Any] = json.loads(card.to_json())
    del document["golden"]["rgb"]
    for line in _outline(document):
        print(line)


@app.command("fetch")
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="yunet, mediapipe. [default: all]", show_default=False)
    ] = None,
) -> None:
    """Fetch the files of other projects that detectors need, so that later runs need no network.

    Prints a line for each as sha256sum does. They go to the cache folder, which MIEN_CACHE names; an image for
    containers is built with it and run with MIEN_OFFLINE=1.

    mien models fetch > files.sha256 && sha256sum --check files.sha256
    """
    from mien.detection.mediapipe import LANDMARKER
    from mien.detection.yunet import YUNET
    from mien.download import fetch as fetch_asset
    from mien.errors import DetectorError, shown

    assets = {"yunet": YUNET, "mediapipe": LANDMARKER}
    unknown = [name for name in names or () if name not in assets]
    if unknown:
        raise DetectorError(f"no detector '{shown(unknown[0])}' needs a file, only {', '.join(assets)}")
    for name in names or assets:
        with notices.doing(f"fetching {name}"):
            path = fetch_asset(assets[name])
        print(f"{assets[name].sha256}  {path}")
    notices.done(counted(len(names or assets), "file"))


@app.command("card", cls=Verb)
def card(
    name: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")],
    data: Annotated[Path, typer.Option("--data", help="The table it was trained on, from mien data import.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The Markdown file to write.")],
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions", help="Predictions from mien evaluate; repeatable. Without, validation is scored."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="A column of the table, or brightness, contrast, sharpness: figures for its groups."),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="What else a reader must know.")] = "",
) -> None:
    """Write a model's card as a page: figures, per class and group, sensitivity, speed, terms, how to rebuild it.

    mien models card default --data fer2013.parquet --predictions test.parquet -o docs/models/default.md
    """
    from mien import files
    from mien.errors import DataError, require

    require("torch", "train")
    from mien import benchmark
    from mien import models as catalogue
    from mien.data import protocol, table
    from mien.evaluate import groups, sensitivity
    from mien.evaluate import predictions as tables
    from mien.report import grouping, model_page
    from mien.runs import processor

    files.keep_inputs([name, data, *(predictions or ())], out)
    model, source = catalogue.load(name, threads=1), table.read(data)
    answers: dict[str, tables.Predictions] = {}
    for file in predictions or ():
        read = tables.read(file)
        if read.provenance.get("graph_sha256") != model.card.graph_sha256:
            raise DataError(f"{file} is what another model file said: mien evaluate {name} --predictions {file}")
        answers[read.split] = read
    split = model_page.shown_split(answers)
    divided = grouping.divide(source.split(split), by or [], 3, None)  # its faults are said before anything is scored
    if "validation" not in answers:
        with notices.progress("scoring faces") as progress:
            answers = {"validation": tables.predict(model, source, "validation", progress=progress), **answers}
    copied = source.rows[protocol.copied_test_rows(source)[1]] if "test" in answers else None
    compared = [groups.compare(scores, one) for scores in answers[split].scores for one in divided]
    with notices.progress("corrupting faces") as progress:
        found = sensitivity.measure(model, source, "validation", progress=progress)
    with notices.doing("timing"):
        timing = benchmark.clock(model, processor())
    text = model_page.page(model_page.Sources(model, answers, copied, found, timing, note, compared))
    files.write(out, text, parents=True)
    print(out)
    notices.done("1 page")


def _short(card: Card, path: Path) -> Iterator[str]:
    """A card on one screen."""
    yield f"{card.name} {card.version}: {path.stat().st_size / 1e6:.1f} MB, crops of {card.width}x{card.height} pixels"
    for name, output in card.outputs.items():
        yield f"\n{name}: {', '.join(output.labels)}"
        for split, f in output.metrics.items():
            low, high = f["interval95"]
            yield (
                f"  {split}, {output.label_set}: {f['top1']} % right [{low}, {high}], balanced accuracy"
                f" {f['balanced_accuracy']} %, ECE {f['ece']}, n = {f['n']:,}"
            )
    yield f"\ndetectors: {', '.join(card.framing)}"
    yield f"licence: {card.licence}"
    yield f"data terms: {card.data_terms}"
    yield from (f"descends from: {line}" for line in card.lineage)
    yield f"intended use: {card.intended_use}"
    yield "\nThe whole card: --full, or --json."


def _outline(value: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Nested mappings as indented lines, lists of plain values on one."""
    for key, inner in value.items():
        if is_object(inner):
            yield f"{indent}{key}:"
            yield from _outline(inner, indent + "  ")
        elif is_list(inner) and any(map(is_object, inner)):
            for number, item in enumerate(inner, start=1):
                yield f"{indent}{key} {number}:"
                yield from _outline(item, indent + "  ")
        else:
            yield f"{indent}{key}: {', '.join(map(str, inner)) if is_list(inner) else inner}"


def _test(metrics: Any) -> str:
    figures = metrics.get("test")
    return f"{figures['top1']} % (n = {figures['n']})" if figures else "not measured"
