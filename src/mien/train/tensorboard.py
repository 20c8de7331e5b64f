"""A run's history for TensorBoard, where that is installed; ``history.csv`` has the same everywhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any


def log(folder: Path, row: dict[str, Any]) -> None:
    """Add one epoch's numbers to the event files in ``folder/tensorboard``.

    Args:
        folder: the run folder.
        row: of the history; ``epoch`` is the step.
    """
    if find_spec("tensorboard") is None:
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, row["epoch"])
