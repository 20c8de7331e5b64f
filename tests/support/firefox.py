"""A real, headless Firefox, driven by WebDriver BiDi: the few commands that the tests of the app need."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# A camera that shows a pattern, allowed without asking; nothing asked of Mozilla's servers.
_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
}


def find_firefox() -> str | None:
    """The program, where it is installed."""
    return next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)


class Firefox:
    """One Firefox with one page. ``folder`` takes its profile."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._count = 0

    def __enter__(self) -> Firefox:
        from websockets.sync.client import connect

        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
        (self._folder / "user.js").write_text("\n".join(lines), encoding="utf-8")
        command = [
            self._program,
            "--headless",
            "--no-remote",
            "--profile",
            str(self._folder),
            "--remote-debugging-port=0",
        ]
        with ExitStack() as stack:
            log = stack.enter_context((self._folder / "log.txt").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)  # its profile is thrown away
            self._socket = stack.enter_context(connect(f"{self._address()}/session", max_size=None, proxy=None))
            self.command("session.new", capabilities={})
            self.page = self.command("browsingContext.getTree")["contexts"][0]["context"]
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def _address(self, seconds: float = 60) -> str:
        """Where it listens, once it says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(r"listening on (ws://\S+)", (self._folder / "log.txt").read_text(errors="replace"))
            if found:
                return found[1]
            time.sleep(0.1)
        raise TimeoutError((self._folder / "log.txt").read_text(errors="replace"))

    def command(self, method: str, **given: Any) -> Any:
        """One command of WebDriver BiDi, and its result."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": given}))
        while True:
            answer = json.loads(self._socket.recv(120))
            if answer.get("id") == self._count:
                assert answer["type"] == "success", answer
                return answer["result"]

    def go(self, address: str) -> None:
        """Open a page and wait until it is there."""
        self.command("browsingContext.navigate", context=self.page, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, by way of JSON."""
        wrapped = f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
        found = self.command(
            "script.evaluate", expression=wrapped, target={"context": self.page}, awaitPromise=True, userActivation=True
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    def text(self, element: str) -> str:
        """What an element says."""
        return self.evaluate(f"document.getElementById({json.dumps(element)}).textContent")

    def wait_text(self, element: str, pattern: str, seconds: float = 90) -> str:
        """The text of an element once it matches."""
        end = time.monotonic() + seconds
        while not re.search(pattern, text := self.text(element)):
            assert time.monotonic() < end, (element, pattern, text, self.text("problem"))
            time.sleep(0.2)
        return text

    def set_files(self, element: str, *paths: Path) -> None:
        """Choose files in an input."""
        found = self.command(
            "script.evaluate",
            expression=f"document.getElementById({json.dumps(element)})",
            target={"context": self.page},
            awaitPromise=False,
        )
        shared = {"sharedId": found["result"]["sharedId"]}
        self.command("input.setFiles", context=self.page, element=shared, files=[str(path) for path in paths])
