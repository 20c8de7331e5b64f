"""``mien serve`` as a command: start, workers, drain, TLS, and what is said when it cannot start."""

import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import MienError
from mien.serve.server import configured
from mien.serve.settings import Settings
from support.command_line import mien
from support.service import Process, memory


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with Process("--workers", 2, "--detector", "haar", "--queue", 200, folder=tmp_path_factory.mktemp("pair")) as one:
        yield one


def test_it_is_on_this_machine_only_unless_told_otherwise(pair):
    listening = [line for line in pair.lines() if line["event"] == "starting"]
    assert [(line["host"], line["workers"]) for line in listening] == [("127.0.0.1", 2)]
    place = f"{pair.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{place}")] == [f"0100007F:{place}"]


def test_the_numbers_are_of_all_workers(pair, small):
    before = len([line for line in pair.lines() if line["event"] == "request" and line["method"] == "POST"])
    for _ in range(12):  # a connection each, so that both workers get some
        httpx2.post(f"{pair.url}/v1/predict?detector=none", content=small, timeout=60)
    for _ in range(6):
        text = httpx2.get(f"{pair.url}/metrics", timeout=60).text
        counted = [line for line in text.splitlines() if line.startswith('mien_requests_total{endpoint="predict"')]
        assert sum(float(line.split()[-1]) for line in counted) == before + 12
        assert len([line for line in text.splitlines() if line and line[0] != "#"]) <= 100


def test_connections_that_come_at_once_are_shared_out(pair):
    """A worker that took all there are would refuse some while the other has nothing to do."""
    before = len(pair.lines())
    held = [socket.create_connection(("127.0.0.1", pair.port), 20) for _ in range(40)]
    for one in held:
        one.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for one in held:
        assert one.recv(100).startswith(b"HTTP/1.1 200")
        one.close()
    deadline = time.monotonic() + 20
    while True:  # a line is written once its reply is sent
        took = Counter(line["pid"] for line in pair.lines()[before:] if line["event"] == "request")
        if sum(took.values()) == 40:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert min(took[pid] for pid in pair.pids()) >= 2


def test_a_worker_that_dies_is_replaced(pair, small):
    before = pair.pids()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + 90
    while len(set(pair.pids()) - set(before)) < 1 or sum(line["event"] == "ready" for line in pair.lines()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for _ in range(4):
        assert httpx2.post(f"{pair.url}/v1/predict?detector=none", content=small, timeout=60).status_code == 200


def test_the_log_is_json_and_tells_nothing(pair, small):
    httpx2.post(f"{pair.url}/v1/predict?detector=none", files={"f": ("secret-name.png", small)}, timeout=60)
    text = pair.log.read_text()
    for line in text.splitlines():
        json.loads(line)
    assert "secret-name" not in text


def test_on_sigterm_what_is_under_way_is_answered(tmp_path):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(out, "JPEG")
    picture = out.getvalue()
    with Process("--detector", "haar", "--queue", 50, "--workers", 2, folder=tmp_path) as running:
        codes, errors = [], []

        def one():
            try:
                codes.append(httpx2.post(f"{running.url}/v1/predict", content=picture, timeout=60).status_code)
            except httpx2.HTTPError as error:
                errors.append(repr(error))

        threads = [threading.Thread(target=one) for _ in range(12)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while True:
            text = httpx2.get(f"{running.url}/metrics", timeout=60).text
            admitted = next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("mien_admitted"))
            if admitted + len(codes) >= 12:
                break
            assert time.monotonic() < deadline
        running.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert (codes, errors) == ([200] * 12, [])
        assert running.process.wait(30) == 0
        assert sum(line["event"] == "stopped" for line in running.lines()) == 2
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", running.port), 1):
            pass


def test_tls(tmp_path, small):
    from sources.test_http import CERTIFICATE

    key, certificate = CERTIFICATE.split("-----BEGIN CERTIFICATE-----")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text("-----BEGIN CERTIFICATE-----" + certificate)
    files = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    with Process("--detector", "none", *files, folder=tmp_path) as running:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        with (
            socket.create_connection(("127.0.0.1", running.port), 20) as plain,
            context.wrap_socket(plain, server_hostname="camera.test") as one,
        ):
            one.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 200")
    (tmp_path / "key.pem").write_text("nonsense")
    with pytest.raises(MienError, match="TLS files"):
        configured(Settings(certificate=tmp_path / "cert.pem", private_key=tmp_path / "key.pem"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--model", "nope"), "no model 'nope'"),
        (("--detector", "nope"), "no face detector is called 'nope'"),
        (("--max-bytes", "lots"), "'lots' is no size"),
        (("--api-key-file", "nope"), "nope: cannot be read"),
        (("--tls-cert", "a.pem"), "belong together"),
    ],
)
def test_what_is_wrong_is_one_line(options, told):
    error = CliRunner().invoke(app, ["serve", *options]).exception
    assert isinstance(error, MienError)
    assert told in str(error)
    assert "\n" not in str(error)


def test_a_port_that_is_taken_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = mien("serve", "--port", taken.getsockname()[1], "--detector", "none", cwd=tmp_path, code=2)
    assert done.stderr.startswith("mien: cannot listen on 127.0.0.1")
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_the_extra_the_install_command_is_named(tmp_path):
    program = (
        "import sys; sys.modules['fastapi'] = None\nfrom mien.cli import main\nsys.argv = ['mien', 'serve']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'mien[serve]'" in done.stderr


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path, jpeg):
    with (
        Process("--detector", "auto", folder=tmp_path) as running,
        httpx2.Client(base_url=running.url, timeout=60) as client,
    ):
        (pid,) = running.pids()
        for _ in range(300):
            client.post("/v1/predict", content=jpeg)
        before = memory(pid)
        for _ in range(1000):
            assert client.post("/v1/predict", content=jpeg).status_code == 200
        assert memory(pid) - before < 10
        assert memory(pid) < 200


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path):
    """Requests made from the description of the API. That all are accepted is left out: no schema makes pictures."""
    with Process("--detector", "none", folder=tmp_path) as running:
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{running.url}/openapi.json",
            "--max-examples",
            "20",
        ]
        command += ["--exclude-checks", "positive_data_acceptance", "--seed", "1", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        assert not [line for line in running.lines() if line["event"] == "failed"]
