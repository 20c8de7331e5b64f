"""``mien recipes``: which recipes there are, what one says, and a copy to change."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mien import files
from mien.errors import RecipeError, require

_PIPED = 120  # columns of a list that goes into a file or another program

app = typer.Typer(help="List, show and copy the shipped recipes.", no_args_is_help=True)


@app.command("list")
def list_recipes() -> None:
    """List the shipped recipes, a line each; mien recipes show NAME prints one."""
    require("pydantic", "train")
    from mien.recipes import loader as recipes

    width = Console().width if sys.stdout.isatty() else _PIPED
    names = recipes.names()
    column = max(map(len, names)) + 2
    for name in names:
        print(f"{name:{column}}{textwrap.shorten(recipes.load(name).description, width - column, placeholder=' …')}")


@app.command("show")
def show(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a value: path=value.")] = None,
) -> None:
    """Check a recipe and print it with every default written out."""
    require("pydantic", "train")
    from mien.recipes import loader as recipes

    print(recipes.dump(recipes.load(recipe, changes or ())), end="")


@app.command("copy")
def copy(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name.")],
    out: Annotated[Path | None, typer.Argument(help="The file to write. [default: RECIPE.yaml]")] = None,
) -> None:
    """Copy a shipped recipe, comments and all, to change it and train it by its path."""
    require("pydantic", "train")
    from mien.recipes import loader as recipes

    text, _ = recipes.read(recipe)
    target = out or Path(f"{recipe}.yaml")
    with files.alone(target):
        if target.exists():
            raise RecipeError(f"{target} exists: name another file")
        files.write(target, text)
    print(target)
