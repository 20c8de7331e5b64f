"""The training loop: a recipe and a table in, a run folder out.

Selection sees the validation split only. Every epoch draws its order and its augmentation from a seed of its own,
and everything an epoch changes is in ``last.pt``: a run that was killed and resumed ends with the weights of one
that was not. Several processes share each batch and sum their gradients, so they take the steps of one.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mien import files, runs
from mien.data import scarce
from mien.data.table import Table
from mien.errors import MienError, TrainingError
from mien.networks import build, unfolding, weights
from mien.recipes.schema import Recipe, Stage
from mien.runs import RunFolder
from mien.train import devices, faces, lineage, optimize, scoring, tensorboard
from mien.train.augmentation import augment, mixup
from mien.train.distillation import Teachers
from mien.train.losses import Loss
from mien.train.step import Step

_CHECKED_EVERY = 100


@dataclass(frozen=True)
class Progress:
    """What the loop tells after each step: epochs and steps done and to do, images since the last report."""

    epoch: int
    epochs: int
    step: int
    steps: int
    images: int
    figures: dict[str, float] = field(default_factory=dict[str, float])
    """Of the epoch, on its last step; else empty."""


def train(
    recipe: Recipe,
    table: Table,
    out: str | Path,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
    fabric: Fabric | None = None,
) -> RunFolder:
    """Run a recipe on a table.

    Args:
        recipe: the experiment.
        table: with rows in train and validation and a label set for each head.
        out: the run folder, made if absent.
        resume: continue the run that the folder holds.
        report: called after every step, in the first process.
        say: called with what a user should read: what the network starts from.
        fabric: from :func:`mien.train.devices.fabric`, launched; None takes one device.

    Returns:
        The finished run's folder.

    Raises:
        TrainingError: the folder holds another run, a label is absent from training, starting weights do not fit,
            the loss is not finite, or the disk is full; what was written before is kept.
        WriteError: another process trains into the folder, or its own folder cannot be written.
        RecipeError: the network cannot be built.
        DataError: the table lacks a split or a label set.
    """
    fabric = fabric or devices.fabric(recipe.precision)
    with _alone(Path(out), fabric):
        return _Run(recipe, table, RunFolder(out), fabric, report, say).go(resume)


@contextmanager
def _alone(folder: Path, fabric: Fabric) -> Generator[None, None, None]:
    """Hold the run folder against other trainings; all processes of this one go on or stop together."""
    with ExitStack() as held:
        refused: MienError | None = None
        if fabric.is_global_zero:
            try:
                held.enter_context(files.alone(folder))
            except MienError as error:
                refused = error
        refused = fabric.broadcast(refused) if fabric.world_size > 1 else refused
        if refused:
            raise refused
        yield


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        table: Table,
        folder: RunFolder,
        fabric: Fabric,
        report: Callable[[Progress], None],
        say: Callable[[str], None],
    ) -> None:
        self.recipe = recipe.for_labels(table.info.label_set)
        self.folder, self.fabric, self.report, self.say = folder, fabric, report, say
        self.source, self.device = table, fabric.device
        self.table = faces.as_trained(table, self.recipe)
        self.labels = runs.labels(table, self.recipe)

    def go(self, resume: bool) -> RunFolder:
        checkpoint = self._open(resume)
        self.train_faces = faces.load(self.table, "train", self.recipe, self.device)
        self.validation_faces = faces.load(self.table, "validation", self.recipe, self.device)
        self._check_steps()
        self._warn()
        self.loss = Loss(self.recipe.heads, self.train_faces.targets)
        self.teachers = Teachers(self.recipe, self.labels, self.fabric) if self.recipe.distillation else None
        self._build(checkpoint)
        if not checkpoint and self.fabric.is_global_zero:
            self._describe()
        self.log = tensorboard.Log(self.folder.path)
        try:
            for number, stage in enumerate(self.recipe.stages, start=1):
                if not optimize.is_over(stage, self._scores(number)):
                    self._run_stage(number, stage, checkpoint if self._scores(number) else {})
        finally:
            self.log.close()
        if self.fabric.is_global_zero:
            self.folder.write_state(
                state="finished",
                finished=runs.now(),
                seconds=round(sum(row["seconds"] for row in self.rows)),
                images_per_second=round(statistics.median(row["images_per_second"] for row in self.rows), 1),
            )
        self.fabric.barrier()
        return self.folder

    def _open(self, resume: bool) -> dict[str, Any]:
        """Look at the folder; return the checkpoint to go on from, empty for none."""
        goes_on = runs.goes_on(self.folder, self.recipe, self.source, resume=resume)
        self.fabric.barrier()  # every process has looked before the first one writes
        if goes_on and self.folder.last.exists():
            return self.folder.load(self.folder.last, self.device)
        return {}

    def _warn(self) -> None:
        """Say what is too little to learn from."""
        for line in scarce.warnings(self.table, [head.label_set for head in self.recipe.heads]):
            self.say(f"warning: {line}")
        few = len(self.train_faces) < scarce.FEW_FOR_SCRATCH and not self.recipe.data.limit
        if few and self.recipe.network.weights is None:
            self.say(
                f"warning: {len(self.train_faces):,} training faces are few to train from scratch: mien train fine-tune"
                " starts from the shipped default model"
            )

    def _check_steps(self) -> None:
        """Refuse steps without two faces for each process, which batch norm needs."""
        least, faces = 2 * self.fabric.world_size, len(self.train_faces)
        for number, stage in enumerate(self.recipe.stages):
            if min(stage.batch_size, faces) < least:
                raise TrainingError(
                    f"a step needs {least} faces, two for each process: stages.{number}.batch_size is"
                    f" {stage.batch_size}, and there are {faces} training faces"
                )

    def _build(self, checkpoint: dict[str, Any]) -> None:
        torch.manual_seed(self.recipe.seed)
        classes = {name: len(labels) for name, labels in self.labels.items()}
        self.network = build.build(self.recipe, classes)
        self.started = None if checkpoint else weights.start(self.network, self.recipe, self.labels)
        if self.started:
            self.say(f"starts with {self.started}")
        self.layout = devices.memory_layout(self.network)
        self.network = devices.placed(self.network, self.device, self.layout)
        if self.started and self.started.batch_norm_folded:
            unfolding.restore_batch_norm(self.network, self.train_faces.pixels, self.device)
        devices.spare_slow_kernels(self.network, self.fabric)
        self.average = optimize.moving_average(self.network, self.recipe.ema) if self.recipe.ema else None
        self.rows: list[dict[str, Any]] = []
        self.best = -math.inf
        if checkpoint:
            self.network.load_state_dict(checkpoint["network"])
            if self.average:
                self.average.load_state_dict(checkpoint["average"])
            self.rows, self.best = checkpoint["history"], checkpoint["best"]

    def _describe(self) -> None:
        runs.begin(
            self.folder,
            self.recipe,
            self.source,
            self.table,
            self.labels,
            {"train": len(self.train_faces), "validation": len(self.validation_faces)},
            parameters=build.parameters(self.network),
            weights=self.started.to_dict() if self.started else None,
            lineage=lineage.of(self.recipe, self.started),
            environment=devices.environment(self.fabric),
        )

    def _scores(self, number: int) -> list[float]:
        """The selection score of each epoch of a stage so far: mean validation top-1 over the heads."""
        rows = [row for row in self.rows if row["stage"] == number]
        return [statistics.fmean(v for k, v in row.items() if k.startswith("validation_top1")) for row in rows]

    def _run_stage(self, number: int, stage: Stage, checkpoint: dict[str, Any]) -> None:
        self.network.prepare(stage)
        optimizer = optimize.optimizer(self.network, stage)
        if checkpoint:
            optimizer.load_state_dict(checkpoint["optimizer"])
        wrapped, optimizer = self.fabric.setup(self.network, optimizer)
        while not optimize.is_over(stage, self._scores(number)):
            started = time.perf_counter()
            loss, images = self._run_epoch(number, stage, wrapped, optimizer)
            trained = time.perf_counter()
            row = {
                "epoch": len(self.rows) + 1,
                "stage": number,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "loss": round(loss, 5),
                **{name: round(figure, 5) for name, figure in self._validate().items()},
                "images_per_second": round(images / (trained - started), 1),
                "seconds": round(time.perf_counter() - started, 1),
            }
            self.rows.append(row)
            self._keep(optimizer)

    def _run_epoch(self, number: int, stage: Stage, wrapped: Any, optimizer: Any) -> tuple[float, int]:
        """One pass over the training faces; returns the mean loss and how many faces it took."""
        self.network.train_as(stage)
        epoch, scores = len(self.rows), self._scores(number)
        rank, world = self.fabric.global_rank, self.fabric.world_size
        generator, order = self._shuffled(epoch)
        # A last batch of one face would give batch norm nothing to normalise over.
        batches = [b for b in order.split(stage.batch_size) if len(b) >= 2 * world]
        take = Step(self.fabric, wrapped, optimizer, stage, self.loss, self.teachers, self.layout)
        total, images = torch.zeros((), device=self.device), 0
        for step, batch in enumerate(batches):
            rate = optimize.learning_rate(stage, len(scores) + step / len(batches), scores)
            for group in optimizer.param_groups:
                group["lr"] = rate
            labelled = self.train_faces.labelled(batch)
            pixels, targets = self.train_faces.batch(batch[rank::world], self.device)
            pixels = augment(pixels, stage.augmentation, generator)
            if stage.augmentation.mixup:
                pixels, targets = mixup(pixels, targets, stage.augmentation.mixup, generator)
            total = total + take(pixels, targets, labelled, len(batch))
            if self.average:
                self.average.update_parameters(self.network)
            images += len(batch)
            if step % _CHECKED_EVERY == _CHECKED_EVERY - 1:
                self._summed(total)
            if step < len(batches) - 1:
                self._tell(epoch, step + 1, len(batches), len(batch))
        self._steps, self._images = len(batches), len(batches[-1])
        return self._summed(total) / len(batches), images

    def _shuffled(self, epoch: int) -> tuple[torch.Generator, Tensor]:
        """The order of an epoch, the same in all processes, and where each draws its own augmentation from."""
        seed = self.recipe.seed * 100_003 + epoch
        torch.manual_seed(seed + 1_000_003 * self.fabric.global_rank)
        generator = torch.Generator(self.device).manual_seed(seed)
        order = torch.randperm(len(self.train_faces), device=self.device, generator=generator)
        if self.fabric.global_rank:
            generator.manual_seed(seed + 1_000_003 * self.fabric.global_rank)
        return generator, order

    def _summed(self, loss: Tensor) -> float:
        """The losses so far of all processes together.

        Raises:
            TrainingError: it is not a finite number.
        """
        # A copy: all_reduce works in place, and the caller goes on adding to its own share.
        summed = self.fabric.all_reduce(loss.clone(), reduce_op="sum")
        assert isinstance(summed, Tensor)
        total = float(summed)
        if not math.isfinite(total):
            done = len(self.rows)
            raise TrainingError(
                f"the loss of epoch {done + 1} is {total}: lower stages.learning_rate or set stages.clip_norm;"
                f" the run up to epoch {done} is kept in {self.folder.path}"
            )
        return total

    def _validate(self) -> dict[str, float]:
        for buffer in self.kept.buffers() if self.fabric.world_size > 1 else ():
            buffer.copy_(self.fabric.broadcast(buffer))  # each process has its own running statistics
        return scoring.figures(self.kept, self.validation_faces, self.recipe.heads, self.fabric)

    @property
    def kept(self) -> nn.Module:
        """The weights that are scored and kept: the moving average if there is one."""
        return self.average.module if self.average else self.network

    def _keep(self, optimizer: Any) -> None:
        row = self.rows[-1]
        chosen_by = self._scores(row["stage"])[-1]
        is_best, self.best = chosen_by > self.best, max(chosen_by, self.best)
        if self.fabric.is_global_zero:
            if is_best:
                content = {"network": self.kept.state_dict(), "epoch": row["epoch"], "selection": chosen_by}
                self.folder.save(self.folder.best, content)
            self.folder.save(
                self.folder.last,
                {
                    "network": self.network.state_dict(),
                    "average": self.average.state_dict() if self.average else None,
                    "optimizer": optimizer.state_dict(),
                    "history": self.rows,
                    "best": self.best,
                },
            )
            self.folder.write_history(self.rows)
            self.log.add(row)
        self.fabric.barrier()
        figures = {k: v for k, v in row.items() if k == "loss" or k.startswith("validation")}
        self._tell(row["epoch"] - 1, self._steps, self._steps, self._images, figures)

    def _tell(self, epoch: int, step: int, steps: int, images: int, figures: dict[str, float] | None = None) -> None:
        if self.fabric.is_global_zero:
            self.report(Progress(epoch, self.recipe.epochs, step, steps, images, figures or {}))
