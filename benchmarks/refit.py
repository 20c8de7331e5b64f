"""Renew the shipped files' answer, and everything in the documents that states their figures. One command for all.

    python benchmarks/refit.py fer2013.parquet --note 'WHY'     # models, predictions, ledger, figures, model pages
    python benchmarks/refit.py fer2013.parquet --note 'WHY' --only fast --no-pages

Each file keeps its heads bit for bit; the answer fused from both is fitted again on validation (``mien export NAME``).
Then validation and test are scored, figures go into card, ``docs/predictions`` and the table of ``docs/figures.md``,
each look at the test split into the ledger, and ``docs/models/NAME.md`` is written anew with the note it had.
``resnet50``, a file of card format 1, is left as it is. A file that comes out as it was is not scored again.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import recording

from mien import models
from mien.cli.models import card as write_page
from mien.data import table as tables
from mien.evaluate import metrics, predictions
from mien.evaluate.ledger import Ledger
from mien.export import cards, revise

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FIGURES = DOCS / "figures.md"
FILES = ("default", "fast", "ensemble")


def scored(file: Path, source: tables.Table, why: str) -> None:
    """Both splits into predictions, card and ledger."""
    model = models.load(file)
    about = {"source_fingerprint": source.fingerprint, "protocol": "official", "mark": ""}
    for split in ("validation", "test"):
        ledger = Ledger(DOCS / "test-ledger.csv", why) if split == "test" else None
        found = predictions.predict(model, source, split, ledger=ledger, about=about)
        predictions.write(found, DOCS / "predictions" / f"{file.stem}-{source.info.name}-{split}.parquet")
        revise.record_metrics(file, found)


def note_of(page: Path) -> str:
    """What a page says between its outputs and its figures."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = re.search(r"\n- `probabilities[^\n]*\n\n((?!## )[^\n]+)\n\n## Figures", text)
    return found[1] if found else ""


def figure_rows() -> list[str]:
    """The lines of the table of figures, from the committed predictions."""
    rows = []
    for name in models.installed():
        for split in ("test", "validation"):
            for scores in predictions.read(DOCS / "predictions" / f"{name}-fer2013-{split}.parquet").scores:
                f = cards.summary(metrics.measure(scores))
                low, high = f["interval95"]
                rows.append(
                    f"| {name} | {split}, {scores.label_set} | {f['n']:,} | {f['top1']:g} | {low:g}–{high:g} |"
                    f" {f['balanced_accuracy']:g} | {f['macro_f1']:g} | {f['ece']:g} |"
                )
    return rows


def write_figures() -> None:
    """Put the lines in place of those that are there."""
    lines = FIGURES.read_text(encoding="utf-8").splitlines()
    names = tuple(f"| {name} | {split}," for name in models.installed() for split in ("test", "validation"))
    places = [k for k, line in enumerate(lines) if line.startswith(names)]
    lines[places[0] : places[-1] + 1] = figure_rows()
    FIGURES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Renew, score, document."""
    parser = recording.parser(__doc__, data=True, record=False)
    parser.add_argument("--note", required=True, help="why the test split is scored, for the ledger")
    parser.add_argument("--only", choices=FILES, action="append")
    parser.add_argument("--pages", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    source = tables.read(asked.data)
    for name in asked.only or FILES:
        file = models.find(name)
        before = models.read_card(file).graph_sha256
        if revise.renew(file, source, file).card.graph_sha256 != before:
            scored(file, source, asked.note)
        print(f"{file}: {models.read_card(file).outputs['probabilities'].metrics}")
    write_figures()
    for name in (asked.only or FILES) if asked.pages else ():
        page = DOCS / "models" / f"{name}.md"
        told = [DOCS / "predictions" / f"{name}-{source.info.name}-{split}.parquet" for split in ("validation", "test")]
        write_page(name, asked.data, page, told, note_of(page))


if __name__ == "__main__":
    main()
