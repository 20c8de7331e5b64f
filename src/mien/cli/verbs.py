"""How the command line behaves as a whole: the order of the verbs in the help, and options under their old names."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

#: Help panel to its verbs, both in the order in which the help shows them.
PANELS = {
    "Read": ("predict", "watch", "serve", "app", "batch", "bench"),
    "Train": ("train", "tune", "crossval", "recipes"),
    "Measure": ("evaluate", "report", "compare", "ensemble", "matrix", "board", "sheet", "explain"),
    "Data": ("data",),
    "Models": ("models", "export"),
}

#: Old name to new one, of options that were renamed. Old ones work until the release after the one that renamed them.
RENAMED = {"--out": "--output", "--every": "--stride"}


def panel_of(verb: str) -> str:
    """The help panel of a verb."""
    return next(panel for panel, verbs in PANELS.items() if verb in verbs)


class Verbs(TyperGroup):
    """Lists its commands in the order of :data:`PANELS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        order = [verb for verbs in PANELS.values() for verb in verbs]
        return sorted(super().list_commands(ctx), key=lambda name: order.index(name) if name in order else len(order))


class Verb(TyperCommand):
    """A command that still takes options under their old names and says what they are called now."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        known = {name for parameter in self.params for name in parameter.opts}
        renamed = {old: new for old, new in RENAMED.items() if new in known and old not in known}
        words: list[str] = []
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
                print(f"mien: note: {name} is now {new}; the old name goes with the next release", file=sys.stderr)
            words.append(f"{new or name}{equals}{value}")
        return super().parse_args(ctx, words)
