"""Which addresses of the network may be read: the rules for pictures, videos and streams alike.

Who reads pictures from addresses that others wrote must not be made to ask the machines of his own network, so a name
may only lead to addresses that are globally reachable (``ipaddress``: ``is_global``, and neither multicast nor
reserved), unless ``private=True``: cameras live in private networks. ``MIEN_OFFLINE=1`` forbids it all.
"""

from __future__ import annotations

import ipaddress
import socket

from mien.download import is_offline
from mien.errors import SourceError

#: IPv6 addresses that stand for IPv4 ones (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_address(text: str) -> bool:
    """Whether a word is a web address.

    >>> is_address("HTTPS://example.org/a.jpg"), is_address("rtsp://camera/1")
    (True, False)
    """
    return text[:8].lower().startswith(("http://", "https://"))


def check_online() -> None:
    """Refuse to go to the network where ``MIEN_OFFLINE`` forbids it.

    Raises:
        SourceError: it does.
    """
    if is_offline():
        raise SourceError("MIEN_OFFLINE forbids reading from the network: unset it, or name a file")


def look_up(host: str, port: int, name: str, private: bool) -> list[tuple[str, int]]:
    """The numeric addresses and ports of a host, every one checked; ``name`` is what messages call it.

    Raises:
        SourceError: the host is unknown or leads to an address that is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceError(f"{name}: unknown host; check the address and the network") from error
    places = [(_numeric(place), int(place[1])) for *_, place in found]
    for address, _ in places:
        if not private and not is_public(address):
            raise SourceError(
                f"{name}: leads to {address}, which is not a public address; private=True allows it for a"
                " camera or server of your own"
            )
    return places


def _numeric(place: tuple[object, ...]) -> str:
    """The address of a socket's place as text, with the zone (network interface) that a link-local one belongs to."""
    address, zone = str(place[0]), place[3] if len(place) == 4 else 0
    return f"{address}%{zone}" if zone and "%" not in address else address


def is_public(text: str) -> bool:
    """Whether a numeric address is globally reachable, and so is the IPv4 address that it may stand for."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
