"""Pictures, videos and motion JPEG from web addresses, fetched so that an address cannot lead where it should not.

Owns how a reply is asked for, and the limits on size and time; httpx2 reads addresses, httpcore2 speaks HTTP. Refuses
to decode. Beside the rules of :mod:`mien.sources.addresses`:

- only https, unless ``private=True``: cameras speak http;
- a name is looked up once, every address it has is checked, and the connection goes to the very address checked; a
  second look-up could give another one (DNS rebinding). The certificate is verified for the name;
- each of at most ``MAX_REDIRECTS`` redirects is checked in the same way, and a login stays with its own server;
- proxies that the environment names are not used: they would look the name up anew, where nobody checks it.

Messages never show the login or the query of an address.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import ExitStack
from email.message import Message
from http import HTTPStatus
from pathlib import Path

import httpcore2
import httpx2

from mien.errors import SourceError, WriteError, shown
from mien.files import AtomicFile
from mien.sources.addresses import check_online
from mien.sources.connection import CheckedBackend, Clock, explained

#: A picture, or a part of motion JPEG, with more bytes is refused.
MAX_BYTES = 2**26
#: A video with more bytes is refused.
MAX_VIDEO_BYTES = 2**31
#: Redirects that are followed.
MAX_REDIRECTS = 5
#: Seconds that a picture and a video may take in all.
PICTURE_SECONDS, VIDEO_SECONDS = 60.0, 1800.0

_PORTS = {"https": 443, "http": 80}
#: Until a reply's headers are there, all look-ups and redirects may take so many times the timeout.
_PATIENCE = 4
_HINTS = {
    401: "write https://user:password@host/path",
    403: "the server does not let everyone have it",
    429: "try again later",
}


class Reply:
    """An answer whose body is still to be read; close it, or use it as a context manager.

    Attributes:
        url: the address after redirects, without a login.
        content_type: lower case, without parameters; "" if the server names none.
        boundary: what separates the parts of a multipart reply, as declared; None if there is none.
        length: the body's announced number of bytes; None: not known before its end.
        name: ``url`` as messages show it, without its query.
    """

    def __init__(self, url: httpx2.URL, response: httpcore2.Response, clock: Clock, resources: ExitStack) -> None:
        headers = httpx2.Headers(response.headers)
        typed = Message()
        typed["Content-Type"] = headers.get("Content-Type", "")
        length = None if "Transfer-Encoding" in headers else headers.get("Content-Length")
        self.url = str(url)
        self.name = _name(url)
        self.content_type = typed.get_content_type() if "Content-Type" in headers else ""
        self.boundary = typed.get_boundary()
        self.length = None if length is None else int(length)
        self._chunks = response.iter_stream()
        self._clock = clock
        self._resources = resources
        self._read = 0

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._resources.close()

    def allow(self, seconds: float) -> None:
        """From now on all reading may take so long; before the first call, the rest of the time to connect."""
        self._clock.allow(seconds)

    def read(self) -> bytes:
        """The next bytes of the body, as soon as there are some; b"" at its end.

        Raises:
            SourceError: the connection is lost before the end, or the time is over.
        """
        with explained(self.name):
            try:
                data = next(self._chunks, b"")
            except httpcore2.RemoteProtocolError as error:
                announced = "" if self.length is None else f" of {self.length:,}"
                raise SourceError(
                    f"{self.name}: connection lost after {self._read:,}{announced} bytes; try again later"
                ) from error
        self._read += len(data)
        return data


def open_address(url: str, *, private: bool = False, timeout: float = 15) -> Reply:
    """Ask a web server for what lies at an address.

    Args:
        url: https://[user:password@]host[:port]/path?query; a login is sent as basic authentication.
        private: let it be http, and lead into private networks and to this machine.
        timeout: seconds to wait for the server at each step; connecting, redirects included, may take four times
            as long.

    Raises:
        SourceError: the address is not allowed, cannot be reached, or the server answers with anything but 200.
    """
    check_online()
    first, login = _parse(url, private)
    current = first
    clock = Clock(timeout)
    clock.allow(_PATIENCE * timeout)
    for _ in range(MAX_REDIRECTS + 1):
        own = (current.scheme, current.netloc) == (first.scheme, first.netloc)
        with explained(_name(current)), ExitStack() as opened:
            pool = opened.enter_context(
                httpcore2.ConnectionPool(network_backend=CheckedBackend(_name(current), private, clock))
            )
            response = pool.handle_request(_request(current, login if own else b""))
            opened.callback(response.close)
            headers = httpx2.Headers(response.headers)
            if response.status not in (301, 302, 303, 307, 308) or "Location" not in headers:
                _check_reply(_name(current), response.status, headers)
                return Reply(current, response, clock, opened.pop_all())
        current, _ = _parse(headers["Location"], private, current)
    raise SourceError(f"{_name(first)}: more than {MAX_REDIRECTS} redirects; give the address they should lead to")


def fetch_picture(
    url: str,
    *,
    private: bool = False,
    timeout: float = 15,
    max_bytes: int = MAX_BYTES,
    seconds: float = PICTURE_SECONDS,
) -> bytes:
    """The bytes of a picture at a web address.

    Args:
        url, private, timeout: as for :func:`open_address`.
        max_bytes, seconds: as for :func:`read_picture`.

    Raises:
        SourceError: as for these two.
    """
    with open_address(url, private=private, timeout=timeout) as reply:
        return read_picture(reply, max_bytes=max_bytes, seconds=seconds)


def read_picture(reply: Reply, *, max_bytes: int = MAX_BYTES, seconds: float = PICTURE_SECONDS) -> bytes:
    """The whole body of a reply.

    Args:
        reply: from :func:`open_address`.
        max_bytes: refuse more.
        seconds: from now until all has come.

    Raises:
        SourceError: it is too large, empty, takes too long, or breaks off.
    """
    return b"".join(_body(reply, max_bytes, seconds))


def save_video(reply: Reply, path: Path, *, max_bytes: int = MAX_VIDEO_BYTES, seconds: float = VIDEO_SECONDS) -> None:
    """The whole body of a reply into a file, which is there only when it is whole.

    Args:
        reply: from :func:`open_address`.
        path: the file; one that is there is replaced.
        max_bytes, seconds: as for :func:`read_picture`.

    Raises:
        SourceError: as for :func:`read_picture`, or the file cannot be written.
    """
    try:
        with AtomicFile(path) as temporary, temporary.open("wb") as file:
            for chunk in _body(reply, max_bytes, seconds):
                file.write(chunk)
    except WriteError as error:
        raise SourceError(str(error)) from error


def too_large(reply: Reply, size: int | None, limit: int) -> SourceError:
    """The error of a body, or a part of one, with more bytes than may be."""
    found = f"{size:,} bytes" if size is not None else "more bytes"
    return SourceError(f"{reply.name}: {found}, mien reads up to {limit:,} at once; name a smaller one")


def _parse(text: str, private: bool, base: httpx2.URL | None = None) -> tuple[httpx2.URL, bytes]:
    """Read an address and its login; one that cannot be read is not shown, for who knows where its password ends."""
    whose = f"{_name(base)}: the redirect's address" if base else "this address"
    try:
        url = base.join(text) if base else httpx2.URL(text.strip())
        host, port = url.raw_host.decode("ascii").rstrip("."), url.port or _PORTS[url.scheme]
        host.encode("idna")  # the lengths of labels
        if not re.fullmatch(r"[\w.-]+|[\w.:%]*:[\w.:%]*", host, re.ASCII) or port > 65535:
            raise ValueError
        login = f"{url.username}:{url.password}".encode() if url.username or url.password else b""
        port = None if port == _PORTS[url.scheme] else port
        url = url.copy_with(host=host, port=port, username=None, password=None, fragment=None)
    except (httpx2.InvalidURL, ValueError, KeyError):
        raise SourceError(
            f"{whose} cannot be read, expected https://host/path; in a password write %40, %2F, %3A for @, / and :"
        ) from None
    if url.scheme == "http" and not private:
        raise SourceError(
            f"{_name(url)}: not encrypted{', after a redirect' if base else ''}; use https, or allow private=True"
            " for a camera or server of your own"
        )
    return url, login


def _name(url: httpx2.URL) -> str:
    """An address as messages show it, without the query."""
    path = url.raw_path.decode("ascii").partition("?")[0]
    path = path if len(path) < 200 else f"{path[:200]}…"
    return f"{url.scheme}://{url.netloc.decode('ascii')}{path}{'?…' if url.query else ''}"


def _request(url: httpx2.URL, login: bytes) -> httpcore2.Request:
    headers = [
        (b"Host", url.netloc),
        (b"User-Agent", b"mien"),
        (b"Accept-Encoding", b"identity"),
        (b"Connection", b"close"),
    ]
    if login:
        headers.append((b"Authorization", b"Basic " + base64.b64encode(login)))
    where = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore2.Request("GET", where, headers=headers)


def _check_reply(name: str, status: int, headers: httpx2.Headers) -> None:
    if status != 200:
        # The reason that the server sends is text of a stranger.
        reason = next((f" {one.phrase}" for one in HTTPStatus if one == status), "")
        hint = _HINTS.get(status, "try again later" if status >= 500 else "check the address")
        raise SourceError(f"{name}: the server answers {status}{reason}; {hint}")
    coding = headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise SourceError(f"{name}: sent packed ('{shown(coding, 40)}') without being asked; fetch it by hand")


def _body(reply: Reply, limit: int, seconds: float) -> Iterator[bytes]:
    reply.allow(seconds)
    if reply.length is not None and reply.length > limit:
        raise too_large(reply, reply.length, limit)
    total = 0
    while chunk := reply.read():
        total += len(chunk)
        if total > limit:
            raise too_large(reply, None, limit)
        yield chunk
    if not total:
        raise SourceError(f"{reply.name}: nothing came, 0 bytes; check the address")
