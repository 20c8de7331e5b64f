"""``mien models``: which models are installed, and what their cards say."""

from __future__ import annotations

import json
from dataclasses import asdict
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
    grid = Table("name", "version", "size", "crop", "outputs", "test top-1")
    for name, path in catalogue.installed().items():
        card = catalogue.read_card(name)
        outputs = "\n".join(f"{output} ({len(o.labels)} labels)" for output, o in card.outputs.items())
        tests = "\n".join(_test(o.metrics) for o in card.outputs.values())
        megabytes = f"{path.stat().st_size / 1e6:.1f} MB"
        grid.add_row(name, card.version, megabytes, f"{card.width}x{card.height} px", outputs, tests)
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
    console = Console()
    document: dict[str, Any] = asdict(card)
    document["golden"] = {"source": card.golden.source, "probabilities": card.golden.probabilities}
    for key, value in document.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        console.print(f"[bold]{key}[/]: ", end="", highlight=False)
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _test(metrics: Any) -> str:
    figures = metrics.get("test")
    return f"{figures['top1']} % (n = {figures['n']})" if figures else "not measured"
