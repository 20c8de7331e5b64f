"""The paper's Table 2 and what transfer brings: which cells were run, their figures, and the command of the others.

    python benchmarks/paper.py             # reads runs/, keeps figures in benchmarks/paper.json, prints Markdown
    python benchmarks/paper.py --commands  # prints the commands of all cells, one a line

A cell is one run folder. Validation (PublicTest) chose its epoch; the test figure (PrivateTest) is there once
``mien evaluate RUN/model.onnx --split test --predictions RUN/predictions/test.parquet`` has scored it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recording

RECORD = Path(__file__).with_suffix(".json")
PLAIN = "--set 'stages.*.augmentation={}'"


@dataclass(frozen=True)
class Cell:
    """One run: what it starts from, how long it trains, with augmentation or without, and its command."""

    start: str
    length: str
    augmentation: str
    run: str
    options: str

    @property
    def command(self) -> str:
        """What runs it."""
        return f"mien train {self.options} --data fer2013.parquet -o {self.run}"


def _cells() -> list[Cell]:
    found = []
    for start, recipe in (
        ("ImageNet", "paper-imagenet"),
        ("Tiny ImageNet, pre-trained here", "paper-pretrained"),
        ("scratch", "paper-scratch"),
    ):
        for augmentation, option in (("without", f" {PLAIN}"), ("with", "")):
            run = f"runs/{recipe}" + ("" if augmentation == "with" else "-plain")
            found.append(Cell(start, "10 + 10 epochs", augmentation, run, recipe + option))
    run = "runs/paper-imagenet-long"
    found.append(Cell("ImageNet", "10 + up to 60, early stop", "with", run, "paper-imagenet-long"))
    longer = "paper-pretrained --set stages.1.epochs=60 --set stages.1.early_stop=8"
    run = "runs/paper-pretrained-long"
    found.append(Cell("Tiny ImageNet, pre-trained here", "10 + up to 60, early stop", "with", run, longer))
    found.append(Cell("scratch, small network, INVALID", "16 epochs", "without", "runs/oversampled", "oversampled"))
    honest = "oversampled --set data.protocol=official"
    found.append(Cell("scratch, the same network, official", "16 epochs", "without", "runs/not-oversampled", honest))
    return found


def _facts(cell: Cell) -> dict[str, Any] | None:
    """What a finished run says of itself; None where there is none."""
    from mien.evaluate import metrics, predictions
    from mien.models import read_card

    run = Path(cell.run)
    state = json.loads((run / "run.json").read_text()) if (run / "run.json").exists() else {}
    if state.get("state") != "finished" or not (run / "model.onnx").exists():
        return None
    card = read_card(run / "model.onnx")
    output = next(o for o in card.outputs.values() if o.label_set == "fer2013")
    facts = {
        "validation": {k: output.metrics["validation"][k] for k in ("n", "top1", "interval95")},
        "trained_on": state["validation_trained_on"],
        "protocol": state["protocol"],
        "seed": state["seed"],
        "epoch": card.training["best_epoch"],
        "seconds": state["seconds"],
        "images_per_second": state["images_per_second"],
        "hardware": f"{state['environment']['processor'] or state['environment']['device']},"
        f" {state['environment']['threads']} threads, {state['environment']['precision']}",
    }
    scored = run / "predictions" / "test.parquet"
    if scored.exists():
        measured = next(metrics.measure(s) for s in predictions.read(scored).scores if s.label_set == "fer2013")
        low, high = measured.interval
        shares = (100 * measured.top1, 100 * low, 100 * high)
        facts["test"] = {"n": measured.n, "top1": round(shares[0], 2), "interval95": [round(s, 2) for s in shares[1:]]}
    return facts


def _row(cell: Cell, facts: dict[str, Any] | None) -> str:
    if facts is None:
        return f"| {cell.start} | {cell.length} | {cell.augmentation} | not run here | | `{cell.command}` |"
    shown = []
    for split in ("validation", "test"):
        figure = facts.get(split)
        low, high = figure["interval95"] if figure else ("", "")
        shown.append(f"{figure['top1']} [{low}, {high}], n = {figure['n']:,}" if figure else "")
    copied = f"; {facts['trained_on']:.1%} of validation has an identical training copy"
    note = f"epoch {facts['epoch']}, seed {facts['seed']}, {facts['seconds'] / 60:.0f} min{copied}"
    return f"| {cell.start} | {cell.length} | {cell.augmentation} | {shown[0]} | {shown[1]} | {note} |"


def table(record: dict[str, Any]) -> str:
    """The Markdown table of all cells."""
    lines = [
        "| starts from | trains | augmentation | validation top-1 % | test top-1 % | |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(cell, record.get(cell.run)) for cell in _cells())])


def main() -> None:
    """Print the table, or the commands."""
    parser = recording.parser(__doc__, record=False)
    parser.add_argument("--commands", action="store_true")
    asked = parser.parse_args()
    cells = _cells()
    if asked.commands:
        print("\n".join(cell.command for cell in cells))
        return
    record = recording.read(RECORD) if RECORD.exists() else {}
    record |= {cell.run: facts for cell in cells if (facts := _facts(cell))}
    recording.write(RECORD, record, indent=2)
    print(table(record))


if __name__ == "__main__":
    main()
