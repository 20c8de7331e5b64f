"""Options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mien.errors import DataError, WriteError
from mien.evaluate.ledger import Ledger, needed

LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", help="CSV file that records this use of the test split; needs --why.")
]
Why = Annotated[str, typer.Option("--why", help="Why the test split is scored.")]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by", help="Figures per group: a column of the table, or brightness, contrast, sharpness, size. Repeatable."
    ),
]
Bins = Annotated[
    int, typer.Option("--bins", min=2, max=20, help="Number of groups that numeric columns are cut into, by quantiles.")
]
Persons = Annotated[
    str | None,
    typer.Option(
        "--persons", help="Column of persons: intervals of groups resample whole persons; else groups of copies."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]


def ledger_for(split: str, file: Path | None, why: str) -> Ledger | None:
    """The ledger of ``--ledger`` and ``--why``; None for splits whose scoring is not kept.

    Raises:
        DataError: the split is test and there is none, or it is given for another split or by half.
    """
    if bool(file) != bool(why):
        raise DataError("--ledger FILE and --why 'REASON' go together")
    if file and split != "test":
        raise DataError("--ledger keeps looks at test faces: leave it out, or score the test split")
    found = Ledger(file, why) if file else None
    needed(split, found)
    return found


def check_free(*paths: Path, overwrite: bool, option: str) -> None:
    """Refuse to write over files that are there under names the user did not choose.

    Args:
        paths: that would be written.
        overwrite: the user's word that they may be replaced.
        option: that names another place.

    Raises:
        DataError: one is there.
        WriteError: one is a folder.
    """
    folder = next((path for path in paths if path.is_dir()), None)
    if folder:
        raise WriteError(f"cannot write {folder}: it is a folder; name another place by {option}")
    there = next((path for path in paths if path.exists() and not overwrite), None)
    if there:
        raise DataError(f"{there} is there already: add --overwrite, or name another place by {option}")


class Split(StrEnum):
    """The splits that can be scored."""

    train = "train"
    validation = "validation"
    test = "test"
