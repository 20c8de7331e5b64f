"""Motion JPEG, as network cameras send it: one picture after the other in a reply that does not end.

Owns the multipart form (multipart/x-mixed-replace) and its many dialects. Refuses to decode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mien.errors import SourceError, shown
from mien.sources.http import MAX_BYTES, Reply, too_large

#: Bytes before a part: its headers, or what precedes the first boundary.
MAX_HEADER = 2**14
#: Seconds that one part may take in all.
PART_SECONDS = 30.0


def parts(reply: Reply, *, max_bytes: int = MAX_BYTES, seconds: float = PART_SECONDS) -> Iterator[bytes]:
    """The pictures of a motion-JPEG stream (multipart/x-mixed-replace), one after the other.

    A part with a Content-Length comes as soon as it is whole, one without when the next one begins. Parts that say
    they are no picture are left out.

    Args:
        reply: from :func:`open_address`.
        max_bytes: refuse larger parts.
        seconds: that one part may take.

    Raises:
        SourceError: it is no such stream, a part is too large or too slow, its form is broken, or the connection is
            lost before the stream's own end mark.
    """
    boundary = (reply.boundary or "").strip().lstrip("-").encode("latin-1", "replace")
    if not boundary:
        raise SourceError(f"{reply.name}: not a motion-JPEG stream, its type is '{shown(reply.content_type)}'")
    stream = _Stream(reply)
    reply.allow(seconds)
    mark = stream.first_mark(boundary)
    while mark:
        kind, length = stream.part_header()
        if length is not None and length > max_bytes:
            raise too_large(reply, length, max_bytes)
        data = stream.before(mark, max_bytes) if length is None else stream.take(length)
        if data and kind.startswith((b"image/", b"application/octet-stream")):
            yield data
        reply.allow(seconds)
        if not stream.next_part(mark):
            return


class _Stream:
    """The lines and parts of a multipart body, in a buffer that holds one part at most."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._buffer = bytearray()

    def first_mark(self, boundary: bytes) -> bytes:
        """The line that separates parts; cameras disagree with what they declare on how many dashes lead it."""
        for line in self._lines(b"--" + boundary + b"--"):
            if line.lstrip(b"-") == boundary:
                return line
            if line.lstrip(b"-") == boundary + b"--":
                break
        return b""

    def part_header(self) -> tuple[bytes, int | None]:
        """The type of the next part and its length."""
        kind, length = b"image/", None
        for line in self._lines():
            if not line:
                break
            name, _, value = line.lower().partition(b":")
            value = value.strip()
            if name.strip() == b"content-type":
                kind = value
            elif name.strip() == b"content-length" and re.fullmatch(rb"\d{1,18}", value):
                length = int(value)
        return kind, length

    def next_part(self, mark: bytes) -> bool:
        """Go past the mark after a part; whether another part follows."""
        for line in self._lines(mark + b"--"):
            if line in (mark, mark + b"--"):
                return line == mark
            if line:
                break
        raise SourceError(f"{self._reply.name}: a part of another length than it announces; the stream is damaged")

    def take(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < size:
            self._fill()
        return self._cut(size)

    def before(self, mark: bytes, limit: int) -> bytes:
        """All before the line that is a mark, without the line break that belongs to the mark."""
        pattern = re.compile(rb"\r?\n(?=" + re.escape(mark) + rb"[\s-])")
        seen = 0
        while not (found := pattern.search(self._buffer, max(0, seen - len(mark) - 2))):
            seen = len(self._buffer)
            if seen > limit + len(mark) + 2:
                raise too_large(self._reply, None, limit)
            self._fill()
        if found.start() > limit:
            raise too_large(self._reply, found.start(), limit)
        data = self._cut(found.start())
        self._cut(found.end() - found.start())
        return data

    def _lines(self, last: bytes = b"\n") -> Iterator[bytes]:
        """Lines without what surrounds them, up to ``MAX_HEADER`` bytes of them; ``last`` needs no line break."""
        left = MAX_HEADER
        while True:
            while (end := self._buffer.find(b"\n") + 1) == 0 and len(self._buffer) <= left:
                if self._buffer.startswith(last):
                    end = len(last)
                    break
                self._fill()
            left -= end or len(self._buffer)
            if left < 0:
                raise SourceError(f"{self._reply.name}: no end to the headers of a part; the stream is damaged")
            yield self._cut(end).strip()

    def _fill(self) -> None:
        data = self._reply.read()
        if not data:
            raise SourceError(f"{self._reply.name}: connection lost; see to the camera and the network, and try again")
        self._buffer += data

    def _cut(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data
