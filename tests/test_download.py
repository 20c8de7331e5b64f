import hashlib
import io
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mien.download import Asset, cache_folder, fetch
from mien.errors import DownloadError

CONTENT = b"a small network" * 100
ASSET = Asset("net.onnx", "https://example.org/net.onnx", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    monkeypatch.delenv("MIEN_OFFLINE", raising=False)
    return folder


@pytest.fixture
def server(monkeypatch):
    """What the server sends (bytes or an exception), and the addresses it was asked for."""

    class Server:
        sends: bytes | Exception = CONTENT
        asked: tuple = ()

        def open(self, url, timeout):
            self.asked += ((url, timeout),)
            if isinstance(self.sends, Exception):
                raise self.sends
            return io.BytesIO(self.sends)

    one = Server()
    monkeypatch.setattr(urllib.request, "urlopen", one.open)
    return one


def test_a_file_is_fetched_once_and_kept(cache, server):
    assert fetch(ASSET, timeout=3).read_bytes() == CONTENT
    assert fetch(ASSET) == cache / "net.onnx"
    assert server.asked == ((ASSET.url, 3),)
    assert [file.name for file in cache.iterdir()] == ["net.onnx"]


def test_another_file_than_expected_is_refused_and_not_kept(cache, server):
    server.sends = b"version https://git-lfs.github.com/spec/v1"
    with pytest.raises(DownloadError, match=r"another file than expected: 42 bytes .* nothing was kept"):
        fetch(ASSET)
    assert not cache.exists()


def test_an_endless_answer_is_not_read_to_its_end(cache, monkeypatch):
    class Endless(io.BytesIO):
        def read(self, size=-1):
            assert 0 < size < 10_000
            return b"x" * size

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Endless())
    with pytest.raises(DownloadError, match="another file"):
        fetch(ASSET)


@pytest.mark.parametrize(
    "fault",
    [urllib.error.URLError("no route to host"), TimeoutError("timed out"), ConnectionResetError("reset")],
)
def test_a_server_out_of_reach_is_named(cache, server, fault):
    server.sends = fault
    with pytest.raises(DownloadError, match=r"cannot fetch https://example\.org/net\.onnx: .*cache"):
        fetch(ASSET)


def test_a_write_that_fails_leaves_nothing(cache, server, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DownloadError, match="No space left on device; name a folder"):
        fetch(ASSET)
    assert list(cache.iterdir()) == []


def test_a_damaged_cached_file_is_replaced(cache, server):
    cache.mkdir()
    (cache / "net.onnx").write_bytes(CONTENT[:-1])
    assert fetch(ASSET).read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_offline_nothing_is_asked_for(cache, server, monkeypatch):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"net\.onnx is not in .*MIEN_OFFLINE.*https://example\.org"):
        fetch(ASSET)
    assert server.asked == ()
    cache.mkdir()
    (cache / "net.onnx").write_bytes(b"something else")
    with pytest.raises(DownloadError, match=r"net\.onnx is another file than expected, and MIEN_OFFLINE"):
        fetch(ASSET)
    (cache / "net.onnx").write_bytes(CONTENT)
    assert fetch(ASSET) == cache / "net.onnx"


def test_offline_0_means_online(cache, server, monkeypatch):
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    assert fetch(ASSET).exists()


def test_a_cached_file_is_used_from_a_folder_that_cannot_be_written(cache, server):
    cache.mkdir()
    (cache / "net.onnx").write_bytes(CONTENT)
    cache.chmod(0o500)
    try:
        assert fetch(ASSET).read_bytes() == CONTENT
    finally:
        cache.chmod(0o700)
    assert server.asked == ()


def test_a_cache_that_is_a_file_is_an_error(cache, server):
    cache.write_bytes(b"")
    with pytest.raises(DownloadError, match="name a folder that can be written in MIEN_CACHE"):
        fetch(ASSET)


def test_the_platforms_cache_folder_is_the_default(monkeypatch):
    monkeypatch.delenv("MIEN_CACHE", raising=False)
    assert cache_folder().name == "mien"
    monkeypatch.setenv("MIEN_CACHE", "~/x")
    assert cache_folder() == Path.home() / "x"
