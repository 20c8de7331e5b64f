"""Variants of the recipe ``ablation``, trained and compared on validation alone; no command of its own.

Runs lie in a folder, one each a variant and seed. Each is recorded as it finishes and not trained again, whether its
folder is still there or not; half ones go on. A figure is validation top-1 (PublicTest, n = 3,589; FER+ validation,
n = 3,199) at the epoch that validation chose; the test split is never read.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import recording

RECIPE = "ablation"
FIGURES = ("validation_top1_fer2013", "validation_top1_ferplus")


@dataclass(frozen=True)
class Trial:
    """One variant: its name, what it is in words, and what is changed of the recipe."""

    name: str
    says: str
    changes: tuple[str, ...] = ()

    def load(self, data: Path) -> Any:
        """The table it trains on."""
        from mien.data import table as tables

        return tables.read(data)


def parser(words: str | None, trials: Sequence[Trial], seeds: str) -> argparse.ArgumentParser:
    """The options that all comparisons have: data, --jobs, --seeds, --names, --table."""
    made = recording.parser(words, data=False, record=False)
    made.add_argument("--jobs", type=int, default=1)
    made.add_argument("--seeds", default=seeds)
    made.add_argument("--names", default=",".join(trial.name for trial in trials))
    made.add_argument("--table", action="store_true")
    return made


def train(trial: Trial, seed: int, data: Path, folder: Path) -> dict[str, Any]:
    """Train one run, or go on with it, in a process of its own; what is recorded of it."""
    from mien.recipes import loader
    from mien.runs import RunFolder
    from mien.train import run

    place = RunFolder(folder)
    if place.read_state().get("state") != "finished":
        spec = loader.load(RECIPE, [*trial.changes, f"seed={seed}"])
        run.train(spec, trial.load(data), place.path, resume=True)
    history = list(csv.DictReader(place.history.read_text(encoding="utf-8").splitlines()))
    names = [name for name in FIGURES if name in history[0]]
    best = max(history, key=lambda line: sum(float(line[name]) for name in names))
    figures = {name: round(100 * float(best[name]), 3) for name in names}
    return figures | {"epoch": int(best["epoch"]), "environment": place.read_state()["environment"]}


def missing(
    trials: Sequence[Trial], seeds: Sequence[str], data: Path, record: Path, part: str
) -> list[tuple[Trial, str]]:
    """The trials and seeds that a part of a record lacks; ends the program where the record is of another table."""
    from mien.data import table as tables

    recorded = json.loads(record.read_text(encoding="utf-8"))
    if (fingerprint := tables.read(data).fingerprint) != recorded["data"]:
        sys.exit(f"the runs in {record} are of the table {recorded['data']}, not of {fingerprint}")
    return [(trial, seed) for seed in seeds for trial in trials if seed not in recorded[part].get(trial.name, {})]


def run(
    wanted: Sequence[tuple[Trial, str]], data: Path, runs: Path, jobs: int
) -> Iterator[tuple[Trial, str, dict[str, Any]]]:
    """Train so many at once; yields each as it finishes."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        going = {
            pool.submit(train, trial, int(seed), data, runs / f"{trial.name}-seed{seed}"): (trial, seed)
            for trial, seed in wanted
        }
        for job in as_completed(going):
            yield *going[job], job.result()


def add(record: Path, part: str, trial: Trial, seed: str, found: dict[str, Any]) -> dict[str, Any]:
    """The record as it is now, for another process may have added to it, with one run more; written."""
    recorded = json.loads(record.read_text(encoding="utf-8"))
    recorded[part].setdefault(trial.name, {})[seed] = found
    record.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    return recorded


def cells(runs: dict[str, dict[str, Any]]) -> list[str]:
    """By figure, mean and standard deviation over a trial's seeds; "not run" where there are none."""
    return [_mean([r[name] for r in runs.values() if name in r]) if runs else "not run" for name in FIGURES]


def _mean(values: list[float]) -> str:
    if not values:
        return "no such head"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
