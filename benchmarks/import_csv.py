"""Seconds and memory of importing the official fer2013.csv (301 MB), FER+ votes included.

    python benchmarks/import_csv.py fer2013.csv [fer2013new.csv]

Runs ``mien data import fer2013`` once in a process of its own and prints one JSON line. The aim on two idle cores
is under 30 seconds and 1 GB. Unix only (it asks the system for the child's peak memory).

Recorded on two cores of an AMD EPYC (Zen 4), FER+ votes included, nothing else running:
{"source_mb": 301.1, "table_mb": 69.1, "wall_s": 11.1, "cpu_s": 11.4, "peak_mb": 539}
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(source: str, ferplus: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mien = str(Path(sys.executable).with_name("mien"))
        command = [mien, "data", "import", "fer2013", source, "-o", f"{folder}/t.parquet"]
        if ferplus:
            command += ["--ferplus", ferplus]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        size = Path(f"{folder}/t.parquet").stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Linux counts memory in KiB, macOS in bytes.
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(
        json.dumps(
            {
                "source_mb": round(Path(source).stat().st_size / 1e6, 1),
                "table_mb": round(size / 1e6, 1),
                "wall_s": round(wall, 1),
                "cpu_s": round(used.ru_utime + used.ru_stime, 1),
                "peak_mb": round(peak / 1e6),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
