"""Fixtures: the package's functions under Node; the built site, served, and a real Chromium to open it."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.browser import Browser, find_chromium
from support.node import Node
from support.site_server import SiteServer


@pytest.fixture(scope="session")
def node() -> Node:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    return Node(program)


@pytest.fixture(scope="session")
def site(shared, tmp_path_factory) -> Path:
    """The built site; the runtime's package comes from the user's cache, or is fetched into it."""
    from mien.download import fetch
    from mien.errors import DownloadError
    from mien.web import runtime
    from mien.web import site as builder

    try:
        package = fetch(runtime.PACKAGE)
    except DownloadError as error:
        pytest.skip(f"onnxruntime-web cannot be had: {error}")
    cache = tmp_path_factory.mktemp("cache")
    (cache / runtime.PACKAGE.name).symlink_to(package)
    shutil.copy(shared / "models" / "face_detection_yunet_2026may.onnx", cache)
    folder = tmp_path_factory.mktemp("app") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(cache))
        builder.build(folder)
    return folder


@pytest.fixture(scope="session")
def yunet_file(shared) -> Path:
    return shared / "models" / "face_detection_yunet_2026may.onnx"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Callable[..., Browser]]:
    """Makes a Chromium with the arguments that it is given.

    Of one module: while Playwright runs, its thread has an event loop, which other tests could not start.
    """
    program = find_chromium()
    if program is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        yield partial(Browser, running, program)


@pytest.fixture(scope="module")
def server(site) -> Iterator[SiteServer]:
    running = SiteServer(site)
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser(chromium: Callable[..., Browser]) -> Iterator[Browser]:
    """Chromium with a camera that shows a test pattern."""
    with chromium("--use-fake-device-for-media-stream") as running:
        yield running
