"""The command as a user runs it, in a process of its own, and a recipe that it trains in seconds."""

import subprocess
import sys
from pathlib import Path

RECIPE = """
name: tiny
description: for tests
heads: [{label_set: ferplus}, {label_set: fer2013}]
network: {widths: [8, 16], depths: [1, 1]}
stages: [{epochs: 3, learning_rate: 0.05, batch_size: 20}]
"""


def mien(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run mien; check its exit code, and that no traceback shows."""
    command = [str(Path(sys.executable).with_name("mien")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
