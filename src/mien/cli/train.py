"""``mien train``: run a recipe on a data table, then export the model file."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.errors import require

if TYPE_CHECKING:
    from mien.train.run import Progress as Step


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    out: Annotated[Path | None, typer.Option("--out", help="The run folder. [default: runs/RECIPE]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Train a network by a recipe; the run folder keeps everything, and a kill costs at most one epoch."""
    require("torch", "train")
    require("lightning_fabric", "train")
    from mien.data import table
    from mien.export import package
    from mien.train import recipe as recipes
    from mien.train import run

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    spec = recipes.load(recipe)
    faces = table.read(data)
    folder = out or Path("runs") / spec.name
    console = Console(stderr=True)
    try:
        with _Display(console, spec.epochs) as display:
            finished = run.train(spec, faces, folder, resume=resume, report=display.step)
    except KeyboardInterrupt:
        console.print(f"mien: stopped; whole epochs are kept in {folder}, go on with --resume", soft_wrap=True)
        raise typer.Exit(130) from None
    model = package.package(finished, faces, finished.model)
    for name, output in model.card.outputs.items():
        figures = output.metrics["validation"]
        low, high = figures["interval95"]
        console.print(f"{name}: validation top-1 {figures['top1']} % [{low}, {high}], n = {figures['n']}")
    print(finished.model)


class _Display:
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

    def __enter__(self) -> _Display:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

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
            shown = ", ".join(f"{name.removeprefix('validation_')} {value:.4f}" for name, value in step.figures.items())
            self._console.print(f"epoch {step.epoch + 1}/{step.epochs}: {shown}, {speed:.0f} images/s", highlight=False)
            self._since, self._images = time.perf_counter(), 0
