"""The figures of docs/results.md, recomputed from the shipped files, the committed predictions and the data.

    python benchmarks/results.py fer2013.parquet     # scores the files again, checks the predictions, writes the page
    python benchmarks/results.py                     # from the committed predictions alone

Selection saw validation only; scoring the test split again changes nothing that was chosen. Predictions of a shipped
file that differ from what the file says by more than 1e-3 anywhere end the command with an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import recording

from mien import models
from mien.data import table as tables
from mien.evaluate import predictions
from mien.evaluate.metrics import Figures, measure

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "docs" / "predictions"
PAGE = ROOT / "docs" / "results.md"
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Target:
    """One line: what is aimed at, and which predictions tell how far it was got."""

    says: str
    aim: float | None
    stem: str
    label_set: str
    figure: str = "top1"


TARGETS = (
    Target("default, PrivateTest, original labels, one view", 73.5, "default-fer2013-test", "fer2013"),
    Target("default, FER+ test, 8 classes", 89.0, "default-fer2013-test", "ferplus"),
    Target("fast, PrivateTest, original labels, one view", 71.0, "fast-fer2013-test", "fer2013"),
    Target("fast, FER+ test, 8 classes", 87.7, "fast-fer2013-test", "ferplus"),
    Target("best single network, original labels, views allowed", 75.8, "single-fer2013-test", "fer2013"),
    Target("best single network, FER+", 90.0, "single-fer2013-test", "ferplus"),
    Target("ensemble, original labels", 77.0, "ensemble-fer2013-test", "fer2013"),
    Target("default, calibration error on PrivateTest (at most)", 0.02, "default-fer2013-test", "fer2013", "ece"),
    Target("default, calibration error on FER+ test (at most)", 0.02, "default-fer2013-test", "ferplus", "ece"),
)


def figures(stem: str, label_set: str) -> Figures | None:
    """Of committed predictions; None where there are none yet."""
    path = TABLES / f"{stem}.parquet"
    if not path.exists():
        return None
    return next((measure(s) for s in predictions.read(path).scores if s.label_set == label_set), None)


def lines() -> Iterator[str]:
    """The table of targets in Markdown."""
    yield "| | aim | measured | 95 % interval | n |"
    yield "|---|---|---|---|---|"
    for target in TARGETS:
        f = figures(target.stem, target.label_set)
        aim = f"{target.aim:g}"
        if f is None:
            yield f"| {target.says} | {aim} | not there yet | | |"
        elif target.figure == "ece":
            yield f"| {target.says} | {aim} | {f.ece:.4f} | | {f.n:,} |"
        else:
            low, high = f.interval
            yield f"| {target.says} | {aim} | {100 * f.top1:.2f} | {100 * low:.2f}-{100 * high:.2f} | {f.n:,} |"


def crowd() -> Iterator[str]:
    """In Markdown what the shipped models get right of the faces that FER+'s crowd agrees on, and of all others too."""
    found = {name: figures(f"{name}-fer2013-test", "ferplus") for name in models.installed()}
    known = sorted(((f, name) for name, f in found.items() if f), key=lambda pair: -pair[0].top1)
    first = known[0][0]
    counts = [first.n, first.also["seven classes"][0], first.also["unfiltered"][0]]
    heads = ["the crowd agrees, 8 classes", "the same without contempt", "every face with a vote for an expression"]
    columns = [f"{says} (n = {n:,})" for says, n in zip(heads, counts, strict=True)]
    yield f"| | {columns[0]} | 95 % interval | {columns[1]} | {columns[2]} |"
    yield "|---|---|---|---|---|"
    for f, name in known:
        low, high = f.interval
        further = " | ".join(f"{100 * f.also[part][1]:.2f}" for part in ("seven classes", "unfiltered"))
        yield f"| {name} | {100 * f.top1:.2f} | {100 * low:.2f}-{100 * high:.2f} | {further} |"


#: The tables of the page by the name of the comments around each.
PARTS = {"results": lines, "crowd": crowd}


def check(data: Path) -> None:
    """Score every shipped file again on the splits whose predictions are committed.

    Raises:
        SystemExit: a file says something else than its predictions.
    """
    source = tables.read(data)
    for name in models.installed():
        model = models.load(name)
        for path in sorted(TABLES.glob(f"{name}-{source.info.name}-*.parquet")):
            stored = predictions.read(path)
            if stored.provenance["data_fingerprint"] != source.fingerprint:
                raise SystemExit(f"{path.name} is about other data than {data}")
            part = source.split(stored.split)
            found = predictions.answers(model, part)
            for a in stored.scores:
                largest = float(np.abs(a.probabilities - found[a.output]).max())
                if a.rows.tolist() != part.rows.tolist() or largest > TOLERANCE:
                    raise SystemExit(f"{path.name}: {a.output} differs from the file by up to {largest:.2g}")
                print(f"{path.name}, {a.output}: the file says the same within {largest:.1g}")


def main() -> None:
    """Check what there is data for, then write the tables into the page."""
    parser = recording.parser(__doc__, data=False, record=False)
    asked = parser.parse_args()
    if asked.data:
        check(asked.data)
    for name, made in PARTS.items():
        table = "\n".join(made())
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.partition(start)[0], text.partition(end)[2]
        PAGE.write_text(f"{before}{start}\n{table}\n{end}{after}", encoding="utf-8")
        print(table)


if __name__ == "__main__":
    main()
