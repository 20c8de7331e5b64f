"""``mien models``: which models are installed, and what their cards say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mien import models as catalogue

app = typer.Typer(help="List the installed models, or show a model's card.")


@app.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the installed models."""
    if context.invoked_subcommand:
        return
    grid = Table("name", "version", "size", "labels", "trained on", "test top-1")
    for name, path in catalogue.installed().items():
        card = catalogue.read_card(name)
        facts = (name, card.version, f"{path.stat().st_size / 1e6:.1f} MB")
        for output in card.outputs.values():
            grid.add_row(*facts, str(len(output.labels)), output.label_set, _test(output.metrics))
            facts = ("", "", "")
    Console().print(grid)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")] = catalogue.DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole card as JSON.")] = False,
) -> None:
    """Print a model's card."""
    card = catalogue.read_card(name)
    if as_json:
        print(card.to_json())
        return
    document: dict[str, Any] = json.loads(card.to_json())
    del document["golden"]["rgb"]
    for line in _outline(document):
        print(line)


def _outline(value: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Nested mappings as indented lines, lists of plain values on one."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield f"{indent}{key}:"
            yield from _outline(inner, indent + "  ")
        elif isinstance(inner, list) and any(isinstance(item, dict) for item in inner):
            for number, item in enumerate(inner, start=1):
                yield f"{indent}{key} {number}:"
                yield from _outline(item, indent + "  ")
        else:
            yield f"{indent}{key}: {', '.join(map(str, inner)) if isinstance(inner, list) else inner}"


def _test(metrics: Any) -> str:
    figures = metrics.get("test")
    return f"{figures['top1']} % (n = {figures['n']})" if figures else "not measured"
