"""mien beside PyPI's ``fer``: accuracy, time, memory and size on disk, on the same pictures.

    python benchmarks/peers.py fer2013.parquet --work FOLDER [--faces 500] [--rounds 3] [--record benchmarks/peers.json]
    python benchmarks/peers.py --table benchmarks/peers.json

Each package lives in a virtual environment of its own that is made in FOLDER with pip (``pip install fer`` takes some
8 GB on Linux, TensorFlow and PyTorch with CUDA among them) and is used as its README says, with its defaults: mien with
YuNet, fer with Viola-Jones and with MTCNN. The pictures are PublicTest faces (validation) set into 640x480 as
``detectors.py`` does, 144 and 72 px a side. A picture counts as right if the largest face found has the label; one
without a detection is wrong. ``fer`` gives one answer, ``mien`` one for each label set; FER+ is without contempt,
which ``fer`` does not know. The ways take turns, round by round; times are medians over the rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import venv
from pathlib import Path
from typing import Any

import numpy as np
import recording
from detectors import placed
from numpy.typing import NDArray

from mien import runs as runs_module
from mien.data import table as tables

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("peers_worker.py")
INSTALLS = {"mien": str(ROOT), "fer": "fer"}
WAYS = {"mien": "mien", "fer": "fer", "fer-mtcnn": "fer"}
SIDES = (144, 72)
#: Label set to the right answer of each picture; None where there is none.
Truths = dict[str, list[str | None]]


def environment(folder: Path, what: str) -> Path:
    """The python of a fresh environment with one package and what it asks for; one that is there already is used."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", what], check=True)
    return python


def megabytes(python: Path) -> float:
    """Of the environment's packages on disk, pip and setuptools left out."""
    ours = ("pip", "setuptools", "_distutils_hack", "pkg_resources")
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    files = (f for top in packages.iterdir() if not top.name.startswith(ours) for f in [top, *top.rglob("*")])
    return sum(f.stat().st_size for f in files if f.is_file() and not f.is_symlink()) / 1e6


def versions(python: Path) -> dict[str, str]:
    """Of what the answers come from."""
    told = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    wanted = {"mien", "fer", "tensorflow", "torch", "onnxruntime", "opencv-python-headless", "opencv-contrib-python"}
    return {p["name"]: p["version"] for p in json.loads(told.stdout) if p["name"] in wanted}


def read(python: Path, way: str, pictures: Path) -> dict[str, Any]:
    """One whole process."""
    out = pictures.with_name(f"{way}.json")
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([python, WORKER, way, pictures, out], check=True, env=quiet, cwd=pictures.parent)
    return json.loads(out.read_text(encoding="utf-8"))


def shares(answers: list[dict[str, str] | None], truths: Truths) -> dict[str, float]:
    """Percent found, and percent right on each label set, of the faces that have a label there."""
    told = {"found": 100 * sum(a is not None for a in answers) / len(answers)}
    for labels, wanted in truths.items():
        pairs = [(a and a[labels], w) for a, w in zip(answers, wanted, strict=True) if w is not None]
        told[labels] = 100 * sum(a == w for a, w in pairs) / len(pairs)
    return told


def scenes(data: tables.Table, count: int, seed: int, side: int) -> tuple[NDArray[np.uint8], Truths]:
    """Pictures, uint8 (N, 480, 640, 3) RGB, and what is right of each; no label: None."""
    part = data.split("validation")
    truth = {name: part.truth(name) for name in ("fer2013", "ferplus")}
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(np.flatnonzero(truth["ferplus"] >= 0), count, replace=False))
    names = {labels: [*data.label_sets[labels]] for labels in truth}
    said = {labels: [names[labels][k] for k in truth[labels][chosen]] for labels in truth}
    wanted: Truths = {
        labels: [None if label == "contempt" else label for label in found] for labels, found in said.items()
    }
    pictures = [placed(face, side, random)[0] for face in part.take(chosen).pictures(grey=True)]
    return np.stack([p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in pictures]), wanted


def measure(data: tables.Table, work: Path, count: int, rounds: int, seed: int) -> dict[str, Any]:
    """All ways on all sizes."""
    pythons = {name: environment(work / name, what) for name, what in INSTALLS.items()}
    told: dict[str, Any] = {
        way: {"megabytes_on_disk": megabytes(pythons[name]), "versions": versions(pythons[name])}
        for way, name in WAYS.items()
    }
    for side in SIDES:
        pictures, truths = scenes(data, count, seed, side)
        pictures.tofile(work / "pictures.raw")
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, name in WAYS.items():
                runs[way].append(read(pythons[name], way, work / "pictures.raw"))
        for way, found in runs.items():
            costs = ("first", "milliseconds", "megabytes")
            times = {key: statistics.median(run[key] for run in found) for key in costs}
            told[way][f"{side} px"] = shares(found[0]["answers"], truths) | times
            print(way, side, json.dumps(told[way][f"{side} px"]), flush=True)
    (work / "pictures.raw").unlink()
    return told


def table(figures: dict[str, Any]) -> str:
    """As Markdown."""
    size = f"{SIDES[0]} px"
    heads = ("found", "FER2013's labels", "FER+", "ms a picture", "first answer, s", "memory, MB", "on disk, MB")
    rows = []
    for way, told in figures.items():
        for side in SIDES:
            f = told[f"{side} px"]
            row = [f"{f['found']:.1f} %", f"{f['fer2013']:.1f} %", f"{f['ferplus']:.1f} %", f"{f['milliseconds']:.1f}"]
            once = [f"{f['first']:.1f}", f"{f['megabytes']:.0f}", f"{told['megabytes_on_disk']:,.0f}"]
            rows.append((f"{way}, {side} px", *row, *(once if f"{side} px" == size else ["", "", ""])))
    return recording.markdown(("", *heads), rows)


def short_table(figures: dict[str, Any]) -> str:
    """What the README shows of them: the larger faces, as Markdown."""
    heads = ("faces found", "right, FER2013", "right, FER+", "ms a picture", "memory", "installed")
    rows = []
    names = {"mien": "mien", "fer": "fer 25.10.3", "fer-mtcnn": "fer 25.10.3, `mtcnn=True`"}
    for way, told in figures.items():
        f = told[f"{SIDES[0]} px"]
        shares = (f"{f[key]:.1f} %" for key in ("found", "fer2013", "ferplus"))
        costs = (f"{f['milliseconds']:.1f}", f"{f['megabytes']:,.0f} MB", f"{told['megabytes_on_disk']:,.0f} MB")
        rows.append((names[way], *shares, *costs))
    return recording.markdown(("", *heads), rows)


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__, data=False, faces=500, seed=0, table="docs/moving-over.md")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.table:
        print(table(recording.read(asked.table)["figures"]))
        return
    if asked.data is None or asked.work is None:
        parser.error("name the data table and --work, a folder for the environments")
    asked.work.mkdir(parents=True, exist_ok=True)
    figures = measure(tables.read(asked.data), asked.work.resolve(), asked.faces, asked.rounds, asked.seed)
    print(table(figures))
    if asked.record:
        asked_for = {"faces": asked.faces, "rounds": asked.rounds, "seed": asked.seed}
        said = {"processor": runs_module.processor(), "cores": os.cpu_count()} | asked_for
        recording.write(asked.record, said | {"figures": figures})


if __name__ == "__main__":
    main()
