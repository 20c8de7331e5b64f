"""The ``mien`` command: one file per verb, found here by name.

Exit codes: 0 all done; 1 some inputs failed and were reported, the rest is done; 2 nothing could be done; 130
interrupted by Ctrl-C.
Verb files import what is heavy inside their functions, so that ``mien --help`` stays quick.
"""

from __future__ import annotations

import sys

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
    sheet,
    train,
    tune,
    watch,
)
from mien.cli.standard_output import Watched
from mien.errors import MienError

app = typer.Typer(
    name="mien",
    help="Reads facial expressions: trains networks, measures them honestly, reads photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.command("predict")(predict.predict)
app.command("batch")(batch.batch)
app.command("watch")(watch.watch)
app.command("bench")(bench.bench)
app.add_typer(recipes.app, name="recipes")
app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("crossval")(crossval.crossval)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("ensemble")(ensemble.ensemble)
app.command("matrix")(matrix.matrix)
app.command("board")(board.board)
app.command("sheet")(sheet.sheet)
app.command("explain")(explain.explain)
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command; mien's own errors become one line on stderr and exit code 2."""
    output = Watched()
    code: int = 0
    try:
        app()
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        code = 2
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except OSError:
        if not output.failed:
            raise
    sys.exit(output.finish(code))
