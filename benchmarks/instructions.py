"""What an 8-bit file answers on processors without the instructions (VNNI) that add 8-bit products without saturating.

    python benchmarks/instructions.py fer2013.parquet MODEL... [--faces 500] [--record benchmarks/instructions.json]

Older x86 processors add pairs of 8-bit products in 16 bit, where large sums saturate; ``mien export --precision int8
--reduce-range`` makes weights of 7 bit, which cannot. ONNX Runtime picks the kernel by what the processor says of
itself and has no switch for it, so QEMU's user mode plays a processor without (Debian's package qemu-user; a face
takes it a second): the very file and library, other instructions. Random PublicTest faces (validation); shown are
top-1 here and there, and how many answers differ. Speed under an emulator means nothing and is not measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import recording

from mien import models, runs
from mien.data import table as tables

#: A processor of 2013: AVX2, neither AVX-512 nor VNNI.
EMULATOR = "qemu-x86_64 -cpu Haswell-noTSX"
WORKER = """
import sys
import numpy as np
import onnxruntime
model, crops, out = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
faces = np.load(crops)
parts = [session.run(None, {"faces": faces[i : i + 16]}) for i in range(0, len(faces), 16)]
np.savez(out, **{o.name: np.concatenate([p[k] for p in parts]) for k, o in enumerate(session.get_outputs())})
"""


def answers(model: Path, crops: Path, folder: Path, emulator: list[str]) -> dict[str, np.ndarray]:
    """Output to probabilities (N, K), from a process of its own."""
    out = folder / "answers.npz"
    paths = os.environ | {"PYTHONPATH": sysconfig.get_paths()["purelib"]}
    python = str(Path(sys.executable).resolve())
    told = subprocess.PIPE if emulator else None  # the emulator complains of what the processor has not
    subprocess.run([*emulator, python, "-c", WORKER, model, crops, out], check=True, env=paths, stderr=told)
    with np.load(out) as found:
        return dict(found)


def measure(data: tables.Table, names: list[str], count: int, seed: int, emulator: list[str]) -> dict[str, Any]:
    """Both processors, every file."""
    part = data.split("validation")
    part = part.take(np.sort(np.random.default_rng(seed).choice(len(part), min(count, len(part)), replace=False)))
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            model = models.load(name)
            crops = Path(folder, "crops.npy")
            np.save(crops, part.pictures(model.card.width))
            here = answers(model.path, crops, Path(folder), [])
            there = answers(model.path, crops, Path(folder), emulator)
            export = model.card.training.get("export", {})
            kind = {"precision": export.get("precision"), **export.get("calibration", {})}
            told[name] = {"reduce_range": kind.get("reduce_range"), "precision": kind["precision"], "outputs": {}}
            for output, card in model.card.outputs.items():
                truth = part.truth(card.label_set)
                known = truth >= 0
                one, other = (a[output].argmax(axis=1) for a in (here, there))
                told[name]["outputs"][card.label_set] = {
                    "n": int(known.sum()),
                    "top1_here": round(100 * float((one == truth)[known].mean()), 2),
                    "top1_without": round(100 * float((other == truth)[known].mean()), 2),
                    "other_answers": int((one != other).sum()),
                    "largest_difference": round(float(np.abs(here[output] - there[output]).max()), 4),
                }
            print(name, json.dumps(told[name]), flush=True)
    return told


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__, data=True, faces=500, seed=0)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--emulator", default=EMULATOR)
    asked = parser.parse_args()
    found = measure(tables.read(asked.data), asked.models, asked.faces, asked.seed, asked.emulator.split())
    if asked.record:
        vnni = "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
        said = {"here": {"processor": runs.processor(), "vnni": vnni}, "there": asked.emulator, "faces": asked.faces}
        files = {Path(name).name: told for name, told in found.items()}
        recording.write(asked.record, said | {"files": files})


if __name__ == "__main__":
    main()
