"""Networks of one recipe against each other: validation accuracy, and milliseconds a face of their 8-bit files.

    python benchmarks/networks.py fer2013.parquet [--jobs 1] [--seeds 1] [--names fast,...]
    python benchmarks/networks.py --time [--rounds 30]      # beside nothing else
    python benchmarks/networks.py --table                   # prints what benchmarks/networks.json holds

Each network takes the place of the recipe ``ablation``'s, for 15 epochs; benchmarks/trials.py says how runs are trained
and recorded, in runs/networks. A network's time does not depend on its weights: those that are timed are random, go
through the same export as a trained one and take turns within a round, so that a machine whose speed drifts slows all
alike; milliseconds are medians over the rounds on one thread.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import recording
import torch
import trials
from torch.utils.flop_counter import FlopCounterMode

from mien import runs
from mien.evaluate.calibration import Calibration
from mien.export import graph, quantise
from mien.networks import build as networks
from mien.recipes import loader

RECORD = Path(__file__).with_suffix(".json")
RUNS = Path("runs/networks")
HEADS = {"ferplus": 8, "fer2013": 7}


def candidate(name: str, says: str, network: str, *further: str) -> trials.Trial:
    """A trial of a network, given as YAML, and what else it cannot learn without."""
    return trials.Trial(name, says, (f"network={network}", "stages.0.epochs=15", *further))


CANDIDATES = (
    candidate("small", "residual 24-48-96", "{widths: [24, 48, 96], depths: [2, 2, 2]}"),
    candidate("middle", "residual 40-80-160", "{widths: [40, 80, 160], depths: [2, 2, 2]}"),
    candidate(
        "fast", "residual 16-48-96-176, the shipped fast's", "{stem: [16], widths: [48, 96, 176], depths: [2, 2, 2]}"
    ),
    candidate(
        "fast-se",
        "the shipped fast with squeeze-excite",
        "{stem: [16], widths: [48, 96, 176], depths: [2, 2, 2], attention: se}",
    ),
    candidate(
        "fast-eca",
        "the shipped fast with efficient channel attention",
        "{stem: [16], widths: [48, 96, 176], depths: [2, 2, 2], attention: eca}",
    ),
    candidate(
        "default",
        "residual 16-48-96-176, three blocks a stage, the shipped default's",
        "{stem: [16], widths: [48, 96, 176], depths: [3, 3, 3], drop_path: 0.1}",
    ),
    candidate(
        "vgg", "VGG 32-64-128, two convolutions a group", "{kind: vgg, widths: [32, 64, 128], depths: [2, 2, 2]}"
    ),
    candidate("separable", "separable convolutions", "{kind: separable}"),
    candidate("mobileone", "MobileOne-S0", "{kind: timm, name: mobileone_s0}"),
    candidate("mobilenet", "MobileNetV3-small", "{kind: timm, name: mobilenetv3_small_100}"),
    candidate("efficientnet", "EfficientNet-lite0", "{kind: timm, name: efficientnet_lite0}"),
    candidate("repvgg", "RepVGG-A0", "{kind: timm, name: repvgg_a0}"),
    candidate(
        "convnext",
        "ConvNeXt-atto, by AdamW",
        "{kind: timm, name: convnext_atto}",
        "stages.0.optimizer=adamw",
        "stages.0.learning_rate=0.002",
        "stages.0.weight_decay=0.05",
    ),
    candidate("fastvit", "FastViT-T8", "{kind: timm, name: fastvit_t8}"),
    candidate("resnet18", "ResNet18", "{kind: timm, name: resnet18}"),
)


def build(trial: trials.Trial) -> tuple[dict[str, Any], dict[str, onnxruntime.InferenceSession]]:
    """What is known of a candidate, and its sessions by precision."""
    spec = loader.load(trials.RECIPE, trial.changes)
    torch.manual_seed(0)
    made = networks.build(spec, HEADS).eval()
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        made(torch.rand(1, 1, 48, 48))
    faces = np.random.default_rng(0).integers(0, 256, (64, 1, 48, 48), np.uint8)
    exact = graph.export_network(made, tuple(HEADS), 48, 1)
    outputs = {name: (name, Calibration()) for name in HEADS}
    files = {
        "fp32": graph.wrap(exact, outputs, 48, 1),
        "int8": graph.wrap(quantise.to_int8(exact, faces, "minmax"), outputs, 48, 1),
    }
    facts = {
        "parameters": networks.parameters(made),
        "gmac": round(flops.get_total_flops() / 2e9, 4),
        "megabytes": {name: round(len(file) / 1e6, 2) for name, file in files.items()},
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    sessions = {
        n: onnxruntime.InferenceSession(f, options, providers=["CPUExecutionProvider"]) for n, f in files.items()
    }
    return facts, sessions


def milliseconds(session: onnxruntime.InferenceSession, faces: np.ndarray, calls: int = 10) -> float:
    """Mean of some calls with one face each."""
    start = time.perf_counter()
    for _ in range(calls):
        session.run(None, {"faces": faces})
    return 1000 * (time.perf_counter() - start) / calls


def timed(rounds: int) -> dict[str, Any]:
    """Every candidate built, and its milliseconds: what the record says of networks before anybody trains them."""
    built = {trial.name: build(trial) for trial in CANDIDATES}
    face = np.random.default_rng(1).integers(0, 256, (1, 48, 48, 3), np.uint8)
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for name, (_, sessions) in built.items():
            for precision, session in sessions.items():
                spent = milliseconds(session, face)
                if number:  # the first round warms up
                    taken.setdefault((name, precision), []).append(spent)
    for name, (facts, sessions) in built.items():
        facts["milliseconds"] = {p: round(statistics.median(taken[name, p]), 3) for p in sessions}
    return {"processor": runs.processor(), "rounds": rounds, "networks": {n: f for n, (f, _) in built.items()}}


def table(recorded: dict[str, Any]) -> str:
    """The Markdown table, quickest file first; networks that were not run say so."""
    lines = []
    of = recorded["networks"]
    for trial in sorted(CANDIDATES, key=lambda trial: of[trial.name]["milliseconds"]["int8"]):
        facts = of[trial.name]
        size = (f"{facts['parameters'] / 1e6:.2f}", f"{facts['gmac']:.3f}", facts["megabytes"]["int8"])
        figures = trials.cells(recorded["trained"].get(trial.name, {}))
        lines.append((f"{trial.name}: {trial.says}", *size, f"{facts['milliseconds']['int8']:.2f}", *figures))
    head = ("", "parameters, M", "GMAC", "MB, 8 bit", "ms a face", "original labels, %", "FER+, %")
    return recording.markdown(head, lines)


def main() -> None:
    """Time the networks, train what is missing, keep the record, print the table."""
    parser = trials.parser(__doc__, CANDIDATES, "1")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    asked = parser.parse_args()
    recorded = recording.read(RECORD)
    if asked.time:
        recorded |= timed(asked.rounds)
        recording.write(RECORD, recorded, indent=2)
    if asked.time or asked.table:
        print(table(recorded))
        return
    if asked.data is None:
        parser.error("name the data table: fer2013.parquet, from mien data import fer2013")
    chosen = [trial for trial in CANDIDATES if trial.name in asked.names.split(",")]
    wanted = trials.missing(chosen, asked.seeds.split(","), asked.data, RECORD, "trained")
    for trial, seed, found in trials.run(wanted, asked.data, RUNS, asked.jobs):
        print(table(trials.add(RECORD, "trained", trial, seed, found)), flush=True)


if __name__ == "__main__":
    main()
