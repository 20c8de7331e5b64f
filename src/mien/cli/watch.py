"""``mien watch``: a camera, stream or video in a window, with what is read drawn on it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from mien.cli import notices
from mien.cli.interruption import interruptible
from mien.cli.predict_copies import local_files
from mien.files import keep_inputs

if TYPE_CHECKING:
    from mien.outputs.tables import File
    from mien.outputs.viewer import Sight
    from mien.recognizer import Recognizer
    from mien.sources.source_frame import SourceFrame
    from mien.tracking.options import TrackingOptions


def watch(
    source: Annotated[str, typer.Argument(help="camera:0, an rtsp:// or http(s):// address, or a video.")] = "camera:0",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write a table: .csv, .jsonl, ...")] = None,
    smooth: Annotated[float, typer.Option(min=0, help="Average probabilities over this many seconds; 0: off.")] = 0.4,
    charts: Annotated[bool, typer.Option(help="Show all probabilities beside each face.")] = True,
    mirror: Annotated[bool, typer.Option(help="Show the picture as a mirror does.")] = False,
    detector: Annotated[str, typer.Option(help="auto, yunet, haar, ...; see mien predict.")] = "auto",
    search: Annotated[str, typer.Option(help="auto, full or quick; see mien predict.")] = "auto",
    model: Annotated[str | None, typer.Option(help="An installed model or a model file; see mien models.")] = None,
    error_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Answer unsure rather than be wrong more often; see mien predict."),
    ] = None,
    prior: Annotated[str | None, typer.Option(help="natural, balanced or a JSON file; see mien predict.")] = None,
) -> None:
    """Watch faces in a window. Escape, Q or closing the window ends it, as does Ctrl-C.

    Exit code 0; 130 where Ctrl-C broke off a video before its end; 2: the source cannot be read.
    """
    from mien.errors import SourceError
    from mien.outputs.tables import File
    from mien.outputs.viewer import show
    from mien.recognizer import Recognizer
    from mien.sources.sources import is_live
    from mien.tracking.options import TrackingOptions

    recognizer = Recognizer(model, detector, error_rate=error_rate, search=search, prior=prior)
    keep_inputs([*local_files([source]), model], output)
    labels = list(next(iter(recognizer.model.card.outputs.values())).labels)
    lost: SourceError | None = None
    whole = False

    def shown() -> Iterator[Sight]:
        nonlocal whole
        yield from sights(recognizer, source, following, table, charts=charts, mirror=mirror)
        whole = True

    with ExitStack() as closing, interruptible(output) as reached:
        table = closing.enter_context(File(output, labels)) if output else None
        following = TrackingOptions(smooth=smooth)
        try:
            show(f"mien: {source}", shown)
        except SourceError as error:
            if not (table and table.written):
                raise
            lost = error  # raised once the table is closed: what was seen until then is kept
    if lost:
        notices.note(f"{output} holds what was read until then")
        raise lost
    if is_live(source):
        return
    if reached.interrupted:
        raise typer.Exit(130)
    if output and not whole:
        notices.note(f"the window was closed before the end: {output} holds what was read so far")


def sights(
    recognizer: Recognizer, source: str, following: TrackingOptions, table: File | None, *, charts: bool, mirror: bool
) -> Iterator[Sight]:
    """What the window shows: annotated pictures, and how fast they come.

    A video is shown no faster than it was taken.

    Raises:
        SourceError: the source cannot be opened or gives no more pictures.
    """
    from mien.errors import SourceError
    from mien.outputs.draw import annotate
    from mien.sources.sources import ReadOptions, source_frames

    times: deque[float] = deque(maxlen=30)
    began: float | None = None
    taken = source_frames(source, ReadOptions(private=True))
    for source_frame, frame in recognizer.read(map(_mirrored, taken) if mirror else taken, following):
        if source_frame.pixels is None and source_frame.index is None:
            raise SourceError(frame.error or f"{source}: cannot be read")
        if table:
            table.write(frame)
        if source_frame.pixels is None:
            continue  # one damaged frame of many
        now = time.monotonic()
        began = now - (source_frame.time or 0.0) if began is None else began
        if not source_frame.live and source_frame.time is not None:
            time.sleep(max(began + source_frame.time - now, 0.0))
        times.append(time.monotonic())
        rate = (len(times) - 1) / max(times[-1] - times[0], 1e-6) if len(times) > 1 else 0.0
        drawn = annotate(source_frame.pixels, frame, charts=charts)
        faces = "1 face" if len(frame.faces) == 1 else f"{len(frame.faces)} faces"
        text = f"{rate:.0f} frames/s, {faces} ({frame.detector}, {frame.model})"
        yield drawn, text


def _mirrored(source_frame: SourceFrame) -> SourceFrame:
    return (
        source_frame
        if source_frame.pixels is None
        else replace(source_frame, pixels=np.ascontiguousarray(source_frame.pixels[:, ::-1]))
    )
