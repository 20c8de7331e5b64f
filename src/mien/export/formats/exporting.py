"""One model file into a format, through the gate; or into all of them, with the table of what came of it."""

from __future__ import annotations

import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien import files
from mien.data import protocol
from mien.data.table import Table
from mien.errors import ExportError, MissingExtraError, WriteError
from mien.evaluate.predictions import Scorer
from mien.export.formats.base import Format, Source
from mien.export.formats.parity import OutputParity, Parity, judge
from mien.models import Model
from mien.runs import processor
from mien.runtime import onnxruntime

_ROUNDS = 30


@dataclass(frozen=True)
class Row:
    """What came of one format.

    Attributes:
        title: of the format.
        status: ``passed``; ``built, not run``; ``failed``; ``not installed``.
        runtime: name and version of what ran it; "" where nothing did.
        size: bytes, of all files together, of C source those of the program; 0 where none was written.
        parity: what the gate found; None where it was not asked.
        milliseconds: for one face on one thread, median; None where it was not run.
        reference: the same of the model file in ONNX Runtime, in turns with it.
        reason: in one line, why it did not pass.
        path: what was written.
    """

    title: str
    status: str
    runtime: str = ""
    size: int = 0
    parity: Parity | None = None
    milliseconds: float | None = None
    reference: float | None = None
    reason: str = ""
    path: Path | None = None


def dealt(file: Path, table: Table) -> Table:
    """The table that a model file was trained on, with the protocol of its recipe applied.

    Raises:
        ExportError: it was trained on another.
    """
    card = Source(file).card
    if card.data.get("fingerprint") != table.fingerprint:
        raise ExportError(f"{file} was trained on other data than this table: leave --data out, or name that table")
    folds = {key: number for key, number in card.recipe.get("data", {}).items() if key in {"folds", "fold"}}
    return protocol.apply(table, str(card.data.get("protocol", "official")), **folds)


def export(file: Path, form: Format, out: Path, table: Table | None = None, *, overwrite: bool = False) -> Row:
    """Write a model file in another format, if it says there what it says here.

    Args:
        file: the ``.onnx`` file.
        form: one of :data:`mien.export.formats.FORMATS`.
        out: the file or folder to write.
        table: whose validation and test faces it is asked about, the protocol of the file's recipe applied; None asks
            about the golden crop and faces made from it.
        overwrite: replace what is there.

    Returns:
        What the gate found.

    Raises:
        ExportError: the format does not express the network, or answers otherwise than the gate allows; nothing is
            written.
        MissingExtraError: what converts or runs it is not installed.
        WriteError: it cannot be written.
    """
    source, reference = Source(file), Model(file, threads=1)
    if out.exists() and not overwrite:
        raise WriteError(f"cannot write {out}: it is there already; add --overwrite, or name another place by -o")
    if not out.absolute().parent.is_dir():
        raise WriteError(f"cannot write {out}: the folder {out.parent} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"model{form.suffix}"
        form.convert(source, place)
        size = sum(one.stat().st_size for one in _files(place))
        scorer = form.open(place, source.card)
        row = Row(form.title, "built, not run", form.runtime(), size, path=out)
        if scorer is not None:
            parity = judge(reference, scorer, table, form.faces)
            if faults := parity.faults():
                raise ExportError(f"{form.title} is not written: {'; '.join(faults)}")
            theirs, ours = _milliseconds(reference, scorer)
            size = getattr(scorer, "size", size)
            row = Row(form.title, "passed", form.runtime(), size, parity, ours, theirs, path=out)
        _put(place, out)
    return row


def export_all(
    file: Path, forms: Iterable[Format], folder: Path, name: str, table: Table | None = None, *, overwrite: bool = False
) -> list[Row]:
    """Write a model file in every format that works out; the others get a row that says why not.

    Args:
        file: the ``.onnx`` file.
        forms: which formats.
        folder: that the files go into; made where it is not there.
        name: what they are called, before each format's suffix.
        table: as of :func:`export`.
        overwrite: replace what is there.

    Raises:
        ModelError: the file is damaged.
        WriteError: a file cannot be written.
    """
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for form in forms:
        try:
            rows.append(export(file, form, folder / f"{name}{form.suffix}", table, overwrite=overwrite))
        except MissingExtraError as error:
            rows.append(Row(form.title, "not installed", reason=str(error)))
        except ExportError as error:
            rows.append(Row(form.title, "failed", reason=str(error)))
    return rows


def to_markdown(file: Path, rows: Sequence[Row]) -> str:
    """The table: a row for each format, and below it what was compared and where it was timed."""
    size = file.stat().st_size
    lines = [
        "| format | status | MB | agreement, % | change of accuracy, points (95 %) | largest difference, p99"
        " | ms | of ONNX Runtime's | runtime |",
        "|---|---|---|---|---|---|---|---|---|",
        f"| ONNX | the model file | {size / 1e6:.2f} | | | | | 1.00 | onnxruntime {onnxruntime.__version__} |",
    ]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    compared = next((row.parity.faces for row in rows if row.parity), "none")
    lines += ["", f"Faces: {compared}; agreement is the least of all outputs, accuracy is the first output's."]
    fewer = {row.title: row.parity.faces for row in rows if row.parity and row.parity.faces != compared}
    lines += [f"{title}: {told}." for title, told in fewer.items()]
    lines += [f"{row.title}: {row.reason}." for row in rows if row.reason]
    where = ", ".join(filter(None, (platform.system(), platform.machine(), processor())))
    lines += [f"Machine: {where}; one face, one thread, median, in turns with ONNX Runtime."]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    size = f"{row.size / 1e6:.2f}" if row.size else ""
    if row.parity is None or row.milliseconds is None or row.reference is None:
        return [row.title, row.status, size, "", "", "", "", "", row.runtime]
    worst = min(row.parity.outputs, key=lambda one: one.agreement)
    largest, percentile = (max(getattr(one, of) for one in row.parity.outputs) for of in ("largest", "percentile"))
    return [
        row.title,
        row.status,
        size,
        f"{100 * worst.agreement:.2f} (n = {worst.faces:,})",
        _change(row.parity.outputs[0]),
        f"{largest:.2g}, {percentile:.2g}",
        f"{row.milliseconds:.2f}",
        f"{row.milliseconds / row.reference:.2f}",
        row.runtime,
    ]


def _change(one: OutputParity) -> str:
    if one.change is None or one.interval is None:
        return "no labels"
    low, high = one.interval
    return f"{one.change:+.2f} ({low:+.2f} to {high:+.2f}, n = {one.labelled:,})"


def _milliseconds(reference: Scorer, scorer: Scorer) -> tuple[float, float]:
    """For one face, medians of both, in turns; what takes a process to start is asked about many faces at once."""
    several = 50 if getattr(scorer, "starts", False) else 1
    crops = reference.card.golden_crop()[None]
    taken: list[list[float]] = [[], []]
    for turn in range(_ROUNDS // several + 3):
        for place, (one, count) in enumerate(((reference, 1), (scorer, several))):
            faces = crops.repeat(count, axis=0)
            began = time.perf_counter()
            one.score(faces)
            if turn:  # the first warms up
                taken[place].append(1000 * (time.perf_counter() - began) / count)
    return statistics.median(taken[0]), statistics.median(taken[1])


def _files(place: Path) -> list[Path]:
    return [one for one in place.rglob("*") if one.is_file()] if place.is_dir() else [place]


def _put(place: Path, out: Path) -> None:
    """Give what was made its name, whole."""
    if not place.is_dir():
        files.write(out, place.read_bytes())
        return
    with files.explained(out), tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}-") as near:
        made = Path(near) / "made"
        shutil.copytree(place, made)
        if out.is_symlink() or out.is_file():
            raise WriteError(f"cannot write {out}: it is no folder; name another place by -o")
        if out.exists():
            out.rename(Path(near) / "before")
        made.rename(out)
