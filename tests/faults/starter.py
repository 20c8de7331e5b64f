"""Starts mien in a fresh fork of a process that has loaded its libraries, so that hundreds of cases take minutes.

Reads a JSON object a line from standard input and answers with one: ``{"start": ...}`` with the process id, ``{"poll":
PID}`` with its exit code (negative: the signal that ended it) or null.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRELOADED = (
    "cv2", "onnxruntime", "pyarrow.parquet", "matplotlib.pyplot", "torch", "lightning_fabric", "onnx",
    "mien.cli", "mien.recognizer", "mien.outputs.tables", "mien.train.run", "mien.export.package", "mien.report.page",
    "mien.report.model_page", "mien.literature.board", "mien.classical.fit", "mien.evaluate.sensitivity",
)  # fmt: skip


def no_window(folder: Path) -> None:
    """``mien watch`` without a screen: everything is shown to nobody."""
    from mien.outputs import viewer

    viewer.show = lambda title, sights: [None for _ in sights()] and None


def small_runtime(folder: Path) -> None:
    """``mien app`` without the npm registry."""
    from mien.web import runtime

    runtime.files = lambda: dict.fromkeys(runtime.FILES, b"x" * 200_000)


def local_download(folder: Path) -> None:
    """``mien models fetch`` without a network: what would be downloaded lies in the folder of the cases."""
    from mien import download

    download.is_offline = lambda: False
    download._download = lambda asset, timeout: (folder / "downloads" / asset.name).read_bytes()


HOOKS: dict[str, Callable[[Path], None]] = {hook.__name__: hook for hook in (no_window, small_runtime, local_download)}


def start(asked: dict[str, Any]) -> int:
    """Fork; the child becomes ``mien WORDS`` in a session of its own."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        for number, path in ((0, os.devnull), (1, asked["stdout"]), (2, asked["stderr"])):
            handle = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(handle, number)
            os.close(handle)
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        sys.argv = ["mien", *asked["words"]]
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        if asked["hook"]:
            HOOKS[asked["hook"]](Path(asked["inputs"]))
        from mien.__main__ import run

        run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
        _leave(code)
    except KeyboardInterrupt:
        traceback.print_exc()
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


def _leave(code: int) -> None:
    """What the interpreter does at its end, which a fork must not leave out: exit handlers, and text that waits."""
    import atexit
    import threading
    from contextlib import suppress

    with suppress(BaseException):
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()


def main() -> None:
    """Answer until standard input ends."""
    import importlib

    for name in PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    answers.write('"ready"\n')
    ended: dict[int, int] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            answers.write(json.dumps(start(asked["start"])) + "\n")
            continue
        pid = asked["poll"]
        if pid not in ended:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                ended[pid] = os.waitstatus_to_exitcode(status)
        answers.write(json.dumps(ended.get(pid)) + "\n")


if __name__ == "__main__":
    main()
