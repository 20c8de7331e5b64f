"""What each ingredient brings on FER2013, one change at a time from the recipe ``ablation``, on validation alone.

    python benchmarks/ablation.py fer2013.parquet [--jobs 1] [--seeds 1,2,3] [--names base,...]
    python benchmarks/ablation.py fer2013.parquet --cost     # what a step of each row costs, beside nothing else
    python benchmarks/ablation.py --table                    # prints what benchmarks/ablation.json holds

Runs lie in runs/ablation, one folder a row and seed; benchmarks/trials.py says how they are trained and recorded. The
command can be stopped and called again. A figure is the mean and the standard deviation over the seeds. Label errors
are found by three folds of Training, each judged by a network of 20 epochs that saw the other two. ``--jobs`` trains
that many at once.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import recording
import trials

RECORD = Path(__file__).with_suffix(".json")
RUNS = Path("runs/ablation")


@dataclass(frozen=True)
class Row(trials.Trial):
    """One line of the table: a trial, and the cleaning steps its data went through."""

    cleaning: tuple[str, ...] = ()

    def load(self, data: Path) -> Any:
        """The table as the row cleans it."""
        from mien.data import clean
        from mien.report import evidence

        table = super().load(data)
        outside = evidence.out_of_fold(sorted(FOLDS.glob("fold-*")), table) if "errors" in self.cleaning else None
        return clean.clean(table, self.cleaning, outside=outside).table if self.cleaning else table


ROWS = (
    Row("base", "two heads, moving average, cosine, Nesterov"),
    Row("labels-alone", "without the head on FER+ votes", ("heads=[{label_set: fer2013, label_smoothing: 0.1}]",)),
    Row("no-average", "without the moving average of the weights", ("ema=0",)),
    Row("clean", "train rows cleaned: no non-faces, copies merged", cleaning=("faces", "copies")),
    Row("errors", "cleaned, and labels that other folds contradict taken away", cleaning=("faces", "copies", "errors")),
    Row("blended", "cleaned, and own labels blended half and half with votes", cleaning=("faces", "copies", "votes")),
    Row("mixup", "mixup 0.2", ("stages.0.augmentation.mixup=0.2",)),
    Row("sharpness", "sharpness-aware minimisation, rho 0.05", ("stages.0.sam_rho=0.05",)),
    Row("distilled", "from the shipped default", ("distillation={teachers: [default]}",)),
)
FOLDS = RUNS / "folds"
FOLDED = ("--folds", "3", "--set", "data.protocol=kfold", "--set", "stages.0.epochs=20")
# A step's cost is timed on so many training faces, in so many turns of all rows.
TIMED, TURNS = 2_560, 3


def speed(changes: Sequence[str], data: Path) -> float:
    """Training faces a second of the recipe with changes, in the better of two short epochs."""
    from mien.data import table as tables
    from mien.recipes import loader
    from mien.train import run

    table = tables.read(data)
    chosen = np.concatenate([np.flatnonzero(table.splits == split)[:TIMED] for split in ("train", "validation")])
    short = ["stages.0.epochs=2", "stages.0.warmup_epochs=0"]
    with TemporaryDirectory() as folder:
        done = run.train(loader.load(trials.RECIPE, [*changes, *short]), table.take(chosen), Path(folder) / "run")
        history = csv.DictReader(done.history.read_text(encoding="utf-8").splitlines())
        return max(float(line["images_per_second"]) for line in history)


def costs(data: Path) -> dict[str, float]:
    """By row, how many times as long as the base's a step takes: each at its quickest of some turns of all rows."""
    recipes = list(dict.fromkeys(row.changes for row in ROWS))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        turns = [[pool.submit(speed, changes, data).result() for changes in recipes] for _ in range(TURNS)]
    rates = dict(zip(recipes, map(max, zip(*turns, strict=True)), strict=True))
    return {row.name: round(rates[()] / rates[row.changes], 2) for row in ROWS}


def table(recorded: dict[str, Any]) -> str:
    """The Markdown table; rows that were not run say so."""
    lines = []
    for row in ROWS:
        runs = recorded["rows"].get(row.name, {})
        takes = f"{recorded['cost'][row.name]:.2f}" if row.name in recorded["cost"] else ""
        lines.append((f"{row.name}: {row.says}", len(runs), *trials.cells(runs), takes))
    return recording.markdown(("", "seeds", "original labels, %", "FER+, %", "a step takes"), lines)


def main() -> None:
    """Train what is missing, keep the record, print the table."""
    parser = trials.parser(__doc__, ROWS, "1,2,3")
    parser.add_argument("--cost", action="store_true")
    asked = parser.parse_args()
    recorded = recording.read(RECORD)
    if asked.table:
        print(table(recorded))
        return
    if asked.data is None:
        parser.error("name the data table: fer2013.parquet, from mien data import fer2013")
    if asked.cost:
        cost = costs(asked.data)
        recorded = recording.read(RECORD) | {"cost": cost}
        recording.write(RECORD, recorded, indent=2)
        print(table(recorded))
        return
    rows = [row for row in ROWS if row.name in asked.names.split(",")]
    wanted = trials.missing(rows, asked.seeds.split(","), asked.data, RECORD, "rows")
    if any(row.name == "errors" for row, _ in wanted):
        folds = ("crossval", trials.RECIPE, "--data", str(asked.data), *FOLDED, "-o", str(FOLDS))
        subprocess.run([sys.executable, "-m", "mien", *folds], check=True)
    for row, seed, found in trials.run(wanted, asked.data, RUNS, asked.jobs):
        print(table(trials.add(RECORD, "rows", row, seed, found)), flush=True)


if __name__ == "__main__":
    main()
