"""A real, headless Chromium, and pages of the app in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Playwright

_READY = (
    "() => /^Ready/.test(document.getElementById('status').textContent) || !document.getElementById('problem').hidden"
)


def find_chromium() -> str | None:
    """The program, where it is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """Chromium with these arguments. Every name but 127.0.0.1 and mien.test leads nowhere."""

    def __init__(self, playwright: Playwright, program: str, *arguments: str) -> None:
        self._playwright, self._program, self._arguments = playwright, program, arguments

    def __enter__(self) -> Browser:
        names = "MAP mien.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        self._browser = self._playwright.chromium.launch(
            executable_path=self._program, args=["--no-sandbox", f"--host-resolver-rules={names}", *self._arguments]
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._browser.close()

    def context(self, **options: Any) -> BrowserContext:
        """A user without a past."""
        return self._browser.new_context(**options)


def open_app(context: BrowserContext, address: str, seconds: float = 90) -> Page:
    """The page, ready; ``page.told`` is what its console and its errors said."""
    page = context.new_page()
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.goto(address)
    page.wait_for_function(_READY, timeout=seconds * 1000)
    return page


def wait_text(page: Page, element: str, pattern: str, seconds: float = 60) -> str:
    """The text of an element once it matches."""
    page.wait_for_function(
        "([id, pattern]) => new RegExp(pattern).test(document.getElementById(id).textContent)",
        arg=[element, pattern],
        timeout=seconds * 1000,
    )
    return page.text_content(f"#{element}") or ""


def read_photo(page: Page, path: Path) -> str:
    """Give the page a photo; what it says then."""
    page.set_input_files("#photo-file", str(path))
    return wait_text(page, "status", rf"^{path.name.replace('.', '.')}: ")
