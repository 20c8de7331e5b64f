"""Every command that writes, disturbed: killed, ended, interrupted, on a full disk, with its folder taken away, with
something in its way, or twice at once. Each case is judged by rules (``judge``): the right exit code, no success over
damaged output, older files kept, no half file under a final name, one line that says why, nothing left behind.

    python tests/faults/faults.py [--cases 200] [--seed 0] [--only "batch kill"]

Needs Linux; full and read-only disks need root, and are skipped with the reason without. The same seed takes the same
cases at the same moments, as far as the machine lets it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judge
import materials
from commands import COMMANDS, Command
from judge import Ended
from processes import Running, Starter, until

FAULTS = ("kill", "term", "int", "full", "removed", "folder", "file", "read-only", "two")
_SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
_MOUNTED = ("full", "read-only")
_PAGE = 4096


@dataclass(frozen=True)
class Verdict:
    """What came of a case: wrong things, or why it was skipped."""

    command: Command
    fault: str
    wrong: tuple[str, ...] = ()
    skipped: str = ""


class Undisturbed(Exception):  # noqa: N818  what it says
    """A command fails without a fault."""


class Campaign:
    """Runs cases.

    Args:
        scratch: an empty folder.
        seed: of all choices.
        cold: start every command as a user does; what needs a hook or takes long is better not among them.
    """

    def __init__(self, scratch: Path, seed: int, *, cold: bool = False) -> None:
        self._scratch, self._seed, self._cold = scratch, seed, cold
        self._inputs = scratch / "inputs"
        self._clean: dict[str, tuple[judge.Whole, float, Path]] = {}
        self._help: dict[str, str] = {}
        self._count = 0
        self._starter: Starter | None = None

    def close(self) -> None:
        """End the process that starts commands."""
        if self._starter:
            self._starter.close()

    def case(self, command: Command, fault: str) -> Verdict:
        """Run one case."""
        why = materials.missing(command.needs) if command.needs else ""
        if fault in _MOUNTED and os.geteuid() != 0:
            why = "a small disk needs root"
        if why:
            return Verdict(command, fault, skipped=why)
        if not self._inputs.exists():
            self._inputs.mkdir()
            materials.make(self._inputs)
        if "IN/run" in command.words and not (self._inputs / "run").exists():
            materials.train(self._prepare)
        try:
            clean, seconds, folder = self._undisturbed(command)
        except Undisturbed as error:
            return Verdict(command, fault, (str(error),))
        place = self._scratch / "case"
        shutil.rmtree(place, ignore_errors=True)
        out = place / "disk" / "out"
        out.parent.mkdir(parents=True)
        mounted = fault in _MOUNTED
        if mounted:
            _run("mount", "-t", "tmpfs", "-o", "size=256m", "mien-faults", out.parent)
        try:
            out.mkdir()
            dice = random.Random(f"{self._seed}/{command.name}/{fault}")
            older = command.replaces and fault not in ("folder", "file", "removed") and dice.random() < 0.6
            if older:
                shutil.copytree(folder, out, dirs_exist_ok=True)
            return Verdict(command, fault, tuple(self._judged(command, fault, out, clean, seconds, older, dice)))
        finally:
            if mounted:
                _run("umount", "-l", out.parent)

    def _judged(
        self, command: Command, fault: str, out: Path, clean: judge.Whole, seconds: float, older: bool, dice: Any
    ) -> list[str]:
        options = self._options(command)
        before = judge.contents(out)
        if fault == "two":
            both = [self._start(command, out) for _ in range(2)]
            ends = [self._ended(command, running, out) for running in both]
            wrong = [] if any(end.code == 0 for end in ends) else ["neither did it"]
            for end in ends:
                end.files = judge.contents(out)
                wrong += judge.faulty(end, fault, clean, older=older, grows=command.grows, options=options)
            return list(dict.fromkeys(wrong))
        self._disturb_before(fault, out, clean, dice)
        running = self._start(command, out)
        if fault in _SIGNALS:
            self._moment(command, running, out, before, seconds, dice)
            running.send(_SIGNALS[fault])
        elif fault == "removed":
            self._moment(command, running, out, before, seconds, dice)
            late = set(clean) <= set(judge.contents(out))  # all was there already
            shutil.rmtree(out, ignore_errors=True)
            if late:
                running.wait()
                return [*running.left()]
        end = self._ended(command, running, out, look=fault != "kill")
        out = out if out.is_dir() else out.parent
        end.files = judge.contents(out)
        end.files.pop("ballast", None)
        if fault in ("folder", "file"):
            end.files = {n: f for n, f in end.files.items() if not n.endswith("in-the-way") and n != "out"}
        wrong = judge.faulty(end, fault, clean, older=older, grows=command.grows, options=options)
        different = any(end.files.get(name) != found for name, found in clean.items()) or set(end.files) - set(clean)
        if fault in (*_SIGNALS, "full") and different:
            (out.parent / "ballast").unlink(missing_ok=True)
            again = self._start(command, out, command.again)
            told = self._ended(command, again, out)
            told.files = judge.contents(out)
            wrong += judge.after(told, clean)
            told.left = running.left() if fault == "kill" else []
            wrong += [f"still running after the next start: {name}" for name in told.left]
            again.end_all()
        running.end_all()
        return wrong

    def _disturb_before(self, fault: str, out: Path, clean: judge.Whole, dice: Any) -> None:
        first = next(name for name in sorted(clean) if not Path(name).name.startswith("."))
        if fault == "full":
            room = int(self._bytes * dice.choice((0, 0.2, 0.5, 0.9))) // _PAGE * _PAGE
            free = os.statvfs(out).f_bavail * os.statvfs(out).f_frsize
            with (out.parent / "ballast").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(free - room, _PAGE))
        elif fault == "folder":
            (out / first).mkdir(parents=True)
            (out / first / "in-the-way").write_text("x")
        elif fault == "file":
            target = out / Path(first).parts[0] if "/" in first else out
            shutil.rmtree(out)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("in the way")
        elif fault == "read-only":
            _run("mount", "-o", "remount,ro", out.parent)

    def _moment(self, command: Command, running: Running, out: Path, before: Any, seconds: float, dice: Any) -> None:
        """Wait for the moment of a fault: the first change in the output folder, or a share of the usual time."""
        if dice.random() < 0.6 and not command.cold:
            listed = _listed(out)
            until(lambda: _listed(out) != listed, running)
            time.sleep(dice.choice((0, 0, 0.003, 0.02, 0.1)))
            return
        began, wait = time.monotonic(), seconds * dice.uniform(0.02, 0.95)
        until(lambda: time.monotonic() - began > wait, running)

    def _undisturbed(self, command: Command) -> tuple[judge.Whole, float, Path]:
        """The files of a run that nothing disturbs, its seconds, and where they lie."""
        if command.name not in self._clean:
            out = self._scratch / "clean" / command.name.replace(" ", "-")
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            began = time.monotonic()
            end = self._ended(command, self._start(command, out), out)
            seconds = time.monotonic() - began
            files = judge.contents(out)
            damaged = [name for name, found in files.items() if isinstance(found, Exception)]
            if end.code or damaged or not files or end.left:
                raise Undisturbed(f"fails undisturbed: {end.code} {end.err[-600:]} {damaged} {end.left}")
            self._clean[command.name] = files, seconds, out
        files, seconds, out = self._clean[command.name]
        self._bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        return files, seconds, out

    def _start(self, command: Command, out: Path, more: str = "") -> Running:
        return self._running(f"{command.words} {more}", out, command.environment, command.hook, cold=command.cold)

    def _running(
        self, words: str, out: Path, environment: Sequence[tuple[str, str]] = (), hook: str = "", *, cold: bool = False
    ) -> Running:
        self._count += 1
        folder = self._scratch / "logs" / str(self._count)
        (folder / "tmp").mkdir(parents=True)
        put = {"IN": str(self._inputs), "OUT": str(out)}
        asked = {
            "words": [_filled(word, put) for word in words.split()],
            "folder": str(folder), "stdout": str(folder / "out"), "stderr": str(folder / "err"),
            "hook": hook, "inputs": str(self._inputs),
            "environment": {"MIEN_OFFLINE": "1", "MIEN_CACHE": str(self._inputs / "downloads"), "COLUMNS": "200",
                            "TMPDIR": str(folder / "tmp")} | {key: _filled(text, put) for key, text in environment},
        }  # fmt: skip
        cold = cold or self._cold
        if not cold and not self._starter:
            self._starter = Starter()
        running = Running(None if cold else self._starter, asked, f"{self._scratch.name}-{self._count}")
        self._logs = folder
        running.logs = folder
        return running

    def _ended(self, command: Command, running: Running, out: Path, *, look: bool = True) -> Ended:
        code = running.wait()
        logs: Path = running.logs
        out_text, err = ((logs / name).read_text(errors="replace") for name in ("out", "err"))
        return Ended(code, out_text, err, running.left() if look else [])

    def _prepare(self, words: str) -> None:
        running = self._running(words, self._inputs)
        if running.wait():
            raise SystemExit(f"cannot make the inputs: {(self._logs / 'err').read_text()[-600:]}")

    def _options(self, command: Command) -> str:
        verb = [word for word in command.words.split()[:3] if word.islower() and not word.startswith("-")]
        depth = {"data": 3 if verb[1:2] == ["import"] else 2, "models": 2, "recipes": 2}.get(verb[0], 1)
        words = " ".join(verb[:depth])
        if words not in self._help:
            running = self._running(f"{words} --help", self._inputs)
            running.wait()
            self._help[words] = (self._logs / "out").read_text()
        return self._help[words]


def _filled(word: str, put: dict[str, str]) -> str:
    for name, path in put.items():
        if word == name or word.startswith(f"{name}/"):
            return path + word[len(name) :]
    return word


def _listed(folder: Path) -> Any:
    """What is in a folder, with times and sizes."""
    try:
        return [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in os.scandir(folder)]
    except OSError:
        return None


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def chosen(cases: int, seed: int, only: str | None) -> list[tuple[Command, str]]:
    """The cases of a run: so many of all, or of those whose name holds all the words of a part of ``only``."""
    asked = [set(part.split()) for part in (only or "").split(",")]
    every = [
        (command, fault)
        for command in COMMANDS
        for fault in FAULTS
        if any(words <= set(f"{command.name} {fault}".split()) for words in asked)
    ]
    drawn = set(random.Random(seed).sample(range(len(every)), min(cases, len(every))))
    return [case for place, case in enumerate(every) if place in drawn]


def table(verdicts: list[Verdict]) -> str:
    """Counts by command and fault, as Markdown: wrong of all; a dash where nothing was run."""
    rows = ["| command | " + " | ".join(FAULTS) + " |", "|---" * (len(FAULTS) + 1) + "|"]
    for command in COMMANDS:
        cells = []
        for fault in FAULTS:
            found = [v for v in verdicts if v.command is command and v.fault == fault]
            wrong = sum(bool(v.wrong) for v in found)
            cells.append("-" if not found else "skipped" if found[0].skipped else f"{wrong}/{len(found)}")
        if set(cells) != {"-"}:
            rows.append(f"| {command.name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> int:
    """Run what the command line asks for; 1 where a case is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, help="how many, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="words that a case's name must hold, as 'batch kill,export full'")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        print("skipped: signals, sessions and small disks as here are Linux's")
        return 0
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mien-faults-") as scratch:
        campaign = Campaign(Path(scratch), arguments.seed)
        try:
            for command, fault in chosen(arguments.cases, arguments.seed, arguments.only):
                began = time.monotonic()
                verdict = campaign.case(command, fault)
                verdicts.append(verdict)
                told = f"skipped: {verdict.skipped}" if verdict.skipped else "; ".join(verdict.wrong) or "right"
                print(f"{command.name}, {fault}: {told} ({time.monotonic() - began:.1f} s)", flush=True)
        finally:
            campaign.close()
    wrong = sum(bool(verdict.wrong) for verdict in verdicts)
    print(
        f"\n{table(verdicts)}\n\n{len(verdicts)} cases, {wrong} wrong, {sum(bool(v.skipped) for v in verdicts)} skipped"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
