"""Pictures from addresses: only where that was allowed, and never from the service's own network."""

import socket
import threading
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from mien.serve.app import create_app
from mien.serve.settings import Settings

URI_LIST = {"Content-Type": "text/uri-list"}


@pytest.fixture(scope="module")
def fetching():
    with TestClient(create_app(Settings(detector="none", allow_urls=True)), base_url="http://localhost") as one:
        yield one


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.delenv("MIEN_OFFLINE", raising=False)


@contextmanager
def listener():
    """A port on all addresses of this machine that counts who comes."""
    came = []
    with socket.create_server(("", 0)) as one:
        one.settimeout(0.1)
        over = threading.Event()

        def listen():
            while not over.is_set():
                try:
                    connection, place = one.accept()
                except TimeoutError:
                    continue
                came.append(place)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield one.getsockname()[1], came
        finally:
            over.set()
            thread.join()


HOSTS = (
    *("0.0.0.0", "[::]", "127.1", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "localhost"),
    *("2130706433", "0177.0.0.1", "0x7f000001", "0"),  # decimal, octal, hexadecimal
    *("169.254.169.254", "10.0.0.1", "192.168.0.1", "100.64.0.1", "[fe80::1]"),
)


def test_no_address_of_the_own_network_is_asked(fetching):
    with listener() as (port, came):
        for host in HOSTS:
            for scheme in ("https", "http"):
                reply = fetching.post("/v1/predict", content=f"{scheme}://{host}:{port}/a.jpg", headers=URI_LIST)
                assert (reply.status_code, reply.json()["type"]) == (422, "/problems/unreadable-source"), host
    assert came == []


def test_a_name_that_leads_to_the_own_network_is_not_asked(fetching, monkeypatch):
    """Also where the second look-up would give another address than the first (rebinding)."""
    looked = []

    def look_up(host, port, *_, **__):
        looked.append(host)
        place = "127.0.0.1" if len(looked) % 2 else "93.184.216.34"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port))]

    with listener() as (port, came):
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        reply = fetching.post("/v1/predict", content=f"https://rebind.example:{port}/a.jpg", headers=URI_LIST)
    assert reply.status_code == 422
    assert looked.count("rebind.example") == 1
    assert came == []


NOT_ONE = (
    "",
    "/etc/passwd",
    "file:///etc/passwd",
    "ftp://a/b",
    "https://a\nhttps://b",
    "# only",
    "rtsp://camera/1",
    "https://" + "a" * 9000,
)


@pytest.mark.parametrize("text", NOT_ONE)
def test_what_is_not_one_web_address_is_refused(fetching, text):
    reply = fetching.post("/v1/predict", content=text, headers=URI_LIST)
    assert reply.status_code in (400, 413, 422)
    assert reply.json()["type"].startswith("/problems/")


def test_a_picture_is_fetched_through_the_checked_reader(fetching, small, monkeypatch):
    from mien.sources import http

    asked = {}

    class Reply:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def open_address(url, *, private=False, timeout=0.0):
        asked.update(url=url, private=private, timeout=timeout)
        return Reply()

    def read_picture(_, *, max_bytes, seconds):
        asked.update(max_bytes=max_bytes, seconds=seconds)
        return small

    monkeypatch.setattr(http, "open_address", open_address)
    monkeypatch.setattr(http, "read_picture", read_picture)
    reply = fetching.post("/v1/predict", content="# a list\r\nhttps://example.org/a.png\r\n", headers=URI_LIST)
    assert reply.json()["width"] == 60
    assert asked == {"url": "https://example.org/a.png", "private": False, "timeout": 5.0, "max_bytes": 8 * 2**20,
                     "seconds": 10.0}  # fmt: skip


def test_nothing_is_fetched_unless_that_was_allowed(client):
    with listener() as (port, came):
        reply = client.post("/v1/predict", content=f"https://127.0.0.1:{port}/a.jpg", headers=URI_LIST)
    assert (reply.status_code, reply.json()["type"]) == (415, "/problems/unsupported-media-type")
    assert came == []
