"""The list of the board: which systems there are, what was published of them, and which run is each cell's.

The list is data: ``systems.yaml`` beside this file, or any other of that form, so a row is added without code. Owns the
words of the list and the commands of its cells. Refuses to look at runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.errors import DataError
from mien.recipes.commands import train_command

#: What stands beside a published figure whose own source is not at hand.
QUOTED = "as quoted by the paper"
_Text = Annotated[str, Field(min_length=1)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Part):
    """A figure as somebody else states it."""

    figure: _Text
    """In percent, as printed there."""
    data: _Text
    """The data set and split it is about, as quoted there."""
    source: _Text = QUOTED
    """Who says so; the paper is the one that this project implements (docs/paper.md)."""
    means: str = ""
    """What it is worth, as far as is known."""


class Step(_Part):
    """A command that has to be run before a cell's own."""

    command: _Text
    makes: _Text
    """The file or folder that is there afterwards."""


class Cell(_Part):
    """One system as a run: of a recipe, of its folds, or an ensemble of runs."""

    name: _Text
    run: _Name
    """Its folder within the folder of runs."""
    recipe: str | None = None
    """A shipped recipe's name, or a path that ends in ``.yaml``."""
    changes: tuple[str, ...] = Field((), alias="set")
    """``path=value`` each, as ``mien train --set`` takes them."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Cross-validated with that many."""
    ensemble: tuple[_Name, ...] = ()
    """Folders of its members."""
    data: str | None = None
    """The table it is trained on, where that is not the board's."""
    before: tuple[Step, ...] = ()
    needs: str = ""
    """What is wanted beyond the data and a processor."""

    @model_validator(mode="after")
    def _consistent(self) -> Cell:
        if bool(self.recipe) == bool(self.ensemble):
            raise ValueError("say either recipe or ensemble")
        if self.ensemble and (self.changes or self.folds or self.data):
            raise ValueError("an ensemble has neither set nor folds nor data")
        return self

    def command(self, runs: Path, data: str) -> str:
        """What makes the run; ``data`` is the board's table."""
        table, out = self.data or data, str(runs / self.run)
        if self.ensemble:
            return shlex.join(["mien", "ensemble", *(str(runs / m) for m in self.ensemble), "--data", table, "-o", out])
        assert self.recipe
        return train_command(self.recipe, self.changes, table, out, self.folds)


class Further(_Part):
    """What a system does besides a figure on the board's table: a command that shows it."""

    name: _Text
    command: _Text
    needs: str = ""


class Row(_Part):
    """One system of the literature, with the runs that stand for it."""

    number: Annotated[int, Field(ge=1)]
    system: _Text
    does: _Text
    own: bool = False
    """It is this project's own, not the literature's."""
    published: tuple[Published, ...] = ()
    """Empty where no figure is quoted."""
    cells: Annotated[tuple[Cell, ...], Field(min_length=1)]
    further: tuple[Further, ...] = ()


class BoardList(_Part):
    """The whole list."""

    data: str = "fer2013.parquet"
    """What commands call the table where none is given."""
    label_set: str = "fer2013"
    """The labels that figures are about."""
    splits: Mapping[str, str] = {}
    """What readers know validation and test as."""
    faces: Mapping[str, Annotated[int, Field(ge=1)]] = {}
    """Rows of each split of the whole data set, which published figures are about."""
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> BoardList:
        numbers = [row.number for row in self.rows]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"rows: each number once, not {', '.join(map(str, numbers))}")
        makes: dict[str, tuple[object, ...]] = {}
        for cell in (cell for row in self.rows for cell in row.cells):
            made = (cell.recipe, cell.changes, cell.folds, cell.ensemble, cell.data)
            if makes.setdefault(cell.run, made) != made:
                raise ValueError(f"two cells make the run {cell.run!r} in different ways: give one another name")
        return self


def read(path: str | Path | None = None) -> BoardList:
    """Read a list.

    Args:
        path: of a YAML file; None: the one that comes with mien.

    Raises:
        DataError: it cannot be read, or has faults, all of which the message names.
    """
    try:
        file = Path(path) if path else resources.files("mien.literature") / "systems.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the board's list {path}: {error}") from error
    except yaml.YAMLError as error:
        raise DataError(f"the board's list {path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return BoardList.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'list'}: {f['msg']}" for f in error.errors())
        raise DataError(f"the board's list {path or 'of mien'} has {error.error_count()} fault(s): {faults}") from error
