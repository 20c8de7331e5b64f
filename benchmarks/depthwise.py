"""How much of a MobileNet's training step is the input gradient of its strided depthwise convolutions, on this CPU.

    python benchmarks/depthwise.py [--record depthwise.json]

One training step (forward and backward) of timm's mobilenetv1_100 at 96 px in bf16, channels last, one thread, with
either padding, plain and as :func:`mien.train.devices.spare_slow_kernels` prepares it, in turn; CPU milliseconds a
face, least of the rounds, and their ratio. A CPU without bf16 has no use for either.
"""

from __future__ import annotations

import time

import recording
import timm
import torch
from torch import nn

from mien.runs import processor
from mien.train import devices

SIDE, FACES = 96, 64


def network(spared: bool, padding: str) -> nn.Module:
    made = timm.create_model("mobilenetv1_100", num_classes=0, in_chans=1, pad_type=padding).train()
    if spared:
        devices.spare_slow_kernels(made, devices.fabric("bf16-mixed", "cpu"))
    return made.to(memory_format=torch.channels_last)


def step(made: nn.Module, faces: torch.Tensor) -> float:
    """CPU milliseconds a face of one forward and backward pass."""
    started = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = made(faces)
    features.float().pow(2).mean().backward()
    return (time.process_time() - started) * 1000 / len(faces)


def main() -> None:
    parser = recording.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    faces = torch.rand(FACES, 1, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    found: dict[str, object] = {"rounds": given.rounds, "processor": processor(), "torch": torch.__version__}
    for padding in ("symmetric", "same"):
        ways = {name: network(name == "spared", padding.replace("symmetric", "")) for name in ("plain", "spared")}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(given.rounds + 1):
            for name, made in ways.items():
                times[name].append(step(made, faces))
        least = {name: round(min(of[1:]), 2) for name, of in times.items()}
        found[f"{padding} padding"] = {"ms_a_face": least, "ratio": round(least["plain"] / least["spared"], 2)}
    recording.show(found, given.record)


if __name__ == "__main__":
    main()
