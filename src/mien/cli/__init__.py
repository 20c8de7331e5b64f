"""The ``mien`` command: one file per verb, found here by name.

Exit codes: 0 all done; 1 some inputs failed and were reported, the rest is done; 2 nothing could be done; 130
interrupted by Ctrl-C; 143 ended by SIGTERM, once temporary files are removed and helpers ended.
A verb's file is imported when the verb is called; it imports what is heavy inside its functions.
"""

from __future__ import annotations

import errno
import signal
import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from mien.cli import notices
from mien.cli.standard_output import Watched
from mien.cli.verbs import HELP_OPTIONS, Verbs
from mien.errors import MienError, MienWarning, shown

app = typer.Typer(
    name="mien",
    cls=Verbs,
    help="Read facial expressions in pictures and videos; train networks for it and measure them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)


def _print_version(asked: bool) -> None:
    if asked:
        from mien import __version__

        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Read facial expressions in pictures and videos; train networks for it and measure them."""
    notices.begin()


def _terminated(number: int, _: object) -> None:
    """Leave as an exception does, so that everything that is open is closed; the second time at once."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)


@contextmanager
def _notes() -> Generator[None, None, None]:
    """Show mien's warnings as notes of one line, each once; others stay what they are."""
    said: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, MienWarning):
                show(message, category, filename, lineno, file, line)
            elif str(message) not in said:
                said.add(str(message))
                notices.note(str(message))

        warnings.showwarning = note
        warnings.simplefilter("always", MienWarning)
        yield


def main() -> None:
    """Run the command; mien's own errors become one line on stderr and exit code 2."""
    output = Watched()
    code: int = 0
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        with _notes():
            app()
    except KeyboardInterrupt:  # outside of what the command itself does
        code = 130
    except MienError as error:
        if notices.is_verbose():
            traceback.print_exc()
        notices.tell(error, kept="\n")
        code = 2
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # which looking whether a file is there already raises
            notices.tell(f"{error.strerror}: '{shown(error.filename)}'")
            code = 2
        elif not output.failed:
            raise
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(output.finish(code))
