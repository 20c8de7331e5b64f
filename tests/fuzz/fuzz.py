"""Damaged and hostile files into every entry point that takes files from strangers.

    python tests/fuzz/fuzz.py [--cases 20000] [--videos 2000] [--seed 0] [--target picture]

Each target runs in a process of its own: a crash of native code ends that process, not this one, and the case that did
it is kept in fuzz-TARGET.bin. Only mien's own errors may come out, and none may work longer than ten seconds. The cases
come from Hypothesis: valid files with pieces changed, cut, doubled and moved; a failing one is made small first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SLOW = 10.0  # seconds
LONG = 4000  # characters; a recipe's faults are listed, twenty of them
HERE = Path(__file__).resolve().parent


def run(target: str, cases: int, seed: int, keep: Path) -> str | None:
    """Fuzz one target in a process of its own; what went wrong, or None."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__)), "--inside", target, "--cases", str(cases)]
    command += ["--seed", str(seed), "--keep", str(keep)]
    made = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=HERE)
    if made.returncode == 0:
        count = int(made.stdout.split()[-1])
        return None if count >= cases else f"{target}: only {count} of {cases} cases were run"
    said = "\n".join(made.stderr.strip().splitlines()[-12:])
    return f"{target}: ended with code {made.returncode}; the case is in {keep}\n{said}"


def inside(target: str, cases: int, seed: int, keep: Path) -> int:
    """Fuzz one target in this process; returns how many cases were run."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from targets import TARGETS

    from mien.errors import MienError

    chosen = TARGETS[target]
    seeds = chosen.seeds()
    for data in seeds:
        chosen.enter(data)  # a valid file must be read, or nothing behind the first check is ever reached
    place = st.floats(0, 1, exclude_max=True)
    change = st.tuples(
        st.sampled_from(("set", "cut", "double", "move", "insert", "end")),
        place,
        place,
        st.binary(min_size=1, max_size=8),
    )
    ran = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.sampled_from(seeds), st.lists(change, min_size=1, max_size=6))
    def once(data: bytes, changes: list[tuple[str, float, float, bytes]]) -> None:
        nonlocal ran
        ran += 1
        changed = apply(data, changes)
        keep.write_bytes(changed)
        began, worked = time.monotonic(), time.process_time()
        said = ""
        try:
            chosen.enter(changed)
        except MienError as error:
            said = str(error)
        assert said.isprintable(), "an error is one line, and nothing that a terminal acts on"
        assert len(said) < LONG, "an error does not repeat what it was given"
        assert time.process_time() - worked < SLOW, "too slow"
        assert time.monotonic() - began < 6 * SLOW, "stands still"  # on a machine that does other things, too

    once()
    keep.unlink(missing_ok=True)
    return ran


def apply(data: bytes, changes: list[tuple[str, float, float, bytes]]) -> bytes:
    """A file with pieces changed; the first four bytes of archives and models, which say the reader, included."""
    out = bytearray(data)
    for kind, start, stop, piece in changes:
        first, last = sorted((int(start * len(out)), int(stop * len(out))))
        last = min(last, first + 64) if kind in ("cut", "double", "move") else last
        if kind == "set":
            out[first : first + len(piece)] = piece
        elif kind == "cut":
            del out[first:last]
        elif kind == "double":
            out[first:first] = out[first:last]
        elif kind == "move":
            part = bytes(out[first:last])
            del out[first:last]
            out[int(stop * len(out)) :] = part + out[int(stop * len(out)) :]
        elif kind == "insert":
            out[first:first] = piece
        else:
            del out[first:]
    return bytes(out)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--videos", type=int, help="damaged videos, interlaced ones among them; else a share of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(inside(arguments.inside, arguments.cases, arguments.seed, arguments.keep))
        return 0
    from targets import TARGETS

    failed = 0
    for name, target in TARGETS.items():
        if arguments.target in (None, name):
            cases = arguments.cases if arguments.target else round(arguments.cases * target.share)
            if target.moving and arguments.videos is not None and not arguments.target:
                cases = round(arguments.videos * target.share / sum(t.share for t in TARGETS.values() if t.moving))
            began = time.monotonic()
            wrong = run(name, cases, arguments.seed, Path.cwd() / f"fuzz-{name}.bin")
            failed += wrong is not None
            print(wrong or f"{name}: {cases:,} cases, {time.monotonic() - began:.0f} s", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = scratch  # a process that crashes leaves its files there
        sys.exit(main())
