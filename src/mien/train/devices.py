"""Devices, processes and precision of a training, all by Lightning Fabric.

Fabric rather than Lightning's Trainer, because the loop is ours: a run must go on after a kill with the very weights
of one that was never killed, and each epoch is a function of its seed, which the Trainer's own order of hooks,
loaders and samplers would have to be bent to. Fabric brings what is hard, the launching and joining of processes on
several devices and machines (``torchrun``, SLURM and its own launcher) and mixed precision, and nothing else.
"""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from mien.errors import TrainingError
from mien.runs import processor

_PATIENCE = 2.0  # seconds


def fabric(precision: str = "auto", accelerator: str = "auto", devices: str | int = 1, nodes: int = 1) -> Fabric:
    """What drives a training; call its ``launch()`` first thing if there are several devices.

    Args:
        precision: of a recipe; ``auto`` takes bf16-mixed where the hardware has it.
        accelerator: ``auto``, ``cpu``, ``cuda``, ``mps``.
        devices: how many, a list as in ``"0,1"``, or ``"auto"`` for all; on ``cpu`` the number of processes.
        nodes: machines, started as Lightning's users start them.

    Raises:
        TrainingError: there are no such devices here.
    """
    try:
        return Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=_precision(precision))
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"cannot train on {accelerator} with devices {devices}: {reason}") from error


def end_launched(fabric: Fabric) -> None:
    """End the other processes that this one launched, for a training that stops.

    They may wait in a collective for this one, where they hear no signal but the last.
    """
    running = getattr(fabric.strategy.launcher, "procs", [])
    launched = list(running)
    running.clear()  # else Fabric, which watches them, kills this process, too
    for process in launched:
        process.terminate()
    for process in launched:
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def memory_layout(network: nn.Module) -> torch.memory_format:
    """The layout a network trains fastest in that its convolutions survive: channels last, save for one case.

    oneDNN 3.13, in torch 2.15, writes past its buffers when two or more threads compute the weight gradient of a
    strided 1x1 convolution of fewer than 16 channels, channels last, on AVX-512: the process dies.
    """
    for module in network.modules():
        is_convolution = isinstance(module, nn.Conv2d) and module.in_channels < 16
        if is_convolution and module.kernel_size == (1, 1) and module.stride != (1, 1):
            return torch.contiguous_format
    return torch.channels_last


def spare_slow_kernels(network: nn.Module, fabric: Fabric) -> None:
    """Compute strided depthwise convolutions in 32 bit on a CPU, whatever the precision of the rest.

    oneDNN 3.13 has no kernel for their input gradient in bf16 but its reference code; ``benchmarks/depthwise.py`` has
    what that costs a MobileNet.

    Args:
        network: changed in place; its weights and their names stay as they are.
        fabric: drives device and precision.
    """
    if fabric.device.type != "cpu":
        return
    for module in network.modules():
        if not isinstance(module, nn.Conv2d) or isinstance(module, _In32Bit):
            continue
        if module.groups == module.in_channels > 1 and max(module.stride) > 1:
            own = type(module)
            # A class made here: a Conv2d still, which the type checker cannot know.
            module.__class__ = type(f"{own.__name__}In32Bit", (_In32Bit, own), {})  # pyright: ignore[reportAttributeAccessIssue]


N = TypeVar("N", bound=nn.Module)


def placed(network: N, device: torch.device, layout: torch.memory_format) -> N:
    """A network moved to a device, its weights laid out in memory as said."""
    return network.to(device, memory_format=layout)  # pyright: ignore[reportCallIssue]  torch's types lack both at once


class _In32Bit(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        with torch.autocast(pixels.device.type, enabled=False):
            return super().forward(pixels.float())  # pyright: ignore[reportCallIssue]  the other base is a Conv2d


def environment(fabric: Fabric) -> dict[str, Any]:
    """What a reader of ``run.json`` needs to judge times and figures."""
    cuda = fabric.device.type == "cuda"
    return {
        "mien": version("mien"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU",
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "processes": fabric.world_size,
        "precision": str(fabric._precision.precision),
    }


def _precision(asked: str) -> Any:
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"
