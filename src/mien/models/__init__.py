"""A trained model as one file: ``card`` says what is in it, ``model`` runs it, and here is which ones there are."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from mien.errors import ModelError, shown
from mien.files import identity
from mien.models.card import Card, Golden, Output, detach
from mien.models.model import Model, read_file

__all__ = ["DEFAULT", "Card", "Golden", "Model", "Output", "find", "installed", "load", "read_card"]

#: The model that is used where none is named.
DEFAULT = "default"


def installed() -> dict[str, Path]:
    """Name and path of each model file that came with mien, found by listing their folder."""
    folder = Path(str(resources.files("mien.models") / "files"))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def find(name_or_path: str | Path | None = None) -> Path:
    """The path of an installed model by name, or of a model file.

    Raises:
        ModelError: there is no such model.
    """
    name = DEFAULT if name_or_path is None else str(name_or_path)
    shipped = installed()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if identity(path):  # which takes a name that is too long for a file, too
        return path
    near = get_close_matches(name, shipped, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"installed: {', '.join(shipped) or 'none'}"
    raise ModelError(f"no model '{shown(name)}', neither installed nor a file; {hint}")


def load(name_or_path: str | Path | None = None, *, threads: int | None = None, provider: str = "cpu") -> Model:
    """Load a model: an installed one by name, a model file by path, or the default.

    Raises:
        ModelError: there is no such model, its file is damaged, or there is no such provider.
    """
    return Model(find(name_or_path), threads=threads, provider=provider)


def read_card(name_or_path: str | Path | None = None) -> Card:
    """The card of a model, without loading its graph.

    Raises:
        ModelError: there is no such model, or its file is damaged.
    """
    path = find(name_or_path)
    return detach(read_file(path), where=str(path))[1]
