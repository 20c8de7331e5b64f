"""What a killed job leaves running, and what its workers say."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien import batch

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked for in /proc")

JOB = """
import subprocess, sys, time
from mien.batch_guard import guarded
with guarded():
    helper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
    time.sleep(1.2)  # it looks twice a second
    print(helper.pid, flush=True)
    if sys.argv[1] == "killed":
        time.sleep(60)
helper_is_there = helper.poll() is None
helper.kill()
print(helper_is_there)
"""


def test_what_a_killed_job_started_ends_too():
    job = subprocess.Popen([sys.executable, "-c", JOB, "killed"], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    helper = int(job.stdout.readline())
    os.kill(job.pid, signal.SIGKILL)
    job.communicate()
    until = time.monotonic() + 30
    while is_running(helper) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(helper)


def test_a_job_that_ends_by_itself_has_nothing_killed():
    done = subprocess.run([sys.executable, "-c", JOB, "ends"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "True"


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_says_why_it_cannot_write(tmp_path):
    image = Path(__file__).resolve().parents[1] / "docs" / "astronaut.jpg"
    asked = {"job": json.dumps({"detector": "none", "model": "fast"}), "number": 3, "sources": json.dumps([str(image)])}
    done = batch.ReadShard()(asked | {"folder": str(tmp_path / "gone")})
    assert done["error"].startswith("cannot write")
    assert "gone does not exist" in done["error"]
    (tmp_path / "job").mkdir()
    assert batch.ReadShard()(asked | {"folder": str(tmp_path / "job")})["error"] == ""
