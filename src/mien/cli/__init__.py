"""The ``mien`` command: one file per verb, found here by name.

Exit codes: 0 all done; 1 some inputs failed and were reported, the rest is done; 2 nothing could be done; 130
interrupted by Ctrl-C; 143 ended by SIGTERM, once temporary files are removed and helpers ended.
Verb files import what is heavy inside their functions, so that ``mien --help`` stays quick.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from mien.cli import (
    batch,
    bench,
    board,
    compare,
    crossval,
    data,
    ensemble,
    evaluate,
    explain,
    export,
    matrix,
    models,
    predict,
    recipes,
    report,
    serve,
    sheet,
    train,
    tune,
    watch,
)
from mien.cli.app import app as write_app
from mien.cli.standard_output import Watched
from mien.cli.verbs import Verb, Verbs, panel_of
from mien.errors import MienError

app = typer.Typer(
    name="mien",
    cls=Verbs,
    help="Read facial expressions in pictures and videos; train networks for it and measure them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _group in (("data", data.app), ("recipes", recipes.app), ("models", models.app)):
    app.add_typer(_group, name=_name, rich_help_panel=panel_of(_name))
for _verb in (
    predict.predict,
    watch.watch,
    serve.serve,
    batch.batch,
    bench.bench,
    train.train,
    tune.tune,
    crossval.crossval,
    evaluate.evaluate,
    report.report,
    compare.compare,
    ensemble.ensemble,
    matrix.matrix,
    board.board,
    sheet.sheet,
    explain.explain,
    export.export,
):
    app.command(_verb.__name__, cls=Verb, rich_help_panel=panel_of(_verb.__name__))(_verb)
app.command("app", cls=Verb, rich_help_panel=panel_of("app"))(write_app)


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


def _terminated(number: int, _: object) -> None:
    """Leave as an exception does, so that everything that is open is closed; the second time at once."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)


def main() -> None:
    """Run the command; mien's own errors become one line on stderr and exit code 2."""
    output = Watched()
    code: int = 0
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except KeyboardInterrupt:  # outside of what the command itself does
        code = 130
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        code = 2
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except OSError:
        if not output.failed:
            raise
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(output.finish(code))
