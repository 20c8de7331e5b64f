"""Connections to web servers that lead where they should: to the very address that was checked, and in time.

Owns the reading of addresses, which of them may be asked, the look-up of names, TLS, and the clock of a connection; the
rules are those of :mod:`mien.sources.http`. Refuses to know what is fetched, and to follow redirects.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from mien.download import is_offline
from mien.errors import SourceError

_PORTS = {"https": 443, "http": 80}
#: What stays as it is in a path or query, "%" because it escapes already.
_SAFE = "/%:@!$&'()*+,;=~?[]|^"
#: IPv6 addresses that stand for IPv4 ones (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Address:
    """A web address in its parts; the login is kept apart so that no message shows it."""

    scheme: str
    host: str
    port: int
    target: str
    login: bytes

    @property
    def origin(self) -> tuple[str, str, int]:
        """What a login belongs to."""
        return self.scheme, self.host, self.port

    @property
    def place(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, without the login."""
        return f"{self.scheme}://{self.place}{self.target}"

    @property
    def name(self) -> str:
        """As messages show it, without the query."""
        path, query, _ = self.target.partition("?")
        path = path if len(path) < 200 else f"{path[:200]}…"
        return f"{self.scheme}://{self.place}{path}{query and '?…'}"


def parse(text: str, private: bool, base: Address | None = None) -> Address:
    """Read an address; one that cannot be read is not shown, for who knows where its password ends."""
    whose = f"{base.name}: the redirect's address" if base else "this address"
    # urlsplit would drop some of these silently.
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise SourceError(f"{whose} holds control characters")
    try:
        split = urlsplit(urljoin(base.url, text) if base else text.strip())
        host = (split.hostname or "").encode("idna").decode("ascii").rstrip(".")
        if split.scheme not in _PORTS or not re.fullmatch(r"[\w.:%-]+", host, re.ASCII):
            raise ValueError
        target = quote(split.path or "/", safe=_SAFE) + (f"?{quote(split.query, safe=_SAFE)}" if split.query else "")
        login = f"{unquote(split.username or '')}:{unquote(split.password or '')}".encode()
        address = Address(split.scheme, host, split.port or _PORTS[split.scheme], target, login)
    except ValueError:
        raise SourceError(
            f"{whose} cannot be read, expected https://host/path; in a password write %40, %2F, %3A for @, / and :"
        ) from None
    if address.scheme == "http" and not private:
        raise SourceError(
            f"{address.name}: not encrypted{', after a redirect' if base else ''}; use https, or allow private=True"
            " for a camera or server of your own"
        )
    return address


class Clock:
    """How long a step may take: up to the timeout, and no longer than what is left of the whole."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.allow(timeout)

    def allow(self, seconds: float) -> None:
        """From now on all steps together may take so long."""
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @contextmanager
    def step(self, connection: socket.socket) -> Iterator[None]:
        """Time one step on a connection."""
        connection.settimeout(min(self.timeout, self._left()))
        try:
            yield
        except TimeoutError as error:
            self._left()
            raise TimeoutError(f"no answer for {self.timeout:g} s") from error

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done after {self._seconds:g} s")
        return left


class Line(io.RawIOBase):
    """A connection on which every step is timed; a server that sends a byte now and then comes to its end too.

    To http.client it is the socket.
    """

    def __init__(self, connection: socket.socket, clock: Clock) -> None:
        super().__init__()
        self._socket = connection
        self.clock = clock

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As of a socket."""
        return io.BufferedReader(self)

    def sendall(self, data: bytes) -> None:
        """As of a socket."""
        with self.clock.step(self._socket):
            self._socket.sendall(data)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of a raw file."""
        with self.clock.step(self._socket):
            return self._socket.recv_into(buffer)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
        super().close()


def connect(address: Address, private: bool, clock: Clock) -> Line:
    """Connect to a server whose every address was checked.

    Raises:
        SourceError: the host is unknown or leads to an address that is not public.
        OSError: it cannot be reached.
    """
    failure: OSError = OSError("unknown host")
    for family, kind, protocol, _, place in look_up(address.host, address.port, address.name, private):
        connection = socket.socket(family, kind, protocol)
        try:
            with clock.step(connection):
                connection.connect(place)
                if address.scheme == "https":
                    connection = ssl.create_default_context().wrap_socket(connection, server_hostname=address.host)
            return Line(connection, clock)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


def look_up(host: str, port: int, name: str, private: bool) -> list[tuple[Any, ...]]:
    """Where a host is, as ``socket.getaddrinfo`` says it, every address checked; ``name`` is what messages call it.

    Raises:
        SourceError: the host is unknown or leads to an address that is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SourceError(f"{name}: unknown host; check the address and the network") from error
    for *_, place in found:
        if not private and not _is_public(str(place[0])):
            raise SourceError(
                f"{name}: leads to {place[0]}, which is not a public address; private=True allows it for a"
                " camera or server of your own"
            )
    return list(found)


def check_online() -> None:
    """Refuse to go to the network where ``MIEN_OFFLINE`` forbids it.

    Raises:
        SourceError: it does.
    """
    if is_offline():
        raise SourceError("MIEN_OFFLINE forbids reading from the network: unset it, or name a file")


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return _is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """The many faults of the network become SourceErrors of one line."""
    try:
        yield
    except TimeoutError as error:
        raise SourceError(f"{name}: {error}; try again later") from error
    except ssl.SSLCertVerificationError as error:
        raise SourceError(
            f"{name}: its certificate does not hold: {error.verify_message}; SSL_CERT_FILE names a file with the"
            " certificate of a server of your own"
        ) from error
    except http.client.IncompleteRead as error:
        raise SourceError(f"{name}: connection lost before the end; try again later") from error
    except http.client.HTTPException as error:
        raise SourceError(
            f"{name}: not an answer that HTTP knows: {type(error).__name__}; check the address"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        raise SourceError(f"{name}: cannot be read: {reason}; check the address and the network") from error
