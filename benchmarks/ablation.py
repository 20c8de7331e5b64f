"""What each ingredient brings on FER2013, one change at a time from the recipe ``ablation``, on validation alone.

    python benchmarks/ablation.py fer2013.parquet [--jobs 1] [--seeds 1,2,3] [--rows base,...]
    python benchmarks/ablation.py --table          # prints what benchmarks/ablation.json holds

Runs lie in runs/ablation, one folder a row and seed; finished ones are taken as they are and half ones go on, so the
command can be stopped and called again. A figure is the mean and the standard deviation over the seeds of validation
top-1 (PublicTest, n = 3,589; FER+ validation, n = 3,199) at the epoch that validation chose; the test split is never
read. ``--jobs`` trains that many at once, which pays on a GPU.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

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
    after: str = ""
    """A row whose runs of all seeds must be finished first: the teachers."""


ROWS = (
    Row("base", "two heads, moving average, cosine, Nesterov"),
    Row("labels-alone", "without the head on FER+ votes", ("heads=[{label_set: fer2013, label_smoothing: 0.1}]",)),
    Row("no-average", "without the moving average of the weights", ("ema=0",)),
    Row("clean", "train rows cleaned: no non-faces, copies merged", cleaning=("faces", "copies")),
    Row("blended", "own labels blended half and half with votes", cleaning=("faces", "copies", "votes")),
    Row("mixup", "mixup 0.2", ("stages.0.augmentation.mixup=0.2",)),
    Row("sharpness", "sharpness-aware minimisation, rho 0.05", ("stages.0.sharpness=0.05",)),
    Row("distilled", "taught by the base runs of all seeds", after="base"),
)


def folder(row: Row, seed: int) -> Path:
    """Where a run lies."""
    return RUNS / f"{row.name}-seed{seed}"


def train(row: Row, seed: int, data: Path, changes: list[str], teachers: list[str]) -> str:
    """Train one run, or go on with it; in a process of its own."""
    from mien.data import clean
    from mien.data import table as tables
    from mien.train import recipe, run
    from mien.train.folder import RunFolder

    table = tables.read(data)
    if row.cleaning:
        table = clean.clean(table, row.cleaning).table
    taught = [f"distillation={{teachers: [{', '.join(teachers)}]}}"] if teachers else []
    spec = recipe.load("ablation", [*changes, *row.changes, *taught, f"seed={seed}"])
    place = RunFolder(folder(row, seed))
    if place.read_state().get("state") != "finished":
        run.train(spec, table, place.path, resume=True)
    return str(place.path)


def figures(row: Row, seed: int) -> dict[str, float] | None:
    """Validation top-1 of a finished run's chosen epoch, in percent; None where there is none."""
    place = folder(row, seed)
    try:
        state = json.loads((place / "run.json").read_text(encoding="utf-8"))
        history = list(csv.DictReader((place / "history.csv").read_text(encoding="utf-8").splitlines()))
    except FileNotFoundError:
        return None
    if state["state"] != "finished":
        return None
    names = [name for name in FIGURES if name in history[0]]
    best = max(history, key=lambda line: sum(float(line[name]) for name in names))
    # A run may have been paused: the median epoch knows nothing of it.
    epoch = statistics.median(float(line["seconds"]) for line in history)
    return {name: 100 * float(best[name]) for name in names} | {"seconds_an_epoch": epoch}


def record(seeds: list[int]) -> dict[str, Any]:
    """All finished runs, with what they ran on."""
    found: dict[str, Any] = {}
    for row in ROWS:
        runs = {seed: figures(row, seed) for seed in seeds}
        done = {seed: f for seed, f in runs.items() if f}
        if done:
            state = json.loads((folder(row, next(iter(done))) / "run.json").read_text(encoding="utf-8"))
            found[row.name] = {"runs": done, "environment": state["environment"], "data": state["data"]}
    return found


def table(recorded: dict[str, Any]) -> str:
    """The Markdown table; rows that were not run say so."""
    lines = ["| | seeds | original labels, % | FER+, % | seconds an epoch |", "|---|---|---|---|---|"]
    for row in ROWS:
        runs = list(recorded.get(row.name, {}).get("runs", {}).values())
        cells = [_mean([run[name] for run in runs if name in run]) if runs else "not run" for name in FIGURES]
        seconds = f"{statistics.median(run['seconds_an_epoch'] for run in runs):.0f}" if runs else ""
        lines.append(f"| {row.name}: {row.says} | {len(runs)} | {cells[0]} | {cells[1]} | {seconds} |")
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
    parser.add_argument("--set", action="append", default=[], dest="changes", help="a change to all rows, path=value")
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.table:
        print(table(json.loads(RECORD.read_text(encoding="utf-8"))))
        return
    if asked.data is None:
        parser.error("name the data table: fer2013.parquet, from mien data import fer2013")
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    rows = [row for row in ROWS if row.name in asked.rows.split(",")]
    for wave in ([row for row in rows if not row.after], [row for row in rows if row.after]):
        with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as pool:
            jobs = [
                pool.submit(
                    train,
                    row,
                    seed,
                    asked.data,
                    asked.changes,
                    [str(folder(teacher, s)) for teacher in ROWS if teacher.name == row.after for s in seeds],
                )
                for seed in seeds
                for row in wave
            ]
            for job in jobs:
                print(job.result(), flush=True)
    recorded = record(seeds)
    if not asked.changes:  # a changed recipe is a trial, not the record
        RECORD.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    print(table(recorded))


if __name__ == "__main__":
    main()
