"""How long networks take for a face before anybody trains them: milliseconds on one thread, at 32 and at 8 bit.

    python benchmarks/networks.py [--rounds 30] [--record benchmarks/networks.json]

Every candidate has random weights (time does not depend on them), two heads, and goes through the same export as a
trained network. All take turns within a round, so that a machine whose speed drifts slows all alike; figures are
medians over the rounds, and the last column is the time against the first candidate's at 32 bit, the network of `fast`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

from mien.evaluate.calibration import Calibration
from mien.export import graph, quantise
from mien.train import devices, networks, recipe

HEADS = {"ferplus": 8, "fer2013": 7}
CANDIDATES = {
    "residual 16-48-96-176 (fast)": "{stem: [16], widths: [48, 96, 176], depths: [2, 2, 2]}",
    "residual 40-80-160": "{widths: [40, 80, 160], depths: [2, 2, 2]}",
    "residual 24-48-96": "{widths: [24, 48, 96], depths: [2, 2, 2]}",
    "residual 32-64-128, one block": "{widths: [32, 64, 128], depths: [1, 1, 1]}",
    "residual 16-64-128-256": "{stem: [16], widths: [64, 128, 256], depths: [2, 2, 2]}",
    "residual 32-80-160-304": "{stem: [32], widths: [80, 160, 304], depths: [2, 2, 2]}",
    "residual 32-64-128-256, 3 blocks": "{stem: [32], widths: [64, 128, 256], depths: [3, 3, 3]}",
    "residual 16-48-96-176-320, four stages": "{stem: [16], widths: [48, 96, 176, 320], depths: [2, 2, 2, 2]}",
    "residual 16-48-96-176, squeeze-excite": "{stem: [16], widths: [48, 96, 176], depths: [2, 2, 2], attention: se}",
    "residual 16-48-96-176, eca": "{stem: [16], widths: [48, 96, 176], depths: [2, 2, 2], attention: eca}",
    "mobileone_s0": "{kind: timm, name: mobileone_s0}",
    "mobilenetv3_small_100": "{kind: timm, name: mobilenetv3_small_100}",
    "repvgg_a0": "{kind: timm, name: repvgg_a0}",
    "resnet18": "{kind: timm, name: resnet18}",
    "resnet18, small stem": "{kind: timm, name: resnet18, stem: small}",
}
RECIPE = """
name: candidate
description: of benchmarks/networks.py
heads: [{{label_set: ferplus}}, {{label_set: fer2013}}]
network: {network}
stages: [{{epochs: 1, learning_rate: 0.1}}]
"""


def build(network: str) -> tuple[dict[str, Any], dict[str, onnxruntime.InferenceSession]]:
    """What is known of a candidate, and its sessions by precision."""
    spec = recipe.parse(RECIPE.format(network=network))
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


def main() -> None:
    """Build all, let them take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--record", type=Path)
    asked = parser.parse_args()
    built = {name: build(network) for name, network in CANDIDATES.items()}
    face = np.random.default_rng(1).integers(0, 256, (1, 48, 48, 3), np.uint8)
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(asked.rounds + 1):
        for name, (_, sessions) in built.items():
            for precision, session in sessions.items():
                spent = milliseconds(session, face)
                if number:  # the first round warms up
                    taken.setdefault((name, precision), []).append(spent)
    first = statistics.median(taken[next(iter(CANDIDATES)), "fp32"])
    print("| network | parameters | GMAC | fp32: MB, ms | int8: MB, ms | int8 against the first at fp32 |")
    print("|---|---|---|---|---|---|")
    for name, (facts, sessions) in built.items():
        facts["milliseconds"] = {p: round(statistics.median(taken[name, p]), 3) for p in sessions}
        cells = [f"{facts['megabytes'][p]}, {facts['milliseconds'][p]:.2f}" for p in sessions]
        ratio = facts["milliseconds"]["int8"] / first
        size = f"{facts['parameters'] / 1e6:.2f} M | {facts['gmac']:.3f}"
        print(f"| {name} | {size} | {cells[0]} | {cells[1]} | {ratio:.2f} |")
    if asked.record:
        found = {
            "processor": devices.processor(),
            "rounds": asked.rounds,
            "networks": {n: f for n, (f, _) in built.items()},
        }
        asked.record.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
