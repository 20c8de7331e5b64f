"""What several benchmarks end with: their figures printed, and written where they are asked to be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def record(figures: Any, path: Path | None, **more: Any) -> None:
    """Print the command's arguments, figures and whatever else as JSON; write the same to a file if one is given."""
    text = json.dumps({"command": sys.argv[1:], **more, "figures": figures}, indent=1)
    print(text)
    if path:
        path.write_text(text + "\n", encoding="utf-8")
