"""What a board measured, kept in a file: cells stay filled when their run folders are gone.

Run folders are large and live on one machine; the record is small and can be committed beside the page. Owns the form
of the file, and which of its entries still stand: those of the same data whose cell asks for the same as when it was
filled. Refuses to measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mien.errors import DataError
from mien.literature.cell import Filled, Measured


class Kept(BaseModel):
    """One filled cell.

    Attributes:
        asked: the command that the list had for the cell, whatever runs and data are called.
        measured: what its run said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    asked: str
    measured: Measured


class Record(BaseModel):
    """The whole file.

    Attributes:
        data: fingerprint of the table that everything was measured on.
        cells: name of a run to what it measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    cells: dict[str, Kept] = {}

    def filling(self, cells: Sequence[Filled]) -> list[Filled]:
        """The cells, with those whose run is not there, or begun anew, as they were when they had one."""
        return [self._filled(cell) if cell.state in {"absent", "unfinished"} else cell for cell in cells]

    def _filled(self, cell: Filled) -> Filled:
        kept = self.cells.get(cell.cell.run)
        if kept is None or kept.asked != _asked(cell):
            return cell
        return replace(cell, state="finished", recorded=True, **vars(kept.measured))

    def updated(self, cells: Sequence[Filled]) -> Record:
        """With what the runs at hand measured in place of what is kept of them."""
        new = {cell.cell.run: self._kept(cell) for cell in cells if cell.state == "finished" and not cell.recorded}
        return Record(data=self.data, cells=dict(sorted((self.cells | new).items())))

    def _kept(self, cell: Filled) -> Kept:
        measured = Measured(**{field.name: getattr(cell, field.name) for field in fields(Measured)})
        before = self.cells.get(cell.cell.run)
        if before and cell.milliseconds is None and before.measured.validation == cell.validation:
            # The same run, not timed this time.
            measured = replace(measured, milliseconds=before.measured.milliseconds)
        return Kept(asked=_asked(cell), measured=measured)

    def encoded(self) -> bytes:
        """For the file."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def _asked(cell: Filled) -> str:
    return cell.cell.command(Path("runs"), "TABLE")


def read(path: Path, data: str) -> Record:
    """The record in a file; an empty one where there is no file yet.

    Args:
        path: of the JSON.
        data: fingerprint of the table at hand.

    Raises:
        DataError: it cannot be read, is no such record, or is of another table.
    """
    try:
        record = Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Record(data=data)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "it"
        raise DataError(f"{path} is no record of a board: {where}: {fault['msg']}") from error
    if record.data != data:
        raise DataError(f"{path} was measured on another table ({record.data[:12]}) than this one ({data[:12]})")
    return record
