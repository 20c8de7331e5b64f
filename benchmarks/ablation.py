"""What each ingredient brings on FER2013, one change at a time from the recipe ``ablation``, on validation alone.

    python benchmarks/ablation.py fer2013.parquet [--jobs 1] [--seeds 1,2,3] [--rows base,...]
    python benchmarks/ablation.py fer2013.parquet --cost     # what a step of each row costs, beside nothing else
    python benchmarks/ablation.py --table                    # prints what benchmarks/ablation.json holds

Runs lie in runs/ablation, one folder a row and seed. Each is recorded as it finishes and not trained again, whether its
folder is still there or not; half ones go on: the command can be stopped and called again. A figure is the mean and the
standard deviation over the seeds of validation top-1 (PublicTest, n = 3,589; FER+ validation, n = 3,199) at the epoch
that validation chose; the test split is never read. Label errors are found by three folds of Training, each judged by a
network of 20 epochs that saw the other two. ``--jobs`` trains that many at once.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

RECORD = Path(__file__).with_suffix(".json")
RUNS = Path("runs/ablation")
FIGURES = ("validation_top1_fer2013", "validation_top1_ferplus")


@dataclass(frozen=True)
class Row:
    """One line of the table: what is changed of the recipe, and which cleaning steps the data went through."""

    name: str
    says: str
    changes: tuple[str, ...] = ()
    cleaning: tuple[str, ...] = ()


ROWS = (
    Row("base", "two heads, moving average, cosine, Nesterov"),
    Row("labels-alone", "without the head on FER+ votes", ("heads=[{label_set: fer2013, label_smoothing: 0.1}]",)),
    Row("no-average", "without the moving average of the weights", ("ema=0",)),
    Row("clean", "train rows cleaned: no non-faces, copies merged", cleaning=("faces", "copies")),
    Row("errors", "cleaned, and labels that other folds contradict taken away", cleaning=("faces", "copies", "errors")),
    Row("blended", "cleaned, and own labels blended half and half with votes", cleaning=("faces", "copies", "votes")),
    Row("mixup", "mixup 0.2", ("stages.0.augmentation.mixup=0.2",)),
    Row("sharpness", "sharpness-aware minimisation, rho 0.05", ("stages.0.sharpness=0.05",)),
    Row("distilled", "taught by the shipped default", ("distillation={teachers: [default]}",)),
)
FOLDS = RUNS / "folds"
FOLDED = ("--folds", "3", "--set", "data.protocol=kfold", "--set", "stages.0.epochs=20")
# A step's cost is timed on so many training faces, in so many turns of all rows.
TIMED, TURNS = 2_560, 3


def load(row: Row, data: Path) -> Any:
    """The table as the row cleans it."""
    from mien.data import clean
    from mien.data import table as tables
    from mien.report import evidence

    table = tables.read(data)
    outside = evidence.out_of_fold(sorted(FOLDS.glob("fold-*")), table) if "errors" in row.cleaning else None
    return clean.clean(table, row.cleaning, outside=outside).table if row.cleaning else table


def train(row: Row, seed: int, data: Path) -> dict[str, Any]:
    """Train one run, or go on with it, in a process of its own; what is recorded of it."""
    from mien.train import recipe, run
    from mien.train.folder import RunFolder

    place = RunFolder(RUNS / f"{row.name}-seed{seed}")
    if place.read_state().get("state") != "finished":
        spec = recipe.load("ablation", [*row.changes, f"seed={seed}"])
        run.train(spec, load(row, data), place.path, resume=True)
    history = list(csv.DictReader(place.history.read_text(encoding="utf-8").splitlines()))
    names = [name for name in FIGURES if name in history[0]]
    best = max(history, key=lambda line: sum(float(line[name]) for name in names))
    figures = {name: round(100 * float(best[name]), 3) for name in names}
    return figures | {"epoch": int(best["epoch"]), "environment": place.read_state()["environment"]}


def speed(changes: Sequence[str], data: Path) -> float:
    """Training faces a second of the recipe with changes, in the better of two short epochs."""
    from mien.data import table as tables
    from mien.train import recipe, run

    table = tables.read(data)
    chosen = np.concatenate([np.flatnonzero(table.splits == split)[:TIMED] for split in ("train", "validation")])
    short = ["stages.0.epochs=2", "stages.0.warmup_epochs=0"]
    with TemporaryDirectory() as folder:
        done = run.train(recipe.load("ablation", [*changes, *short]), table.take(chosen), Path(folder) / "run")
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
    lines = ["| | seeds | original labels, % | FER+, % | a step takes |", "|---|---|---|---|---|"]
    for row in ROWS:
        runs = list(recorded["rows"].get(row.name, {}).values())
        cells = [_mean([run[name] for run in runs if name in run]) if runs else "not run" for name in FIGURES]
        takes = f"{recorded['cost'][row.name]:.2f}" if row.name in recorded["cost"] else ""
        lines.append(f"| {row.name}: {row.says} | {len(runs)} | {cells[0]} | {cells[1]} | {takes} |")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    if not values:
        return "no such head"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def main() -> None:
    """Train what is missing, keep the record, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS))
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    recorded = read()
    if asked.table:
        print(table(recorded))
        return
    if asked.data is None:
        parser.error("name the data table: fer2013.parquet, from mien data import fer2013")
    if asked.cost:
        cost = costs(asked.data)
        keep(read() | {"cost": cost})
        return
    from mien.data import table as tables

    fingerprint = tables.read(asked.data).fingerprint
    if fingerprint != recorded["data"]:
        parser.error(f"the recorded runs are of the table {recorded['data']}, not of {fingerprint}")
    rows = [row for row in ROWS if row.name in asked.rows.split(",")]
    wanted = [
        (row, seed) for seed in asked.seeds.split(",") for row in rows if seed not in recorded["rows"].get(row.name, {})
    ]
    if any("errors" in row.cleaning for row, _ in wanted):
        folds = ("crossval", "ablation", "--data", str(asked.data), *FOLDED, "--out", str(FOLDS))
        subprocess.run([sys.executable, "-m", "mien", *folds], check=True)
    with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as pool:
        jobs = {pool.submit(train, row, int(seed), asked.data): (row, seed) for row, seed in wanted}
        for job in as_completed(jobs):
            (row, seed), found = jobs[job], job.result()
            recorded = read()  # another process may have added to it
            recorded["rows"].setdefault(row.name, {})[seed] = found
            keep(recorded)


def read() -> dict[str, Any]:
    """The record: fingerprint of the data, rows by name and seed, costs by row."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def keep(recorded: dict[str, Any]) -> None:
    """Write the record, and show it."""
    RECORD.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    print(table(recorded), flush=True)


if __name__ == "__main__":
    main()
