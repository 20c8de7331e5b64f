"""How the command line behaves as a whole: the order of the verbs in the help, and options under their old names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from mien.cli import notices

#: Help panel to its verbs, and each verb's line in the list of them; both in the order in which the help shows them.
#: The line is the first one of the verb's own help, kept here so that the list needs no verb's file.
PANELS = {
    "Read": {
        "predict": "Read the expressions of the faces in pictures, videos and cameras.",
        "watch": "Watch faces in a window. Escape, Q or closing the window ends it, as does Ctrl-C.",
        "serve": "Serve a page and an HTTP API; on SIGTERM it answers open requests, then ends.",
        "app": "Write the browser app as a static site: camera, photos and videos read on the visitor's device alone.",
        "batch": "Read very many pictures. Called again, it continues where it stopped.",
        "bench": "Time each step on this machine: medians in milliseconds, and faces a second.",
    },
    "Train": {
        "train": "Train a network by a recipe; the run folder keeps everything, and a killed run loses at most one"
        " epoch.",
        "tune": "Train a recipe with each combination of values and rank them by validation; the test split is"
        " not read.",
        "crossval": "Train a recipe on all folds but one, for each fold in turn; the test split is not read.",
        "recipes": "List, show and copy the shipped recipes.",
    },
    "Measure": {
        "evaluate": "Measure a model file or a run: top-1 with interval, balanced accuracy, macro-F1, per class,"
        " calibration error.",
        "report": "Write one self-contained HTML page and its pictures for each run, with the spread over runs of one"
        " recipe.",
        "compare": "Rank by top-1; the exact McNemar test against the best, corrected after Holm, on the faces both"
        " answered.",
        "ensemble": "Choose members and weights by the validation loss; write predictions that mien compare takes.",
        "matrix": "Score each model on each table, labels matched by name, whatever data it was trained on.",
        "board": "Fill the board from runs: published figures beside ours, with speed, cost, and the command of each"
        " cell.",
        "sheet": "Show what a model says of faces it was not trained on, and print its top-1 on the whole split.",
        "explain": "Hide each region of a face in turn and show how far the odds of an expression fall.",
    },
    "Data": {"data": "Import, describe, audit, clean and pool data sets."},
    "Models": {
        "models": "List the installed models, show a model's card, or write it as a page.",
        "export": "Pack the best weights of a run into one .onnx file, calibrated on validation.",
    },
}
#: Files that are not called as their verb is; ``mien.cli.app`` is the whole command.
_FILES = {"app": "web_app"}
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

#: Old name to new one, of options that were renamed. Old ones work until the release after the one that renamed them.
RENAMED = {"--out": "--output", "--every": "--stride"}


class _Commands(Mapping[str, Any]):
    """The verbs by name; the file of each is imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        panel = next((panel for panel, verbs in PANELS.items() if name in verbs), None)
        if panel is None:
            raise KeyError(name)
        return _command(name, panel)

    def __iter__(self) -> Iterator[str]:
        return (name for verbs in PANELS.values() for name in verbs)

    def __len__(self) -> int:
        return sum(map(len, PANELS.values()))


@cache
def _command(name: str, panel: str) -> Any:
    module = import_module(f"mien.cli.{_FILES.get(name, name)}")
    app = getattr(module, "app", None)
    if not isinstance(app, typer.Typer):
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=HELP_OPTIONS)
        app.command(name, cls=Verb)(getattr(module, name))
    command = typer.main.get_command(app)
    _add_shared_options(command)
    command.name = name
    command.rich_help_panel = panel  # pyright: ignore[reportAttributeAccessIssue]  typer reads it
    return command


def _add_shared_options(command: Any) -> None:
    """Give a command, and each one below it, what :func:`mien.cli.notices.options` names."""
    inner = getattr(command, "commands", None)
    for one in inner.values() if inner else ():
        _add_shared_options(one)
    if not inner or command.invoke_without_command:
        holder = typer.Typer(add_completion=False)
        holder.command()(notices.options)
        command.params += typer.main.get_command(holder).params


class Verbs(TyperGroup):
    """The verbs of :data:`PANELS`, in their order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands()  # pyright: ignore[reportAttributeAccessIssue]  a dict is meant

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; it needs of the verbs only what :data:`PANELS` says."""
        commands = self.commands
        self.commands = {
            name: TyperCommand(name, help=line, rich_help_panel=panel)
            for panel, verbs in PANELS.items()
            for name, line in verbs.items()
        }
        try:
            super().format_help(ctx, formatter)
        finally:
            self.commands = commands


class Verb(TyperCommand):
    """A command that still takes options under their old names and says what they are called now."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        known = {name for parameter in self.params for name in parameter.opts}
        renamed = {old: new for old, new in RENAMED.items() if new in known and old not in known}
        words: list[str] = []
        renames: list[str] = []
        for place, word in enumerate(args):
            if word == "--":
                words += args[place:]
                break
            name, equals, value = word.partition("=")
            new = renamed.get(name)
            # What --output meant where it named a model's output, which is --head now.
            if name == "--output" and "--head" in known:
                named = value if equals else args[place + 1] if place + 1 < len(args) else ""
                new = "--head" if named.startswith("probabilities") and "." not in named and "/" not in named else None
            if new:
                renames.append(f"{name} is now {new}; the old name goes with the next release")
            words.append(f"{new or name}{equals}{value}")
        rest = super().parse_args(ctx, words)
        for rename in renames:  # now that it is known whether notes are wanted
            notices.note(rename)
        return rest
