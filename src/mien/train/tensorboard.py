"""A run's history for TensorBoard, where that is installed; ``history.csv`` has the same everywhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any


class Log:
    """Event files in ``folder/tensorboard``; nothing at all where TensorBoard is not installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tensorboard"
        self._writer: Any = None

    def add(self, row: dict[str, Any]) -> None:
        """Add one epoch's numbers of the history; ``epoch`` is the step."""
        if self._writer is None and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder))
        if self._writer is not None:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, row["epoch"])
            self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
