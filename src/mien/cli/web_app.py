"""``mien app``: the app that reads faces in a browser, as a folder for any web server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import notices
from mien.cli.notices import counted


def app(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write; an earlier app is replaced.")],
    model: Annotated[str | None, typer.Option(help="An installed model or a model file; fast if left out.")] = None,
) -> None:
    """Write the browser app as a static site: camera, photos and videos read on the visitor's device alone.

    The runtime (33 MB, from the npm registry) and the face detector are downloaded once, checked and cached.
    """
    from mien.web import site

    with notices.doing("building the site"):
        files = site.build(output, model or site.MODEL)
    size = sum(map(len, files.values()))
    print(f"{output}: {len(files)} files, {size / 1e6:.1f} MB; offer it by https, or look at it on this machine:")
    print(f"python3 -m http.server --bind 127.0.0.1 --directory {output} 8000")
    notices.done(counted(len(files), "file"))
