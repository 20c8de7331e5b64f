"""The training loop: a recipe and a table in, a run folder out.

Selection sees the validation split only. Every epoch draws its order and its augmentation from a seed of its own,
and everything an epoch changes is in ``last.pt``: a run that was killed and resumed ends with the weights of one
that was not.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mien.data.table import Table
from mien.errors import TrainingError
from mien.train import faces, losses
from mien.train import recipe as recipes
from mien.train.augmentation import augment
from mien.train.folder import RunFolder
from mien.train.networks import Classifier, parameters
from mien.train.recipe import Recipe, Stage

_SCORING_BATCH = 512


@dataclass(frozen=True)
class Progress:
    """What the loop tells after each step: epochs and steps done and to do, images since the last report."""

    epoch: int
    epochs: int
    step: int
    steps: int
    images: int
    figures: dict[str, float] = field(default_factory=dict)
    """Of the epoch, on its last step; else empty."""


def train(
    recipe: Recipe,
    table: Table,
    out: str | Path,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> RunFolder:
    """Run a recipe on a table.

    Args:
        recipe: the experiment.
        table: with rows in train and validation and a label set for each head.
        out: the run folder, made if absent.
        resume: go on with the run that the folder holds.
        report: called after every step.

    Returns:
        The finished run's folder.

    Raises:
        TrainingError: the folder holds another run, a label is absent from training, the loss is not finite, or
            the disk is full; what was written before is kept.
        DataError: the table lacks a split or a label set.
    """
    return _Run(recipe, table, RunFolder(out), report).go(resume)


class _Run:
    def __init__(self, recipe: Recipe, table: Table, folder: RunFolder, report: Callable[[Progress], None]) -> None:
        self.recipe, self.table, self.folder, self.report = recipe, table, folder, report
        self.fabric = Fabric(accelerator="auto", devices=1, precision=_precision(recipe.precision))
        self.device = self.fabric.device

    def go(self, resume: bool) -> RunFolder:
        checkpoint = self._start(resume)
        self.train_faces = faces.load(self.table, "train", self.recipe, self.device)
        self.validation_faces = faces.load(self.table, "validation", self.recipe, self.device)
        torch.manual_seed(self.recipe.seed)
        classes = {head.label_set: len(self.table.label_sets[head.label_set]) for head in self.recipe.heads}
        network = Classifier(self.recipe.network, classes).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = (
            AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.recipe.ema), use_buffers=True).to(self.device)
            if self.recipe.ema
            else None
        )
        self.network = self.fabric.setup_module(network)
        self.rows: list[dict[str, Any]] = []
        self.best = -math.inf
        if checkpoint:
            self.network.load_state_dict(checkpoint["network"])
            if self.average:
                self.average.load_state_dict(checkpoint["average"])
            self.rows, self.best = checkpoint["history"], checkpoint["best"]
        done, first = len(self.rows), 0
        for stage in self.recipe.stages:
            if done < first + stage.epochs:
                state = checkpoint.get("optimizer") if checkpoint and done > first else None
                self._run_stage(stage, first, max(done, first), state)
            first += stage.epochs
        self.folder.write_state(
            state="finished",
            finished=_now(),
            seconds=round(sum(row["seconds"] for row in self.rows)),
            parameters=parameters(network),
        )
        return self.folder

    def _start(self, resume: bool) -> dict[str, Any]:
        """Make or reopen the folder; return the checkpoint to go on from, empty for none."""
        if resume and self.folder.run.exists():
            if recipes.load(self.folder.recipe) != self.recipe:
                raise TrainingError(f"{self.folder.path} holds a run of another recipe: choose another --out")
            if self.folder.read_state().get("data") != self.table.fingerprint:
                raise TrainingError(f"{self.folder.path} was trained on other data: choose another --out")
            return self.folder.load(self.folder.last, self.device) if self.folder.last.exists() else {}
        self.folder.create()
        self.folder.write(self.folder.recipe, recipes.dump(self.recipe).encode())
        self.folder.write_state(
            state="running",
            recipe=self.recipe.name,
            seed=self.recipe.seed,
            data=self.table.fingerprint,
            data_name=self.table.info.name,
            data_official=self.table.info.official,
            labels={head.label_set: self.table.label_sets[head.label_set] for head in self.recipe.heads},
            started=_now(),
            environment=_environment(self.fabric),
        )
        return {}

    def _run_stage(self, stage: Stage, first: int, done: int, state: dict[str, Any] | None) -> None:
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.SGD(
            [
                {"params": decayed, "weight_decay": stage.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=stage.learning_rate,
            momentum=stage.momentum,
            nesterov=stage.momentum > 0,
        )
        if state:
            optimizer.load_state_dict(state)
        optimizer = self.fabric.setup_optimizers(optimizer)
        for epoch in range(done, first + stage.epochs):
            started = time.perf_counter()
            loss = self._run_epoch(stage, epoch, epoch - first, optimizer)
            seconds = time.perf_counter() - started
            figures = {"loss": loss} | self._validate()
            self._keep(epoch, optimizer, figures, seconds)

    def _run_epoch(self, stage: Stage, epoch: int, into_stage: int, optimizer: Any) -> float:
        self.network.train()
        seed = self.recipe.seed * 100_003 + epoch
        torch.manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(seed)
        order = torch.randperm(len(self.train_faces), device=self.device, generator=generator)
        # A last batch of one face would give batch norm nothing to normalise over.
        batches = [b for b in order.split(stage.batch_size) if len(b) > 1]
        total = torch.zeros((), device=self.device)
        for step, batch in enumerate(batches):
            rate = _learning_rate(stage, into_stage + step / len(batches))
            for group in optimizer.param_groups:
                group["lr"] = rate
            pixels = self.train_faces.pixels[batch].float() / 255
            pixels = augment(pixels, stage.augmentation, generator)
            targets = {name: rows[batch] for name, rows in self.train_faces.targets.items()}
            optimizer.zero_grad()
            logits = self.network(pixels.contiguous(memory_format=torch.channels_last))
            loss = losses.summed(logits, targets, self.recipe.heads)
            self.fabric.backward(loss)
            optimizer.step()
            if self.average:
                self.average.update_parameters(self.network.module)
            total += loss.detach()
            if step < len(batches) - 1:
                self.report(Progress(epoch, self.recipe.epochs, step + 1, len(batches), len(batch)))
        mean = (total / len(batches)).item()
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {mean}: lower stages.learning_rate;"
                f" the run up to epoch {epoch} is kept in {self.folder.path}"
            )
        self._images = len(batches[-1])
        self._steps = len(batches)
        return mean

    def _validate(self) -> dict[str, float]:
        scores = score(self.kept, self.validation_faces.pixels)
        figures = {}
        for head in self.recipe.heads:
            truth = self.validation_faces.truth[head.label_set]
            known = truth >= 0
            hits = scores[head.label_set].argmax(dim=1)[known] == truth[known]
            figures[f"validation_top1_{head.label_set}"] = hits.float().mean().item()
        return figures

    @property
    def kept(self) -> nn.Module:
        """The weights that are scored and kept: the moving average if there is one."""
        return self.average.module if self.average else self.network.module

    def _keep(self, epoch: int, optimizer: Any, figures: dict[str, float], seconds: float) -> None:
        chosen_by = sum(v for k, v in figures.items() if k.startswith("validation")) / len(self.recipe.heads)
        row = {
            "epoch": epoch + 1,
            **{k: round(v, 5) for k, v in figures.items()},
            "seconds": round(seconds, 1),
        }
        self.rows.append(row)
        if chosen_by > self.best:
            self.best = chosen_by
            content = {"network": self.kept.state_dict(), "epoch": epoch + 1, "selection": chosen_by}
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
        self.report(Progress(epoch, self.recipe.epochs, self._steps, self._steps, self._images, figures))


@torch.inference_mode()
def score(network: nn.Module, pixels: Tensor) -> dict[str, Tensor]:
    """Logits per label set, float32 (N, K), of luma uint8 (N, 1, H, W); in fp32 and evaluation mode."""
    network.eval()
    parts = [network(batch.float() / 255) for batch in pixels.split(_SCORING_BATCH)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _learning_rate(stage: Stage, epochs: float) -> float:
    """Linear warm-up, then half a cosine down to the final rate; ``epochs`` into the stage, fractional."""
    if epochs < stage.warmup_epochs:
        return stage.learning_rate * (0.1 + 0.9 * epochs / stage.warmup_epochs)
    share = (epochs - stage.warmup_epochs) / (stage.epochs - stage.warmup_epochs)
    drop = stage.learning_rate - stage.final_learning_rate
    return stage.final_learning_rate + drop * 0.5 * (1 + math.cos(math.pi * share))


def _precision(asked: str) -> Any:
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _environment(fabric: Fabric) -> dict[str, Any]:
    cuda = fabric.device.type == "cuda"
    return {
        "mien": version("mien"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU",
        "threads": torch.get_num_threads(),
        "precision": str(fabric._precision.precision),
    }
