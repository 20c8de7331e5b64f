"""``mien bench``: how fast this machine reads faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import notices

if TYPE_CHECKING:
    from mien.benchmark import Speed


def bench(
    picture: Annotated[
        Path | None, typer.Argument(help="A picture to measure with; else a generated one, 720p.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="An installed model or a model file; see mien models.")] = None,
    detector: Annotated[str, typer.Option(help="auto, yunet, haar, ...; see mien predict.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads of model and detector; all if left out.")
    ] = None,
    provider: Annotated[str, typer.Option(help="cpu, cuda, coreml, directml or openvino.")] = "cpu",
    rounds: Annotated[int, typer.Option(min=3, help="How often each step is timed.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time each step on this machine: medians in milliseconds, and faces a second."""
    from mien import benchmark
    from mien.recognizer import Recognizer
    from mien.sources.images import read

    recognizer = Recognizer(model, detector, threads, provider=provider)
    timed = None if picture is None else read(picture)
    with notices.doing("timing"):
        found = benchmark.measure(recognizer, timed, rounds=rounds)
    card = recognizer.model.card
    if as_json:
        told = {"model": f"{card.name} {card.version}", "detector": recognizer.detector.name, "provider": provider}
        print(json.dumps(told | {"threads": threads} | found.to_dict()))
    else:
        _print(
            f"{card.name} {card.version}, {recognizer.detector.name}, {provider}, threads: {threads or 'all'}", found
        )
    notices.done(f"{rounds} calls of each step")


def _print(title: str, found: Speed) -> None:
    print(title)
    print(f"picture {found.width}x{found.height}, faces found: {found.faces}")
    for says, value in (
        ("decode the JPEG", found.decode),
        ("find the faces", found.detect),
        ("follow them in a video", found.follow),
        ("cut out a face", found.crop),
        ("read a face", found.score),
        ("read a face, 64 at once", found.score_batch),
    ):
        print(f"{says:24} {value:8.2f} ms")
    print(f"{found.faces_per_second:,.0f} faces/s in batches; {found.frames_per_second:,.0f} frames/s of such a video")
