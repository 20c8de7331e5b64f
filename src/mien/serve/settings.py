"""What one service is: its models, its limits and who may use it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from mien.errors import MienError, shown

_SIZE = re.compile(r"(\d{1,12})\s*([kmg]?)b?", re.IGNORECASE)
_FACTOR = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
#: Names the folder through which workers share what they count; set before Prometheus' client is loaded.
COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: Characters that an API key must have at least.
SHORTEST_KEY = 16


@dataclass(frozen=True)
class Settings:
    """How the service is run. Sizes are bytes, times seconds; limits on waiting hold for each worker process.

    Attributes:
        host, port: where it listens; port 0 takes a free one.
        workers: processes, each with one thread that recognizes.
        models: names or files of the models that are loaded; the first is the default.
        detector: the default detector, as for :class:`mien.Recognizer`.
        max_bytes: of one picture, whatever form it comes in.
        max_pixels: of one picture, all frames of an animation together.
        max_files: of one batch; together they may have four times ``max_bytes``.
        max_video_bytes, max_video_seconds: of one video.
        queue: requests that may wait in a worker besides the one that is worked on.
        streams: WebSocket connections that a worker keeps at once.
        allow_urls: fetch pictures from web addresses.
        keys: sha256 digests of the API keys; none: nobody needs one.
        cors: origins of web pages elsewhere that may use the service.
        hosts: names that the service may be called by besides addresses and localhost; "*" for any.
        certificate, private_key: files for TLS.
        body_seconds, least_rate: a body may take ``body_seconds``, and a second more for each ``least_rate`` bytes.
        send_seconds: that a client may leave a piece of a reply unread.
        drain_seconds: that requests under way may take after SIGTERM.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    models: tuple[str, ...] = ("default",)
    detector: str = "auto"
    max_bytes: int = 8 * 2**20
    max_pixels: int = 50_000_000
    max_files: int = 16
    max_video_bytes: int = 64 * 2**20
    max_video_seconds: float = 60.0
    queue: int = 16
    streams: int = 8
    allow_urls: bool = False
    keys: tuple[bytes, ...] = ()
    cors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    body_seconds: float = 10.0
    least_rate: int = 64 * 2**10
    send_seconds: float = 30.0
    drain_seconds: int = 30


def parse_size(text: str) -> int:
    """Bytes of a size such as ``8M``; K, M and G are powers of 1024.

    Raises:
        MienError: it is no size, or nothing.

    >>> parse_size("8M"), parse_size("512 kB")
    (8388608, 524288)
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * _FACTOR[found[2].lower()] if found else 0
    if not size:
        raise MienError(f"'{shown(text)}' is no size: write a number of bytes, or 512K, 8M, 1G")
    return size


def read_keys(path: Path) -> tuple[bytes, ...]:
    """sha256 digests of the API keys in a file: one a line; empty lines and those that begin with # do not count.

    Raises:
        MienError: the file cannot be read, holds no key, or one that is too short or not ASCII.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MienError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    keys = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not keys:
        raise MienError(f"{path}: holds no API key; write one a line")
    for number, key in enumerate(keys, start=1):
        if len(key) < SHORTEST_KEY or not re.fullmatch(r"[\x21-\x7e]+", key):
            raise MienError(f"{path}: key {number} must be {SHORTEST_KEY} or more ASCII characters without blanks")
    return tuple(digest(key) for key in keys)


def digest(key: str) -> bytes:
    """What is kept of an API key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
