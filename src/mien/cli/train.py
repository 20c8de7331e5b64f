"""``mien train``: run a recipe on a data table, then export the model file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mien.cli.progress import Display
from mien.errors import RecipeError, require

if TYPE_CHECKING:
    from mien.data.table import Table
    from mien.models import Card
    from mien.recipes.classical_schema import ClassicalRecipe

_HARDWARE = "--accelerator, --devices and --nodes"


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file; see mien recipes list.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    out: Annotated[Path | None, typer.Option("--output", "-o", help="The run folder. [default: runs/RECIPE]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value of the recipe: path=value; may be repeated.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[str, typer.Option(help="How many, 'auto' for all, or a list; on cpu the processes.")] = "1",
    nodes: Annotated[int, typer.Option(help="Machines, each started with the same command.")] = 1,
) -> None:
    """Train a network by a recipe; the run folder keeps everything, and a kill costs at most one epoch.

    Recipes of kind: classical fit features and a classifier instead, on the processor.
    """
    require("torch", "train")
    require("lightning_fabric", "train")
    from mien.data import protocol, table
    from mien.export import package
    from mien.recipes import loader as recipes
    from mien.recipes.classical_schema import ClassicalRecipe
    from mien.train import devices as hardware
    from mien.train import run

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    spec = recipes.load(recipe, changes or ())
    folder = out or Path("runs") / spec.name
    if isinstance(spec, ClassicalRecipe):
        if (accelerator, devices, nodes) not in (("auto", "1", 1), ("cpu", "1", 1)):
            raise RecipeError(f"{recipe} is a classical pipeline, fitted by one process: leave {_HARDWARE} out")
        _fit(spec, table.read(data), folder, resume)
        return
    console = Console(stderr=True, quiet=not _is_first())
    fabric = hardware.fabric(spec.precision, accelerator, devices, nodes)
    fabric.launch()
    faces = table.read(data)
    mark = protocol.mark(spec.data.protocol)
    try:
        with Display(console, spec.epochs) as display:
            if mark:
                display.say(f"protocol {spec.data.protocol} is {mark}")
            finished = run.train(
                spec, faces, folder, resume=resume, report=display.step, say=display.say, fabric=fabric
            )
    except KeyboardInterrupt:
        console.print(f"mien: stopped; whole epochs are kept in {folder}, go on with --resume", soft_wrap=True)
        raise typer.Exit(130) from None
    if fabric.is_global_zero:
        model = package.package(finished, faces, finished.model)
        _tell(display.say, model.card, mark, finished.read_state()["validation_trained_on"])
        print(finished.model)


def _tell(say: Callable[[str], None], card: Card, mark: str, copied: float) -> None:
    """The figures on validation that a card names, and what they rest on."""
    for name, output in card.outputs.items():
        figures = output.metrics["validation"]
        low, high = figures["interval95"]
        said = f"{name}: validation top-1 {figures['top1']} % [{low}, {high}], n = {figures['n']}"
        say(said + (f" ({mark.partition(':')[0]})" if mark else ""))
    if copied:
        say(f"{copied:.1%} of the validation faces have an identical copy in training")


def _fit(spec: ClassicalRecipe, faces: Table, folder: Path, resume: bool) -> None:
    """Fit a classical recipe, then export the model file or say why there is none."""
    from mien.classical import fit as run
    from mien.data import protocol
    from mien.evaluate import predictions
    from mien.export import evaluate_only, package
    from mien.train import faces as training_faces

    say = partial(Console(stderr=True).print, highlight=False, markup=False, soft_wrap=True)
    mark = protocol.mark(spec.data.protocol)
    if mark:
        say(f"protocol {spec.data.protocol} is {mark}")
    try:
        finished = run.train(spec, faces, folder, resume=resume, say=say)
        why = evaluate_only.reason(finished)
        if why:
            card = evaluate_only.write_card(finished, faces).card
        else:
            model = package.package(finished, faces, finished.model)
            scored = predictions.predict(model, training_faces.as_trained(faces, spec), "validation")
            predictions.write(scored, finished.predictions / "validation.parquet")
            card = model.card
    except KeyboardInterrupt:
        say(f"mien: stopped; what was fitted is kept in {folder}, go on with --resume")
        raise typer.Exit(130) from None
    _tell(say, card, mark, finished.read_state()["validation_trained_on"])
    if why:
        say(f"evaluate-only: {why}; mien evaluate, report and compare take the folder")
    print(folder if why else finished.model)


def _is_first() -> bool:
    """Whether this is the process that speaks; launchers number the others."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID"))
