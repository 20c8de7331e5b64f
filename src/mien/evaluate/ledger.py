"""The ledger: a CSV with one row for every scoring of a test split, so that nobody can look more often than is told.

:func:`mien.evaluate.predictions.predict` scores test faces for every command, and does so only with a ledger, whose row
is written before anybody sees an answer. Reading answers that were stored needs no row.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mien import files
from mien.errors import DataError, WriteError

if TYPE_CHECKING:
    from mien.evaluate.predictions import Scores

COLUMNS = ("date", "model", "graph_sha256", "data_fingerprint", "label_set", "n", "top1", "why")


@dataclass(frozen=True)
class Ledger:
    """Where looks at a test split are kept, and why there is one now."""

    path: Path
    why: str

    def about(self, purpose: str) -> Self:
        """The same, with what the look is for in front of the reason: a protocol, a command."""
        return replace(self, why=f"{purpose}: {self.why}")

    def record(self, provenance: Mapping[str, Any], scores: Sequence[Scores]) -> None:
        """Add a row for each output.

        Args:
            provenance: of the predictions table.
            scores: of its outputs.

        Raises:
            WriteError: the ledger cannot be written.
        """
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        rows: list[tuple[object, ...]] = []
        for one in scores:
            part = one.labelled()
            right = (part.probabilities.argmax(axis=1) == part.truth).sum()
            top1 = f"{100 * right / len(part.truth):.2f}" if len(part.truth) else ""
            facts = (provenance["model"], provenance.get("graph_sha256", ""), provenance["data_fingerprint"])
            rows.append((today, *facts, one.label_set, len(part.truth), top1, self.why))
        text = io.StringIO()
        if not self.path.parent.is_dir():
            raise WriteError(f"cannot write the ledger {self.path}: the folder {self.path.parent} does not exist")
        with files.alone(self.path), files.explained(self.path):
            kept = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            text.write(kept if not kept or kept.endswith("\n") else f"{kept}\n")
            csv.writer(text, lineterminator="\n").writerows(rows if kept else [COLUMNS, *rows])
            files.write(self.path, text.getvalue())


def needed(split: str, ledger: Ledger | None) -> None:
    """Refuse to score a test split that no ledger keeps.

    Raises:
        DataError: it is one, and there is no ledger.
    """
    if split == "test" and ledger is None:
        raise DataError("each scoring of the test split is kept in a ledger: add --ledger FILE --why 'REASON'")
