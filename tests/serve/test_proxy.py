"""The service behind nginx, with the configuration that is shipped."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from mien import Recognizer
from support.numbered_frames import write_video
from support.service import Thread, free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx: make tools installs it")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    with Thread(hosts=("faces.example",)) as running:
        text = (DEPLOY / "nginx.conf").read_text()
        for old, new in (
            ("server mien:8000", f"server 127.0.0.1:{running.port}"),
            ("listen 8080", f"listen 127.0.0.1:{port}"),
            ("/tmp/nginx", str(folder / "nginx")),
            ("worker_processes auto;", "worker_processes 1; daemon off;"),
        ):
            assert old in text
            text = text.replace(old, new)
        (folder / "nginx.conf").write_text(text)
        command = [NGINX, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "errors"]
        with (folder / "out").open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 20
                while True:
                    try:
                        httpx2.get(f"{url}/health/ready")
                        break
                    except httpx2.TransportError:
                        assert process.poll() is None, (folder / "errors").read_text()
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
                with httpx2.Client(base_url=url, timeout=30) as client:
                    client.running = running
                    yield client
            finally:
                process.terminate()


@needs_nginx
def test_pictures_and_refusals_pass_through(proxied, jpeg):
    reply = proxied.post("/v1/predict", content=jpeg)
    assert reply.json() == Recognizer(detector="none").predict(jpeg).to_dict()
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    reply = proxied.post("/v1/predict", content=bytes(8 * 2**20 + 1))
    assert (reply.status_code, reply.json()["type"]) == (413, "/problems/too-many-bytes")
    reply = proxied.post("/v1/predict", content=(bytes(2**16) for _ in range(129)))  # chunked
    assert (reply.status_code, reply.json()["type"]) == (413, "/problems/too-many-bytes")
    assert proxied.get("/metrics").status_code == 403
    assert proxied.get("/").headers["content-type"].startswith("text/html")


@needs_nginx
def test_the_name_and_the_origin_are_those_of_the_client(proxied, small):
    for host, origin, status in (
        ("faces.example", "https://faces.example", 200),
        ("faces.example", "https://evil.example", 403),
        ("evil.example", "https://evil.example", 421),
    ):
        reply = proxied.post("/v1/predict", content=small, headers={"Host": host, "Origin": origin})
        assert reply.status_code == status


@needs_nginx
def test_a_busy_service_is_said_through_the_proxy(proxied, small):
    gate = proxied.running.service.gate
    gate.taken += 100
    try:
        reply = proxied.post("/v1/predict", content=small)
    finally:
        gate.taken -= 100
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) >= 1


@needs_nginx
def test_videos_and_streams_pass_through(proxied, small, tmp_path):
    from websockets.sync.client import connect

    clip = write_video(tmp_path / "clip.mp4", 12).read_bytes()
    reply = proxied.post("/v1/video", content=clip, headers={"Content-Type": "video/mp4"})
    assert [json.loads(line)["frame"] for line in reply.text.splitlines()] == list(range(12))
    with connect(str(proxied.base_url).replace("http", "ws").rstrip("/") + "/v1/stream") as socket:
        socket.send(small)
        assert json.loads(socket.recv(20))["width"] == 60
    proxied.running.until(lambda: proxied.running.service.streams == 0)


def test_the_compose_file_names_what_there_is():
    """No engine runs here; that the files are read and agree is what can be checked."""
    import yaml

    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    service, proxy = compose["services"]["mien"], compose["services"]["proxy"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert (DEPLOY / proxy["volumes"][0].partition(":")[0]).exists()
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}
    assert "ports" not in service
    text = (DEPLOY / "Dockerfile").read_text()
    for copied in ("pyproject.toml", "README.md", "LICENSE", "src"):
        assert copied in text
        assert (DEPLOY.parent / copied).exists()
    assert "/health/ready" in text
    assert "USER mien" in text
