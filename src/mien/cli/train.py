"""``mien train``: run a recipe on a data table, then export the model file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mien.cli import notices
from mien.cli.interruption import kept_run, stoppable
from mien.cli.notices import counted
from mien.cli.progress import Display
from mien.errors import RecipeError, require

if TYPE_CHECKING:
    from mien.data.table import Table
    from mien.models import Card
    from mien.recipes.classical_schema import ClassicalRecipe
    from mien.recipes.loader import Experiment
    from mien.recipes.schema import Recipe

_HARDWARE = "--accelerator, --devices and --nodes"


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file; see mien recipes list.")],
    data: Annotated[Path, typer.Option("--data", help="The data table, from mien data import.")],
    out: Annotated[Path | None, typer.Option("--output", "-o", help="The run folder. [default: runs/RECIPE]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the folder.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value of the recipe: path=value; may be repeated.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Total number of epochs; the recipe's stages share them in proportion."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Try it in a minute or two: few faces, one epoch a stage; marked as a trial."),
    ] = False,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[
        str, typer.Option(help="How many devices, 'auto' for all, or a list; on cpu: how many processes.")
    ] = "1",
    nodes: Annotated[int, typer.Option(help="How many machines; start each with the same command.")] = 1,
) -> None:
    """Train a network by a recipe; the run folder keeps everything, and a killed run loses at most one epoch.

    Recipes of kind: classical fit features and a classifier instead, on the processor.
    """
    require("pydantic", "train")
    from mien.recipes.classical_schema import ClassicalRecipe

    spec = _recipe(recipe, changes or (), epochs, quick)
    folder = out or Path("runs") / spec.name
    if isinstance(spec, ClassicalRecipe) and (accelerator, devices, nodes) not in (("auto", "1", 1), ("cpu", "1", 1)):
        raise RecipeError(f"{recipe} is a classical pipeline, fitted by one process: leave {_HARDWARE} out")
    from mien import runs
    from mien.data import protocol, table

    faces = table.read(data)
    runs.labels(faces, spec)  # what can be wrong so far is said before torch is loaded
    require("torch", "train")
    require("lightning_fabric", "train")
    from mien.export import package
    from mien.runs import RunFolder
    from mien.train import devices as hardware
    from mien.train import run

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    if isinstance(spec, ClassicalRecipe):
        _fit(spec, faces, folder, resume)
        return
    console = notices.console()
    console.quiet |= not _is_first()
    fabric = hardware.fabric(spec.precision, accelerator, devices, nodes)
    fabric.launch()
    mark = protocol.mark(spec.data.protocol, spec.data.limit)
    with stoppable(lambda: kept_run(RunFolder(folder)), speaks=_is_first()), ExitStack() as failing:
        failing.callback(hardware.end_launched, fabric)
        with Display(console, spec.epochs) as display:
            if mark:
                display.say(_marked(spec, mark))
            finished = run.train(
                spec, faces, folder, resume=resume, report=display.step, say=display.say, fabric=fabric
            )
        if not fabric.is_global_zero:
            return
        with notices.doing("writing the model file"):
            model = package.package(finished, faces, finished.model)
        failing.pop_all()
    state = finished.read_state()
    _tell(display.say, model.card, mark, state["validation_trained_on"])
    if quick:
        _tell_whole(display.say, recipe, changes or (), epochs, faces, state["images_per_second"])
    print(finished.model)
    trained = counted(state["faces"]["train"], "training face")
    notices.done(f"{trained}, {counted(finished.whole_epochs(), 'epoch')}")


def _recipe(name: str, changes: Sequence[str], epochs: int | None, quick: bool) -> Experiment:
    from mien.recipes import loader, shorten

    spec = loader.load(name, changes)
    spec = shorten.trial(spec) if quick else spec
    return spec if epochs is None else shorten.with_epochs(spec, epochs)


def _marked(spec: Experiment, mark: str) -> str:
    return mark if mark.startswith("trial") else f"protocol {spec.data.protocol} is {mark}"


def _tell_whole(
    say: Callable[[str], None], name: str, changes: Sequence[str], epochs: int | None, faces: Table, speed: float
) -> None:
    """How long the recipe itself would take, at the speed of its trial."""
    whole = _recipe(name, changes, epochs, quick=False)
    steps = int((faces.splits == "train").sum()) * cast("Recipe", whole).epochs
    say(
        f"everything fits; the whole recipe trains for about {steps / speed / 60:,.0f} minutes at {speed:,.0f} images/s"
    )


def _tell(say: Callable[[str], None], card: Card, mark: str, copied: float) -> None:
    """The figures on validation that a card names, and what they rest on."""
    for name, output in card.outputs.items():
        figures = output.metrics["validation"]
        low, high = figures["interval95"]
        said = f"{name}: validation top-1 {figures['top1']} % [{low}, {high}], n = {figures['n']}"
        say(said + (f" ({mark.partition(':')[0]})" if mark else ""))
    for label_set, kind in card.training.get("export", {}).get("fitted", {}).items():
        if kind != "temperature, power and biases":
            say(f"{label_set}: few validation faces, so of the calibration was fitted what helped others: {kind}")
    if copied:
        say(f"{copied:.1%} of the validation faces have an identical copy in training")


def _fit(spec: ClassicalRecipe, faces: Table, folder: Path, resume: bool) -> None:
    """Fit a classical recipe, then export the model file or say why there is none."""
    from mien.classical import fit as run
    from mien.data import protocol
    from mien.evaluate import predictions
    from mien.export import evaluate_only, package
    from mien.runs import RunFolder
    from mien.train import faces as training_faces

    say = partial(notices.console().print, highlight=False, soft_wrap=True)
    mark = protocol.mark(spec.data.protocol, spec.data.limit)
    if mark:
        say(_marked(spec, mark))
    with stoppable(lambda: kept_run(RunFolder(folder))):
        finished = run.train(spec, faces, folder, resume=resume, say=say)
        why = evaluate_only.reason(finished)
        if why:
            card = evaluate_only.write_card(finished, faces).card
        else:
            model = package.package(finished, faces, finished.model)
            scored = predictions.predict(model, training_faces.as_trained(faces, spec), "validation")
            predictions.write(scored, finished.predictions / "validation.parquet")
            card = model.card
    _tell(say, card, mark, finished.read_state()["validation_trained_on"])
    if why:
        say(f"evaluate-only: {why}; mien evaluate, report and compare take the folder")
    print(folder if why else finished.model)
    notices.done(f"{counted(finished.read_state()['faces']['train'], 'training face')}")


def _is_first() -> bool:
    """Whether this is the process that speaks; launchers number the others."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID"))
