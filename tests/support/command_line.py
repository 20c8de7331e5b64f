"""The command as a user runs it, in a process of its own, and a recipe that it trains in seconds."""

import re
import subprocess
import sys
from pathlib import Path

#: ``mien: done: 3 pictures, 2 faces, 1 failed in 0.4 s; written: out.csv``
CLOSING = re.compile(r"mien: done: \d[^;\n]* in \d+\.\d s(; written: .*)?\n")
RECIPE = """
name: tiny
description: for tests
heads: [{label_set: ferplus}, {label_set: fer2013}]
network: {widths: [8, 16], depths: [1, 1]}
stages: [{epochs: 3, learning_rate: 0.05, batch_size: 20}]
"""


def without_closing_line(told: str) -> str:
    """What was said on stderr without its last line, where that counts what was done."""
    *lines, last = told.splitlines(keepends=True) or [""]
    return "".join(lines if CLOSING.fullmatch(last) else [*lines, last])


def mien(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run mien; check its exit code, and that no traceback shows."""
    command = [str(Path(sys.executable).with_name("mien")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
