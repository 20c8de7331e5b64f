"""What ``mien data`` prints: progress, counts, findings; loads what the tables need."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mien.data.audit import NEAR, NOT_A_FACE, Audit
from mien.data.describe import Description


@contextmanager
def progress_bar(task: str) -> Generator[Callable[[int, int], None], None, None]:
    """A progress bar on stderr, gone when the work is done."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        number = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(number, completed=done, total=total)


def say_written(paths: list[Path]) -> None:
    """Name the files that were written, on stderr."""
    for path in paths:
        typer.echo(f"wrote {path}", err=True)


def print_description(found: Description) -> None:
    """Counts per split and class, and what a reader has to know."""
    console = Console(highlight=False, markup=False)
    for label_set, splits in found.counts.items():
        grid = Table(title=f"{found.name}: {label_set} labels", title_justify="left")
        grid.add_column("")
        for split in (*splits, "all"):
            grid.add_column(split, justify="right")
        for label in next(iter(splits.values())):
            numbers = [counts[label] for counts in splits.values()]
            grid.add_row(label, *(f"{number:,}" for number in (*numbers, sum(numbers))))
        missing = list(found.unlabelled[label_set].values())
        if any(missing):
            grid.add_row("(none)", *(f"{number:,}" for number in (*missing, sum(missing))))
        grid.add_section()
        rows = list(found.rows.values())
        grid.add_row("all", *(f"{number:,}" for number in (*rows, sum(rows))))
        console.print(grid)
    for note in (*found.notes, *found.remarks):
        console.print(f"note: {note}", soft_wrap=True)
    for warning in found.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    official = "official splits" if found.official else "not the official splits"
    console.print(f"{found.source.get('file', '')}: {official}, fingerprint {found.fingerprint}", soft_wrap=True)


def print_audit(found: Audit) -> None:
    """Copies, blank pictures, non-faces and the crowd's agreement."""
    console = Console(highlight=False, markup=False)
    total = sum(found.rows.values())
    console.print(
        f"{found.name}: {total:,} pictures, {found.unique:,} different ones; {found.redundant:,} redundant"
        f" copies in {len(found.groups):,} groups, {len(found.conflicting):,} of them with conflicting labels",
        soft_wrap=True,
    )
    for title, copies in (("identical copies", found.exact), (f"near copies (cosine >= {NEAR})", found.near)):
        grid = Table(title=f"rows with {title}, in brackets with another label", title_justify="left")
        grid.add_column("rows of", no_wrap=True)
        for split in next(iter(copies.between.values())):
            grid.add_column("another split" if split == "elsewhere" else f"in {split}", justify="right")
        grid.add_column("share", justify="right")
        for split, counts in copies.between.items():
            cells = [f"{n:,} ({copies.relabelled[split][other]:,})" for other, n in counts.items()]
            grid.add_row(f"{split}, {found.rows[split]:,}", *cells, f"{copies.share[split]:.1%}")
        console.print(grid)
    console.print(f"blank pictures: {len(found.blank)}, {found.constant} of them of one grey throughout")
    if found.not_a_face is not None:
        console.print(f"{NOT_A_FACE} or more votes for not a face: {len(found.not_a_face)}")
    if found.ferplus:
        grid = Table(title="labels that agree with the FER+ majority", title_justify="left")
        grid.add_column("")
        for split, agreement in found.ferplus.items():
            grid.add_column(f"{split}\nn = {agreement.n:,}", justify="right")
        agreements = list(found.ferplus.values())
        for label in agreements[0].per_label:
            grid.add_row(label, *(_percent(agreement.per_label[label]) for agreement in agreements))
        grid.add_section()
        grid.add_row("all", *(_percent(agreement.agreement) for agreement in agreements))
        most = [f"{_percent(agreement.agreement_all)} of {agreement.n_all:,}" for agreement in agreements]
        grid.add_row("most votes", *most)
        console.print(grid)


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"
