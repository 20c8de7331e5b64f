"""What runs answer on faces from elsewhere: heads apart, and the plain mean of their log-probabilities.

    python benchmarks/development.py unseen-faces.parquet runs/face128 runs/face96 --record benchmarks/development.json

The development rows of ``elsewhere.py``; top-1 over the rows whose label the head has, and balanced accuracy over the
five expressions with 40 faces or more, single view, uncalibrated, of each run's best weights. Nothing else is read.
"""

from __future__ import annotations

from pathlib import Path

import elsewhere
import numpy as np
import recording
import torch
from numpy.typing import NDArray

from mien.expressions import BASIC_EIGHT, BASIC_SEVEN
from mien.networks import build
from mien.recipes import loader as recipes
from mien.runs import RunFolder, processor
from mien.train.scoring import score

FIVE = [BASIC_EIGHT.index(name) for name in ("angry", "happy", "neutral", "sad", "surprise")]
SEVEN = len(BASIC_SEVEN)


def answers(run: RunFolder, rows: elsewhere.Development) -> dict[str, NDArray[np.float32]]:
    """Log-probabilities (N, K) of each head, labels in the order of ``BASIC_EIGHT``, and the mean over the heads."""
    network = build.restore(run).to(memory_format=torch.channels_last)
    size = recipes.load_network(run.recipe).data.size
    pixels = torch.from_numpy(rows.sized(size)[..., 0].copy()).unsqueeze(1)  # the faces are grey
    found = {name: logits.float().log_softmax(dim=1).numpy() for name, logits in score(network, pixels).items()}
    return found | {"mean": np.mean([rows[:, :SEVEN] for rows in found.values()], axis=0)}


def figures(said: NDArray[np.float32], truth: elsewhere.Labels) -> dict[str, float]:
    right, known = said.argmax(axis=1) == truth, truth < said.shape[1]
    balanced = np.mean([right[truth == label].mean() for label in FIVE])
    return {"top1": round(100 * float(right[known].mean()), 1), "balanced": round(100 * float(balanced), 1)}


def main() -> None:
    parser = recording.parser(__doc__)
    parser.add_argument("unseen", type=Path)
    parser.add_argument("runs", nargs="+")
    given = parser.parse_args()
    rows = elsewhere.read(given.unseen)
    found: dict[str, object] = {"faces": len(rows.truth), "processor": processor()}
    for name in given.runs:
        run = RunFolder(name)
        history = run.read_history()
        epoch = run.load(run.best)["epoch"]
        best = next(row for row in history if int(row["epoch"]) == epoch)
        validation = {key: float(value) for key, value in best.items() if key.startswith("validation_top1")}
        said = answers(run, rows)
        own = {head: figures(of, rows.truth) for head, of in said.items()}
        found[run.path.name] = {"epoch": epoch, "epochs": len(history), **validation, "development": own}
    recording.show(found, given.record)


if __name__ == "__main__":
    main()
