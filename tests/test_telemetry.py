"""Nothing is told to others: no file for a maker's telemetry, no name looked up that nobody asked for."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PREDICT = """
import numpy
from mien import Recognizer
face = numpy.zeros((48, 48, 3), numpy.uint8)
assert len(Recognizer(detector="none").predict(face, color="rgb").faces) == 1
"""
# What of training and reports might tell its maker something, in use.
TRAINING = """
import logging
from lightning_fabric import Fabric
logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
Fabric(accelerator="cpu", devices=1).launch()
import mien.export.graph, mien.export.quantise, mien.networks.build, mien.report.plots, timm, torchvision, onnxscript
timm.create_model("resnet18", pretrained=False)
from matplotlib.figure import Figure
Figure().savefig("plot.png")
"""
BATCH = """
from pathlib import Path
from PIL import Image
from mien import batch
Path("pictures").mkdir()
Image.new("RGB", (48, 48)).save("pictures/a.png")
done = list(batch.run(batch.list_sources(["pictures"]), Path("job"), batch.Job(detector="none"), workers=1))[-1]
assert done.failed == 0 and done.pictures == 1, done
from ray._common.usage import usage_lib
assert not usage_lib.usage_stats_enabled()
"""
# Answers nothing on the port of name servers, and prints each name that is asked for.
LISTEN = r"""
import os, signal, socket, subprocess, sys, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
def listen():
    while True:
        query, place, labels = server.recv(4096), 12, []
        while length := query[place]:
            labels.append(query[place + 1 : place + 1 + length].decode("ascii", "replace"))
            place += length + 1
        print("asked", ".".join(labels), flush=True)
threading.Thread(target=listen, daemon=True).start()
sys.exit(subprocess.run([sys.executable, "-W", "ignore", "-c", sys.argv[1]]).returncode)
"""


def environment(home: Path) -> dict[str, str]:
    """As a user has it who has set nothing."""
    quiet = ("ORT_", "HF_", "RAY_", "DO_NOT_TRACK", "DISABLE_TELEMETRY", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(quiet)}
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "MIEN_OFFLINE": "1"}


def files_of(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


def test_a_prediction_leaves_no_file_in_a_fresh_home(tmp_path):
    subprocess.run([sys.executable, "-c", PREDICT], env=environment(tmp_path), cwd=tmp_path, check=True)
    assert files_of(tmp_path) == set()


def test_onnxruntime_is_imported_in_one_place_alone():
    importing = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("import onnxruntime", "from onnxruntime"))
    ]
    assert importing.count("src/mien/runtime.py") == 1
    assert set(importing) == {"src/mien/runtime.py", "src/mien/export/quantise.py"}  # which imports it after that


@pytest.mark.parametrize(
    ("module", "library", "switch"),
    [
        ("mien.models", "onnxruntime", "ORT_DISABLE_TELEMETRY"),
        pytest.param("mien.export.quantise", "onnxruntime", "ORT_DISABLE_TELEMETRY", marks=pytest.mark.slow),
        pytest.param("mien.export.graph", "huggingface_hub", "HF_HUB_DISABLE_TELEMETRY", marks=pytest.mark.slow),
        pytest.param("mien.networks.residual", "huggingface_hub", "HF_HUB_DISABLE_TELEMETRY", marks=pytest.mark.slow),
    ],
)
def test_the_switch_is_set_before_the_first_import(module, library, switch):
    program = f"""
    import os, sys

    class Watch(dict):
        def find_spec(self, name, path=None, target=None):
            if name == "{library}.capi" or name == "{library}.constants":
                assert os.environ.get("{switch}") == "1", "imported too early"
                print("seen")

    sys.meta_path.insert(0, Watch())
    import {module}
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment(ROOT), capture_output=True, text=True, check=True)
    assert "seen" in done.stdout


def test_whoever_wants_telemetry_can_have_it(tmp_path):
    program = "import os, mien.models; assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'"
    told = environment(tmp_path) | {"ORT_DISABLE_TELEMETRY": "0"}
    subprocess.run([sys.executable, "-c", program], env=told, check=True)


@pytest.mark.slow
def test_training_and_reports_leave_nothing_but_the_cache_of_fonts(tmp_path):
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAINING], env=environment(tmp_path), cwd=tmp_path, check=True
    )
    left = files_of(tmp_path) - {"plot.png"}
    assert {Path(name).name.partition("-")[0] for name in left} <= {"fontlist"}


def alone(program: str, home: Path) -> list[str]:
    """Run a program where there is no network but itself; the names that it asked for."""
    if sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("a network of its own needs Linux, root, unshare and ip")
    (home / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script = 'ip link set lo up && mount --bind resolv.conf /etc/resolv.conf && exec "$0" -c "$1" "$2"'
    command = ["unshare", "--net", "--mount", "sh", "-c", script, sys.executable, LISTEN, program]
    done = subprocess.run(command, env=environment(home), cwd=home, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr and "unshare" in done.stderr:
        pytest.skip("this machine allows no network namespace")
    assert done.returncode == 0, done.stderr
    # Ray asks for the name of its own machine.
    asked = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("asked ")]
    return [name for name in asked if name.partition(".")[0] != os.uname().nodename.partition(".")[0]]


def test_a_name_that_is_asked_for_is_seen(tmp_path):
    program = "import socket\ntry: socket.getaddrinfo('example.org', 443)\nexcept OSError: pass"
    assert "example.org" in alone(program, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("program", [PREDICT, PREDICT + TRAINING, BATCH], ids=["predict", "train", "batch"])
def test_no_name_is_asked_for_in_25_seconds(tmp_path, program):
    if program == BATCH:
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'mien[batch]'")
    # Ray asks the cloud that this machine may belong to which TPU it has; nothing else leaves.
    allowed = {"metadata.google.internal"} if program == BATCH else set()
    timed = f"import time\nbegan = time.monotonic()\n{program}\ntime.sleep(max(began + 25 - time.monotonic(), 0))"
    assert set(alone(timed, tmp_path)) <= allowed
