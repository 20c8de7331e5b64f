"""The rules that each case is judged by, and what a whole file is."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

Whole = dict[str, Any]
_TEMPORARY = re.compile(r"(^|/)\.[^/]*(partial|\.lock$)|(^|/)\.[^/]+\.[a-z0-9_]{8}(/|$)|\.partial$|\.tmp$")
#: What is kept on purpose after an end that is not the right one: rows to go on with.
_KEPT = re.compile(r"\.(csv|jsonl)\.partial$")
_NOISE = re.compile(
    r"Traceback|Stack|PC: @|SIGTERM received|raylet|\(pid=|ray::|RAY_|WARNING|Warning:|Exception ignored"
)
#: Lines on standard error that tell of no failure.
_NEWS = tuple(f"mien: {word}:" for word in ("note", "annotated", "gallery", "interrupted", "stopped", "done"))
_SAYS_WHY = {
    "full": re.compile(r"No space left|disk may be full"),
    "removed": re.compile(r"does not exist|No such file|cannot write|cannot make|is gone"),
    "folder": re.compile(r"is a folder|Is a directory|holds something else|cannot|exists"),
    "file": re.compile(r"Not a directory|does not exist|is a file|cannot|File exists|holds something else"),
    "read-only": re.compile(r"Read-only file system|cannot"),
    "two": re.compile(r"is writing it|already|exists|holds something"),
}


@dataclass
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code; negative: the signal.
        out, err: what it printed.
        left: other processes of it that were still there.
        files: what lies in the output folder, temporary names included; path to a summary of its content.
    """

    code: int
    out: str
    err: str
    left: list[str] = field(default_factory=list)
    files: Whole = field(default_factory=dict)


def contents(folder: Path) -> Whole:
    """Each file below a folder with a summary of what a whole one says; an Exception where it is damaged."""
    found: Whole = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "tfevents" not in path.name:  # whose names are times
            name = str(path.relative_to(folder))
            try:
                found[name] = None if _TEMPORARY.search(name) else summary(path)
            except Exception as error:
                found[name] = ValueError(f"{name} is damaged: {type(error).__name__} {str(error)[:80]}")
    return found


def summary(path: Path) -> Any:
    """What is the same in any two whole files of one command, whatever their times and orders.

    Raises:
        Exception: the file is cut off or otherwise damaged.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path).num_rows
    if suffix in (".png", ".jpg"):
        with Image.open(path) as image:
            image.load()
            return image.size
    if suffix == ".mp4":
        return _frames(path)
    if suffix == ".onnx" and b"mien" in (data := path.read_bytes())[-200_000:]:
        from mien.models.card import detach

        return len(detach(data, str(path))[1].outputs)
    if suffix in (".pt", ".skops"):
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    data = path.read_bytes()
    if suffix == ".json":
        return type(json.loads(data)).__name__
    if suffix == ".html":
        assert data.rstrip().endswith(b"</html>"), "cut off"
        return "page"
    if not data:
        raise ValueError("empty")
    if suffix in (".csv", ".jsonl", ".md", ".yaml"):
        assert data.endswith(b"\n"), "cut off"
        rows = list(csv.reader(io.StringIO(data.decode()))) if suffix == ".csv" else data.splitlines()
        assert suffix != ".csv" or len({len(row) for row in rows}) == 1, "rows of different lengths"
        return len(rows)
    return True


def _frames(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    capture.release()
    assert count, "no frame"
    return count


def faulty(ended: Ended, fault: str, clean: Whole, *, older: bool, grows: bool, options: str) -> list[str]:
    """What is wrong with an end; empty: nothing.

    Args:
        ended: after the fault.
        fault: its name.
        clean: the files of an undisturbed run, with what they say.
        older: the same files were there before.
        grows: there may be fewer of them, and fewer rows.
        options: the command's help, which a message's advice must fit.
    """
    wrong = []
    allowed = {"kill": {-9}, "term": {-15, 143}, "int": {130, -2}}.get(fault, {1, 2})
    if ended.code not in allowed | {0}:
        wrong.append(f"exit code {ended.code}")
    if ended.code == 0:
        wrong += [f"success, and {name} is not there" for name in clean if name not in ended.files]
    lacking = grows and (ended.code != 0 or fault == "two")
    lacking |= "what was read so far is written" in ended.err  # as one leaves a camera
    for name, found in ended.files.items():
        if isinstance(found, Exception):
            wrong.append(str(found))
        elif found is not None and name in clean and found != clean[name] and not lacking:
            wrong.append(f"{name}: {found} instead of {clean[name]}")
    if older and fault != "removed":
        wrong += [f"the older {name} is lost" for name in clean if name not in ended.files]
    if fault not in ("kill", "term", "int"):  # whose left-overs the next start removes, see ``after``
        wrong += [f"left: {name}" for name in ended.files if _TEMPORARY.search(name) and not _KEPT.search(name)]
    return wrong + said(ended, fault, options)


def said(ended: Ended, fault: str, options: str) -> list[str]:
    """What is wrong with what was printed, and with what is still running."""
    lines = [line for line in ended.err.splitlines() if line.strip()]
    wrong = [f"printed: {line[:100]}" for line in lines if _NOISE.search(line)][:2]
    ours = [line for line in lines if line.startswith("mien: ") and not line.startswith(_NEWS)]
    if ended.code in (1, 2):
        if len(ours) != 1:
            wrong.append(f"{len(ours)} messages: {' | '.join(lines[-3:])[:200]}")
        elif fault in _SAYS_WHY and not _SAYS_WHY[fault].search(ours[0]):
            wrong.append(f"does not say why: {ours[0][:200]}")
        wrong += [f"line too long: {line[:80]}" for line in ours if len(line) > 600]
    advised = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(ours)))
    wrong += [f"advises {word}, which the command does not take" for word in sorted(advised) if word not in options]
    return wrong + [f"still running: {name}" for name in ended.left]


def after(ended: Ended, clean: Whole) -> list[str]:
    """What is wrong with the same command, given again without a fault."""
    wrong = [] if ended.code == 0 else [f"given again: exit code {ended.code}: {ended.err.strip()[-160:]}"]
    for name, expected in clean.items():
        if name not in ended.files:
            wrong.append(f"given again: no {name}")
        elif isinstance(ended.files[name], Exception) or ended.files[name] != expected:
            wrong.append(f"given again: {name}: {ended.files[name]} instead of {expected}")
    wrong += [f"given again, left: {name}" for name in ended.files if _TEMPORARY.search(name)]
    return wrong + [f"given again, still running: {name}" for name in ended.left]
