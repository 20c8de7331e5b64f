"""Pictures, videos and motion JPEG from web addresses, fetched so that an address cannot lead where it should not.

Owns which addresses may be asked, how redirects are followed, and the limits on size and time. Refuses to decode.

Who reads pictures from addresses that others wrote must not be made to ask the machines of his own network, so:

- only https, and only addresses that are globally reachable (``ipaddress``: ``is_global``, and neither multicast nor
  reserved), unless ``private=True``: cameras speak http and live in private networks;
- a name is looked up once, every address it has is checked, and the connection goes to the very address checked; a
  second look-up could give another one (DNS rebinding). The certificate is verified for the name;
- each of at most ``MAX_REDIRECTS`` redirects is checked in the same way, and a login stays with its own server;
- proxies that the environment names are not used: they would look the name up anew, where nobody checks it.

``MIEN_OFFLINE=1`` forbids it all. Messages never show the login or the query of an address.
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

from mien.errors import SourceError, WriteError
from mien.files import AtomicFile
from mien.sources.connection import Address, Clock, Line, check_online, connect, explained, parse

#: A picture, or a part of motion JPEG, with more bytes is refused.
MAX_BYTES = 2**26
#: A video with more bytes is refused.
MAX_VIDEO_BYTES = 2**31
#: Redirects that are followed.
MAX_REDIRECTS = 5
#: Seconds that a picture and a video may take in all.
PICTURE_SECONDS, VIDEO_SECONDS = 60.0, 1800.0

_CHUNK = 2**16
#: Until a reply's headers are there, all look-ups and redirects may take so many times the timeout.
_PATIENCE = 4
_REDIRECTS = (301, 302, 303, 307, 308)
_MENDS = {
    401: "write https://user:password@host/path",
    403: "the server does not let everyone have it",
    429: "try again later",
}


def is_address(text: str) -> bool:
    """Whether a word is a web address.

    >>> is_address("HTTPS://example.org/a.jpg"), is_address("rtsp://camera/1")
    (True, False)
    """
    return text[:8].lower().startswith(("http://", "https://"))


class Reply:
    """An answer whose body is still to be read; close it, or use it as a context manager.

    Attributes:
        url: the address after redirects, without a login.
        content_type: lower case, without parameters; "" if the server names none.
        boundary: what separates the parts of a multipart reply, as declared; None if there is none.
        length: the body's announced number of bytes; None: not known before its end.
        name: ``url`` as messages show it, without its query.
    """

    def __init__(self, address: Address, line: Line, response: http.client.HTTPResponse) -> None:
        headers = response.headers
        self.url = address.url
        self.name = address.name
        self.content_type = headers.get_content_type() if "Content-Type" in headers else ""
        self.boundary = headers.get_boundary()
        self.length: int | None = response.length
        self._line = line
        self._response = response
        self._read = 0

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._response.close()
        self._line.close()

    def allow(self, seconds: float) -> None:
        """From now on all reading may take so long; before the first call, the rest of the time to connect."""
        self._line.clock.allow(seconds)

    def read(self, size: int = _CHUNK) -> bytes:
        """Up to ``size`` bytes of the body, as soon as there are some; b"" at its end.

        Raises:
            SourceError: the connection is lost before the end, or the time is over.
        """
        if self.length is not None:
            size = min(size, self.length - self._read)
        if size <= 0:
            return b""
        with explained(self.name):
            data = self._response.read1(size)
        self._read += len(data)
        if not data and self.length is not None:
            raise SourceError(
                f"{self.name}: connection lost after {self._read:,} of {self.length:,} bytes; try again later"
            )
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
    first = address = parse(url, private)
    clock = Clock(timeout)
    clock.allow(_PATIENCE * timeout)
    for _ in range(MAX_REDIRECTS + 1):
        with explained(address.name), ExitStack() as opened:
            line = opened.enter_context(connect(address, private, clock))
            login = first.login if address.origin == first.origin else b":"
            response = opened.enter_context(_ask(line, address, login))
            location = response.getheader("Location") if response.status in _REDIRECTS else None
            if location is None:
                _check_reply(address, response)
                opened.pop_all()
                return Reply(address, line, response)
        # http.client takes headers for Latin-1; servers that send more than ASCII mean UTF-8.
        address = parse(location.encode("latin-1", "replace").decode("utf-8", "replace"), private, address)
    raise SourceError(f"{first.name}: more than {MAX_REDIRECTS} redirects; give the address they should lead to")


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


class _Connection(http.client.HTTPConnection):
    def close(self) -> None:
        """Nothing: http.client would close the socket before the body is read."""


def _ask(line: Line, address: Address, login: bytes) -> http.client.HTTPResponse:
    headers = {"Host": address.place, "User-Agent": "mien", "Accept-Encoding": "identity", "Connection": "close"}
    if login != b":":
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    connection = _Connection(address.host, address.port)
    connection.sock = line
    connection.request("GET", address.target, headers=headers)
    return connection.getresponse()


def _check_reply(address: Address, response: http.client.HTTPResponse) -> None:
    if response.status != 200:
        # The reason that the server sends is text of a stranger.
        reason = next((f" {one.phrase}" for one in HTTPStatus if one == response.status), "")
        mend = _MENDS.get(response.status, "try again later" if response.status >= 500 else "check the address")
        raise SourceError(f"{address.name}: the server answers {response.status}{reason}; {mend}")
    for header, plain in (("Content-Encoding", ("", "identity")), ("Transfer-Encoding", ("", "identity", "chunked"))):
        value = response.getheader(header, "").strip().lower()
        if value not in plain:
            raise SourceError(f"{address.name}: sent packed ({value[:40]!a}) without being asked; fetch it by hand")


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


def too_large(reply: Reply, size: int | None, limit: int) -> SourceError:
    """The error of a body, or a part of one, with more bytes than may be."""
    found = f"{size:,} bytes" if size is not None else "more bytes"
    return SourceError(f"{reply.name}: {found}, mien reads up to {limit:,} at once; name a smaller one")
