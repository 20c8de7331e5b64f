"""The site of these pages: ``make docs`` writes it to build/site, without a network and strict about every link.

The command line's reference is generated from its help, the Python one from its docstrings.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer
from sphinx.application import Sphinx

from mien.cli import app

HERE = Path(__file__).parent

project = "mien"
author = "the mien developers"
html_title = "mien"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["models/files"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_static_path: list[str] = []
html_show_sphinx = False
html_copy_source = False
highlight_language = "none"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def write_command_line(_app: object) -> None:
    """``reference/command-line.md`` from the help of every command."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "mien.cli", "utils", "docs", "--name", "mien", "--title", "Command line"],
        capture_output=True,
        text=True,
        check=True,
    )
    text = re.sub(r"(?m)^```console$", "```", done.stdout)
    for command in _commands(typer.main.get_command(app)):
        cut, whole = (command.get_short_help_str(limit) for limit in (45, 400))
        text = text.replace(f": {html.escape(cut)}\n", f": {html.escape(whole)}\n")
    (HERE / "reference" / "command-line.md").write_text(text, encoding="utf-8")


def _commands(command: click.Command) -> Iterator[click.Command]:
    """All commands below one, their groups too."""
    for below in getattr(command, "commands", {}).values():
        yield below
        yield from _commands(below)


def setup(app: Sphinx) -> None:
    """Write the generated page before Sphinx reads the sources."""
    app.connect("builder-inited", write_command_line)
