"""``mien train``: run a recipe on a data table, then export the model file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.errors import RecipeError, require

if TYPE_CHECKING:
    from mien.data.table import Table
    from mien.models import Card
    from mien.train.classical.schema import ClassicalRecipe
    from mien.train.run import Progress as Step

_HARDWARE = "--accelerator, --devices and --nodes"


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file; see mien recipes list.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    out: Annotated[Path | None, typer.Option("--out", help="The run folder. [default: runs/RECIPE]")] = None,
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
    from mien.train import devices as hardware
    from mien.train import recipe as recipes
    from mien.train import run
    from mien.train.classical.schema import ClassicalRecipe

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
    from mien.data import protocol
    from mien.evaluate import predictions
    from mien.export import evaluate_only, package
    from mien.train import faces as training_faces
    from mien.train.classical import run

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


class Display:
    """A progress bar with images/s and time left on a terminal, one line per epoch anywhere."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:.0f} images/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, epoch=f"1/{epochs}", speed=0.0)
        self._since, self._images = time.perf_counter(), 0

    def __enter__(self) -> Display:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Show a line above the bar."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def step(self, step: Step) -> None:
        """Show one step of training."""
        self._images += step.images
        seconds = time.perf_counter() - self._since
        speed = self._images / seconds
        self._bar.update(
            self._task,
            completed=step.epoch * step.steps + step.step,
            total=step.epochs * step.steps,
            epoch=f"{step.epoch + 1}/{step.epochs}",
            speed=speed,
        )
        if step.figures:
            told = {k: v for k, v in step.figures.items() if not k.startswith("validation_loss")}
            shown = ", ".join(f"{name.removeprefix('validation_')} {value:.4f}" for name, value in told.items())
            self._console.print(f"epoch {step.epoch + 1}/{step.epochs}: {shown}, {speed:.0f} images/s", highlight=False)
            self._since, self._images = time.perf_counter(), 0
