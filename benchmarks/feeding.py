"""What feeding costs: pictures out of memory, changed at random, beside a training step and beside PIL transforms.

    python benchmarks/feeding.py [--rounds 15] [--record benchmarks/feeding.json]

Trains ResNet50 as the recipe ``paper-scratch`` says (48 px, batches of 64, rotation, shift, zoom, flip), in bf16 on
two threads, and times feeding and the rest of each step apart. Then, feeding alone against the usual way: a torch
DataLoader with two worker processes and torchvision's transforms on one PIL picture at a time. Both make the same
changes with the same interpolation. The two ways take turns within a round, so that a machine whose speed drifts
slows both alike; figures are medians over the rounds. The pictures are noise: what they show costs no time.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import recording
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mien.networks import build
from mien.recipes import loader as recipe
from mien.recipes.schema import Augmentation, Recipe
from mien.train import optimize
from mien.train.augmentation import augment
from mien.train.faces import Faces
from mien.train.losses import Loss

RECIPE = "paper-scratch"
FACES, LABELS = 28_709, 7  # as many as FER2013 trains on
CORES = 2
COST_LIMIT, SPEED_LIMIT = 0.05, 4.0
LONGER = 5  # times the batches of the PIL way are fed, so that both are watched for about as long
CPU = torch.device("cpu")


def faces(experiment: Recipe) -> Faces:
    """Noise in memory, in the form that training takes."""
    generator = torch.Generator().manual_seed(0)
    size = experiment.data.size
    pixels = torch.randint(256, (FACES, experiment.data.channels, size, size), generator=generator, dtype=torch.uint8)
    truth = torch.randint(LABELS, (FACES,), generator=generator)
    name = experiment.heads[0].label_set
    return Faces(pixels, {name: torch.nn.functional.one_hot(truth, LABELS).float()}, {name: truth})


class Feed:
    """Batches as :func:`mien.train.run.train` makes them, one after the other, anew from the start at the end."""

    def __init__(self, source: Faces, changes: Augmentation, size: int) -> None:
        self.source, self.changes, self.size = source, changes, size
        self.generator = torch.Generator().manual_seed(0)
        self.order: Iterator[Tensor] = iter(())

    def __call__(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Changed pixels, float (size, C, H, W), and targets."""
        indices = next(self.order, None)
        if indices is None:
            shuffled = torch.randperm(len(self.source), generator=self.generator)
            self.order = iter(shuffled[: len(shuffled) // self.size * self.size].split(self.size))
            indices = next(self.order)
        pixels, targets = self.source.batch(indices, CPU)
        return augment(pixels, self.changes, self.generator).contiguous(memory_format=torch.channels_last), targets


class Step:
    """One training step on a batch that is ready."""

    def __init__(self, experiment: Recipe, source: Faces) -> None:
        torch.manual_seed(experiment.seed)
        network = build.build(experiment, {experiment.heads[0].label_set: LABELS})
        self.network = network.to(memory_format=torch.channels_last)
        self.network.train_as(experiment.stages[0])
        self.optimizer = optimize.optimizer(self.network, experiment.stages[0])
        self.loss = Loss(experiment.heads, source.targets)

    def __call__(self, pixels: Tensor, targets: dict[str, Tensor]) -> None:
        """Forward, backward, and the optimiser."""
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(pixels)
        self.loss(logits, targets, {name: rows.sum() for name, rows in targets.items()}).backward()
        self.optimizer.step()


class Pictures(Dataset):
    """The same faces one by one: a PIL picture made of the array, as torchvision's own data sets do, and changed."""

    def __init__(self, source: Faces, changes: Augmentation, count: int) -> None:
        self.arrays = source.pixels[:count, 0].numpy()
        self.labels = next(iter(source.truth.values()))[:count].tolist()
        self.change = transforms.Compose(
            [
                transforms.RandomAffine(
                    changes.rotation,
                    translate=(changes.shift, changes.shift),
                    scale=(1 - changes.scale, 1 + changes.scale),
                    interpolation=transforms.InterpolationMode.BILINEAR,
                ),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.change(Image.fromarray(self.arrays[index])), self.labels[index]


def through(loader: DataLoader) -> int:
    """Go once through a loader; returns how many pictures came."""
    return sum(len(pixels) for pixels, _ in loader)


def measure(experiment: Recipe, rounds: int, steps: int, batches: int) -> dict[str, list[float]]:
    """Seconds a step of feeding and of the rest, and images/s of both ways of feeding; one value a round."""
    stage = experiment.stages[0]
    source = faces(experiment)
    pictures = Pictures(source, stage.augmentation, batches * stage.batch_size)
    loader = DataLoader(pictures, stage.batch_size, shuffle=True, num_workers=CORES, persistent_workers=True)
    through(loader)  # starts the workers, before this process has threads
    feed, step = Feed(source, stage.augmentation, stage.batch_size), Step(experiment, source)
    for _ in range(2):
        step(*feed())
    found: dict[str, list[float]] = {"feeding": [], "step": [], "feeding alone": [], "PIL": []}
    for number in range(rounds):
        fed, stepped = [], []
        for _ in range(steps):
            started = time.perf_counter()
            batch = feed()
            ready = time.perf_counter()
            step(*batch)
            fed.append(ready - started)
            stepped.append(time.perf_counter() - ready)
        found["feeding"].append(statistics.median(fed))
        found["step"].append(statistics.median(stepped))
        started = time.perf_counter()
        images = sum(len(feed()[0]) for _ in range(LONGER * batches))
        found["feeding alone"].append(images / (time.perf_counter() - started))
        started = time.perf_counter()
        images = through(loader)
        found["PIL"].append(images / (time.perf_counter() - started))
        line = ", ".join(f"{name} {values[-1]:.4g}" for name, values in found.items())
        print(f"round {number + 1}: {line}", flush=True)
    return found


def summary(found: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, and the two ratios: of each round, then their median."""
    cost = [a / b for a, b in zip(found["feeding"], found["step"], strict=True)]
    speed = [a / b for a, b in zip(found["feeding alone"], found["PIL"], strict=True)]
    return {
        "feeding_ms_a_step": round(1000 * statistics.median(found["feeding"]), 2),
        "rest_ms_a_step": round(1000 * statistics.median(found["step"]), 1),
        "feeding_share_of_a_step": {"median": round(statistics.median(cost), 4), "largest": round(max(cost), 4)},
        "feeding_images_per_second": round(statistics.median(found["feeding alone"])),
        "pil_images_per_second": round(statistics.median(found["PIL"])),
        "times_faster_than_pil": {"median": round(statistics.median(speed), 1), "smallest": round(min(speed), 1)},
    }


def hardware() -> dict[str, Any]:
    """Processor, cores in use, versions, date, and how busy the machine was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def main() -> None:
    options = recording.parser(__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--steps", type=int, default=4, help="training steps a round")
    options.add_argument(
        "--batches", type=int, default=60, help=f"batches a round of the PIL way; {LONGER} times as many of the other"
    )
    asked = options.parse_args()
    torch.set_num_threads(CORES)
    found = measure(recipe.load(RECIPE), asked.rounds, asked.steps, asked.batches)
    figures = summary(found)
    recording.record(figures, asked.record, machine=hardware())
    cost, speed = figures["feeding_share_of_a_step"]["median"], figures["times_faster_than_pil"]["median"]
    print(f"feeding costs {100 * cost:.1f} % of a step: {'within' if cost <= COST_LIMIT else 'OVER'} the limit of 5 %")
    print(
        f"feeding is {speed:.1f} times as fast as PIL: {'within' if speed >= SPEED_LIMIT else 'BELOW'} the limit of 4"
    )
    if cost > COST_LIMIT or speed < SPEED_LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
