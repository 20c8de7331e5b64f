"""``mien batch``: very many pictures, on all cores or a cluster, into sharded Parquet."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import notices
from mien.cli.folders import say_left_out
from mien.cli.interruption import stoppable
from mien.cli.notices import counted


def batch(
    sources: Annotated[list[str], typer.Argument(help="Folders, pictures, videos, archives.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The job's folder.")],
    model: Annotated[str | None, typer.Option(help="An installed model or a model file; see mien models.")] = None,
    detector: Annotated[str, typer.Option(help="auto, yunet, haar, ...; see mien predict.")] = "auto",
    search: Annotated[str, typer.Option(help="auto, full or quick; see mien predict.")] = "auto",
    align: Annotated[bool, typer.Option(help="Turn tilted faces upright first.")] = False,
    min_size: Annotated[float, typer.Option(min=0, help="Leave out faces smaller than this many pixels a side.")] = 0,
    error_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Answer unsure rather than be wrong more often; see mien predict."),
    ] = None,
    prior: Annotated[str | None, typer.Option(help="natural, balanced or a JSON file; see mien predict.")] = None,
    stride: Annotated[int, typer.Option(min=1, help="Process every N-th frame of videos.", metavar="N")] = 1,
    smooth: Annotated[float, typer.Option(min=0, help="Average probabilities over this many seconds.")] = 0.4,
    shard: Annotated[int, typer.Option(min=1, help="Sources per shard; a killed worker repeats its shard.")] = 500,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes, one core each; all cores if left out.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; auto: the one on this machine.")
    ] = None,
) -> None:
    """Read very many pictures. Called again, it continues where it stopped.

    Exit code 0: all read; 1: some could not be read, now or before, see failures.csv; 2: none could, or the job
    stopped.
    """
    from mien.batch import Done, Job, list_sources, run

    job = Job(model, detector, align, min_size, error_rate, stride, smooth, shard, prior, search)
    found = list_sources(sources)
    with stoppable(lambda: f"finished shards are kept in {output}, the same command continues"), ExitStack() as bar:
        tell = bar.enter_context(notices.progress("reading shards"))
        for news in run(found, output, job, address=address, workers=workers):
            if not isinstance(news, Done):
                tell(*news)
                continue
            bar.close()
            print(f"{output}: {news.shards:,} shards, {news.read:,} read now")
            if news.read:
                print(
                    f"{news.pictures:,} pictures, {news.faces:,} faces, {news.failed:,} failed in {news.seconds:.1f} s"
                    f" by {news.workers} workers: {news.pictures_per_second_and_core:.1f} pictures a second and core"
                )
            say_left_out(sources)
            notices.done(counted(news.shards, "shard"))
            if news.failures:
                nothing = news.read == news.shards and news.failed == news.pictures
                raise typer.Exit(2 if nothing else 1)
