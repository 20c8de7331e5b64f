"""The browser app: what it weighs, and how fast it reads a camera in a real Chromium.

python benchmarks/app.py weight                    # bytes, gzip, brotli; needs node for brotli
python benchmarks/app.py camera --seconds 20       # needs chromium, ffmpeg and playwright
python benchmarks/app.py ... --write benchmarks/app.json
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import recording

from mien.runs import processor
from mien.web import site

ROOT = Path(__file__).resolve().parents[1]
# What the browser asks for before it can show the page; the worker's files come after.
FIRST = (
    "index.html",
    "style.css",
    "app.js",
    "camera.js",
    "history.js",
    "offline.js",
    "reader.js",
    "view.js",
    "words.js",
)
FIRST_PACKAGE = ("mien/lib/results.js", "mien/lib/pixels.js", "mien/lib/errors.js", "icons/icon.svg")
BROTLI = (
    "const z=require('zlib');process.stdout.write(z.brotliCompressSync(require('fs').readFileSync(0),"
    "{params:{[z.constants.BROTLI_PARAM_QUALITY]:9,[z.constants.BROTLI_PARAM_LGWIN]:22}}))"
)


def weight(model: str) -> dict[str, Any]:
    """Bytes of the site: raw, gzip -9, brotli -9; in all, before first paint, and of its largest files."""
    files = site.content(model)
    sizes = {name: (len(data), len(gzip.compress(data, 9, mtime=0)), brotli(data)) for name, data in files.items()}

    def total(names: Any) -> dict[str, int | None]:
        raw, zipped, packed = zip(*(sizes[name] for name in names), strict=True)
        return {"bytes": sum(raw), "gzip": sum(zipped), "brotli": None if None in packed else sum(packed)}

    largest = sorted(sizes, key=lambda name: -sizes[name][0])[:4]
    return {
        "model": model,
        "files": len(files),
        "all": total(sizes),
        "first_paint": total((*FIRST, *FIRST_PACKAGE)),
        **{name: total([name]) for name in largest},
    }


def brotli(data: bytes) -> int | None:
    """Bytes after brotli; None without node."""
    node = shutil.which("node")
    if node is None:
        return None
    return len(subprocess.run([node, "-e", BROTLI], input=data, capture_output=True, check=True).stdout)


def camera(model: str, seconds: float) -> dict[str, Any]:
    """Frames a second of a 640x480 camera with a face, the memory that grows, and the longest task of the page."""
    sys.path.insert(0, str(ROOT / "tests"))
    from playwright.sync_api import sync_playwright

    from support.browser import Browser, find_chromium, open_app, wait_text
    from support.moving_portrait import write_moving_portrait
    from support.site_server import SiteServer

    ffmpeg, program = shutil.which("ffmpeg"), find_chromium()
    if not ffmpeg or not program:
        sys.exit("this needs ffmpeg and chromium")
    count = "() => parseInt(document.getElementById('kept').textContent)"
    watch = (
        "() => { globalThis.tasks = []; new PerformanceObserver((list) => globalThis.tasks.push(...list.getEntries()"
    )
    watch += ".map((entry) => entry.duration))).observe({ type: 'longtask' }); }"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        site.build(folder / "site", model)
        clip = write_moving_portrait(ffmpeg, folder / "face.y4m")
        server = SiteServer(folder / "site")
        arguments = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}")
        with sync_playwright() as running, Browser(running, program, *arguments) as browser:
            context = browser.context(permissions=["camera"])
            page = open_app(context, server.address)
            page.click("#camera")
            wait_text(page, "kept", r"^[2-9]\d pictures")
            session = context.new_cdp_session(page)
            page.evaluate(watch)
            heap = used(session)
            before, start = page.evaluate(count), time.perf_counter()
            time.sleep(seconds)
            frames, passed = page.evaluate(count) - before, time.perf_counter() - start
            grown = used(session) - heap
            tasks = page.evaluate("() => globalThis.tasks")
            version = page.evaluate("() => navigator.userAgent.match(/Chrome\\/([0-9.]+)/)[1]")
            context.close()
        server.close()
    return {
        "model": model,
        "frames_per_second": round(frames / passed, 1),
        "frames": frames,
        "heap_growth_mb": round(grown / 1e6, 2),
        "longest_task_ms": max(tasks, default=0),
        "tasks_over_50_ms": len(tasks),
        "chromium": version,
        "processor": processor(),
        "load": round(os.getloadavg()[0], 1),
    }


def used(session: Any) -> int:
    """Bytes of the page's heap that are in use after a collection."""
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"]


def main() -> None:
    """Measure, print, and write where asked."""
    parser = recording.parser(__doc__, record=False)
    parser.add_argument("what", choices=("weight", "camera"))
    parser.add_argument("--model", default=site.MODEL)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--write", type=Path, help="a JSON file in which the result stands beside the others")
    options = parser.parse_args()
    found = weight(options.model) if options.what == "weight" else camera(options.model, options.seconds)
    print(json.dumps(found, indent=1))
    if options.write:
        document = json.loads(options.write.read_text(encoding="utf-8")) if options.write.exists() else {}
        document[f"{options.what} {options.model}"] = found
        options.write.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
