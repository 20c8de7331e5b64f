"""Third-party files fetched at first use: over https, checked, cached.

Owns the cache folder and the rule that a file is either absent or whole and the expected one. Refuses to know
what the files are for; who needs one describes it as an :class:`Asset`.

Environment: ``MIEN_CACHE`` names the cache folder; ``MIEN_OFFLINE=1`` forbids every download.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from mien import files
from mien.errors import DownloadError, WriteError


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that mien can fetch: its name in the cache, https address, sha256 (hex) and size in bytes."""

    name: str
    url: str
    sha256: str
    size: int


def is_offline() -> bool:
    """Whether ``MIEN_OFFLINE`` forbids the network."""
    return os.environ.get("MIEN_OFFLINE", "") not in ("", "0")


def cache_folder() -> Path:
    """Where fetched files lie: ``MIEN_CACHE``, or the platform's cache folder for mien."""
    chosen = os.environ.get("MIEN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("mien"))


def fetch(asset: Asset, *, timeout: float = 30) -> Path:
    """The path of an asset in the cache, downloaded first if it is not there.

    A cached file is checked each time (a quarter of a megabyte takes well under a millisecond) and replaced
    if it is not the expected one. The download goes to a temporary name, so no half file is ever found.

    Args:
        asset: what to fetch.
        timeout: seconds to wait for the server at each step.

    Raises:
        DownloadError: the file is not cached and offline mode is on, the server cannot be reached, what it
            sends is not the expected file, or the cache folder cannot be written.
    """
    path = cache_folder() / asset.name
    if _is_expected(path, asset):
        return path
    if is_offline():
        missing = f"{path} is another file than expected" if path.exists() else f"{asset.name} is not in {path.parent}"
        raise DownloadError(
            f"{missing}, and MIEN_OFFLINE forbids fetching it: unset MIEN_OFFLINE,"
            f" or put the file there from {asset.url}"
        )
    data = _download(asset, timeout)
    try:
        files.write(path, data, parents=True)
    except WriteError as error:
        raise DownloadError(f"{error}; name a folder that can be written in MIEN_CACHE") from error
    return path


def _is_expected(path: Path, asset: Asset) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256
    except OSError:
        return False


def _download(asset: Asset, timeout: float) -> bytes:
    import http.client
    from urllib.request import urlopen

    try:
        with urlopen(asset.url, timeout=timeout) as response:
            data: bytes = response.read(asset.size + 1)
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", None) or error
        raise DownloadError(
            f"cannot fetch {asset.url}: {reason}; without a network put the file into {cache_folder()}"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != asset.sha256:
        raise DownloadError(
            f"{asset.url} sent another file than expected: {len(data):,} bytes with sha256 {found[:12]}…,"
            f" expected {asset.size:,} bytes with {asset.sha256[:12]}…; nothing was kept"
        )
    return data
