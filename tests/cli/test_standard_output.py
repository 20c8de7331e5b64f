"""Output that nobody takes: one line and exit code 1, or the signal that other tools end by."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "mien", "recipes", "list"]


@pytest.fixture(autouse=True, params=[False, True], ids=["buffered", "unbuffered"])
def buffered(request, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1" if request.param else "")


posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


def run(command, **options):
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **options)


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_one_line():
    with Path("/dev/full").open("wb") as full:
        done = run(COMMAND, stdout=full)
    assert (done.returncode, done.stderr) == (
        1,
        "mien: cannot write to standard output: No space left on device\n",
    )


@posix
def test_a_closed_standard_output_is_one_line():
    done = run(["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND])
    assert (done.returncode, done.stderr) == (1, "mien: cannot write to standard output: Bad file descriptor\n")


@posix
def test_a_pipe_that_nobody_reads_ends_the_process_as_other_tools_end():
    pipe = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pipe.stdout.close()
    assert pipe.stderr.read() == b""
    pipe.stderr.close()
    assert pipe.wait() == -signal.SIGPIPE


@posix
def test_a_picture_that_is_cut_off_is_no_success(tmp_path, portrait):
    """A limit on the size of files stands for a full disk: the write that meets it is short, the next one fails."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); from mien.cli import main; main()"
    )
    words = ["predict", str(portrait), "--detector", "none", "--annotate", str(tmp_path)]
    done = run([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr == f"mien: cannot write {tmp_path / 'astronaut-mien.jpg'}: File too large\n"
    assert list(tmp_path.iterdir()) == []
