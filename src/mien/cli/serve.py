"""``mien serve``: expressions over HTTP, and a page to try it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0: all addresses of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes, one thread each; use one per core.")] = 1,
    model: Annotated[
        list[str] | None, typer.Option(help="An installed model or a model file; repeatable, the first is the default.")
    ] = None,
    detector: Annotated[str, typer.Option(help="auto, yunet, haar, ...; see mien predict.")] = "auto",
    max_bytes: Annotated[str, typer.Option(help="Largest picture, in bytes.")] = "8M",
    max_pixels: Annotated[int, typer.Option(min=1, help="Most pixels of a picture, all frames together.")] = 50_000_000,
    max_video_bytes: Annotated[str, typer.Option(help="Largest video, in bytes.")] = "64M",
    max_video_seconds: Annotated[float, typer.Option(min=0.1, help="Longest video, in seconds.")] = 60.0,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait in each worker.")] = 16,
    streams: Annotated[int, typer.Option(min=0, help="Camera streams at once in each worker.")] = 8,
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="Fetch pictures from https addresses.")] = False,
    api_key_file: Annotated[Path | None, typer.Option(help="API keys, one a line.")] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Let the pages of this website call the API.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A host name that requests may use; *: any.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key of the certificate, PEM.")] = None,
) -> None:
    """Serve a page and an HTTP API; on SIGTERM it answers open requests, then ends."""
    from mien.errors import MienError, require

    for module in ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "websockets"):
        require(module, "serve")
    from mien.recognizer import Recognizer
    from mien.serve.server import run
    from mien.serve.settings import Settings, parse_size, read_keys

    if (tls_cert is None) != (tls_key is None):
        raise MienError("--tls-cert and --tls-key belong together")
    settings = Settings(
        host=host,
        port=port,
        workers=workers,
        models=tuple(model or ["default"]),
        detector=detector,
        max_bytes=parse_size(max_bytes),
        max_pixels=max_pixels,
        max_video_bytes=parse_size(max_video_bytes),
        max_video_seconds=max_video_seconds,
        queue=queue,
        streams=streams,
        allow_urls=allow_urls,
        keys=read_keys(api_key_file) if api_key_file else (),
        cors=tuple(cors or ()),
        hosts=tuple(allow_host or ()),
        certificate=tls_cert,
        private_key=tls_key,
    )
    # Here, so that what is wrong is one line, and what is missing is fetched once.
    for name in settings.models:
        Recognizer(name, detector, threads=1)
    run(settings)
