"""What long trainings show on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from mien.train.run import Progress as Step


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
            disable=not console.is_terminal or console.quiet,
            redirect_stdout=sys.stdout.isatty(),
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
            self._console.print(
                f"epoch {step.epoch + 1}/{step.epochs}: {shown}, {speed:.0f} images/s", highlight=False, soft_wrap=True
            )
            self._since, self._images = time.perf_counter(), 0
