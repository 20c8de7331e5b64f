"""What longer training brings: validation accuracy against epochs, of runs that grew from one another.

    python benchmarks/curve.py runs/fast runs/deep    # adds runs to its record, or records them anew; docs/curve.png
    python benchmarks/curve.py                        # draws the record again

A run that started from another of the record goes on at the epoch whose weights it took. Figures are those of
``history.csv``: top-1 on PublicTest, before calibration and 8 bit. The test split is never read.
"""

from __future__ import annotations

import csv
import json
from itertools import cycle
from pathlib import Path
from typing import Any

import recording
from matplotlib.figure import Figure

from mien.expressions import LABEL_SETS
from mien.recipes import loader
from mien.runs import RunFolder

RECORD = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).parents[1] / "docs" / "curve.png"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
TITLES = {"fer2013": "original labels, n = 3,589", "ferplus": "FER+ votes, n = 3,199"}


def read(path: Path, others: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A run's validation figures by epoch, in percent, and the epoch at which it began.

    Args:
        path: run folder.
        others: the runs of the record, by their path.
    """
    folder = RunFolder(path)
    with (path / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    spec = loader.load_network(folder.recipe)
    weights = spec.network.weights
    parent = others.get(str(Path(weights.run))) if weights and weights.run else None
    kept = int(folder.load(folder.best)["epoch"])
    return {
        "run": str(path),
        "parameters": folder.read_state()["parameters"],
        "begins": parent["begins"] + parent["kept"] if parent else 0,
        "kept": kept,
        "seconds": round(sum(float(row["seconds"]) for row in rows)),
        "top1": {
            name: [round(100 * float(row[f"validation_top1_{name}"]), 2) for row in rows]
            for name in LABEL_SETS
            if f"validation_top1_{name}" in rows[0]
        },
    }


def draw(runs: list[dict[str, Any]]) -> None:
    """One panel a label set; a dot marks the epoch whose weights were kept."""
    figure = Figure(figsize=(9.6, 4.2), dpi=150, layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(TITLES)), TITLES.items(), strict=True):
        top = 0.0
        for run, colour in zip(runs, cycle(COLOURS), strict=False):
            figures = run["top1"][name]
            epochs = [run["begins"] + number for number in range(1, len(figures) + 1)]
            label = f"{Path(run['run']).name}, {run['parameters'] / 1e6:.1f} M"
            axes.plot(epochs, figures, color=colour, lw=1.6, label=label)
            axes.plot(epochs[run["kept"] - 1], figures[run["kept"] - 1], "o", color=colour, ms=6)
            top = max(top, *figures)
        axes.set_title(title)
        axes.set_xlabel("epochs")
        axes.set_ylabel("PublicTest top-1, %")
        axes.set_ylim(top - 14, top + 1)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="lower right")
    figure.savefig(PICTURE)


def main() -> None:
    """Record the named runs, and draw all that are recorded."""
    parser = recording.parser(__doc__, record=False)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders, those that others grew from first")
    asked = parser.parse_args()
    recorded = {run["run"]: run for run in recording.read(RECORD)}
    if asked.runs:
        for path in asked.runs:
            recorded[str(path)] = read(path, recorded)
        RECORD.write_text(json.dumps(list(recorded.values())) + "\n", encoding="utf-8")
    runs = list(recorded.values())
    draw(runs)
    for run in runs:
        best = ", ".join(f"{name} {figures[run['kept'] - 1]:.2f}" for name, figures in run["top1"].items())
        print(f"{run['run']}: epochs {run['begins']} to {run['begins'] + len(run['top1']['fer2013'])}, kept: {best}")


if __name__ == "__main__":
    main()
