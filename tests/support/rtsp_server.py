"""A tiny RTSP camera for tests: RTSP/1.0 over TCP with RTP/JPEG interleaved (RFC 2326, RFC 2435).

Its frames are those of ``numbered_frames``, counted over all connections.
"""

import io
import re
import socket
import socketserver
import struct
import threading
import time

from PIL import Image

from support.numbered_frames import HEIGHT, WIDTH, draw

_PACKET = 1200


def packets(picture, sequence, timestamp):
    """A frame as RTP packets with JPEG payload: quantisation tables in the first, the marker bit on the last."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90, subsampling=2)
    tables, scan = _take_apart(file.getvalue())
    offset, made = 0, []
    while offset < len(scan):
        piece = scan[offset : offset + _PACKET]
        header = struct.pack(">I4B", offset, 1, 255, WIDTH // 8, HEIGHT // 8)  # type 1: 4:2:0; 255: tables follow
        if not offset:
            header += struct.pack(">BBH", 0, 0, len(tables)) + tables
        last = offset + len(piece) == len(scan)
        rtp = struct.pack(">BBHII", 0x80, 26 | last << 7, (sequence + len(made)) % 65536, timestamp % 2**32, 7)
        made.append(rtp + header + piece)
        offset += len(piece)
    return made


def _take_apart(jpeg):
    """Quantisation tables and entropy-coded data of a baseline JPEG file."""
    tables, place = {}, 2
    while True:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        segment = jpeg[place + 4 : place + 2 + length]
        place += 2 + length
        if marker == 0xDB:
            for start in range(0, len(segment), 65):
                tables[segment[start]] = segment[start + 1 : start + 65]
        if marker == 0xDA:
            return tables[0] + tables[1], jpeg[place:-2]


class _Connection(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        camera = self.server.camera
        while request := self._request():
            verb, _, headers = request
            camera.asked.append(request)
            if verb == "DESCRIBE" and camera.login and "authorization" not in headers:
                self._answer(headers, 'WWW-Authenticate: Basic realm="camera"', status="401 Unauthorized")
            elif verb == "DESCRIBE" and not camera.there:
                self._answer(headers, status="404 Not Found")
            elif verb == "DESCRIBE":
                told = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                told += f"m=video 0 RTP/AVP 26\r\na=control:track\r\na=framerate:{camera.rate}\r\n"
                self._answer(headers, "Content-Type: application/sdp", body=told)
            elif verb == "SETUP":
                self._answer(headers, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1")
            else:
                self._answer(headers, "Session: 1", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            if verb == "PLAY":
                camera.play(self.connection)
                return

    def _request(self):
        lines = []
        while (line := self.rfile.readline().decode("latin-1").strip()) or not lines:
            if not line:
                return None
            lines.append(line)
        verb, url, _ = lines[0].split(" ", 2)
        return (
            verb,
            url,
            {key.lower(): value for key, value in (re.split(r":\s*", line, maxsplit=1) for line in lines[1:])},
        )

    def _answer(self, asked, *headers, status="200 OK", body=""):
        lines = [f"RTSP/1.0 {status}", f"CSeq: {asked.get('cseq', 0)}", *headers, f"Content-Length: {len(body)}"]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, block_on_close = True, False, True

    def handle_error(self, *_):
        """Clients that leave are no error."""


class Camera:
    """The server; use it in ``with``.

    Args:
        rate: frames a second.
        frames: after so many the connection is closed; None: never.
        stays: the connection stays open after its last frame, in silence.
        connections: so many play, later ones find no camera; None: all.
        login: ask for a password.

    Attributes:
        sent: how many frames were sent, over all connections.
        asked: (verb, url, headers) of every request.
    """

    def __init__(self, *, rate=50, frames=None, stays=False, connections=None, login=False):
        self.rate, self.login = rate, login
        self.sent, self.asked = 0, []
        self._frames, self._stays, self._connections = frames, stays, connections
        self._over = threading.Event()

    @property
    def there(self):
        return self._connections is None or self._connections > 0

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def address(self):
        return f"rtsp://127.0.0.1:{self.port}/live"

    def play(self, connection):
        """Send frames until somebody leaves."""
        if self._connections is not None:
            self._connections -= 1
        connection.settimeout(2)
        sequence, began, count = 0, time.monotonic(), 0
        try:
            while not self._over.wait(max(began + count / self.rate - time.monotonic(), 0)):
                if count == self._frames:
                    if self._stays:
                        self._over.wait()
                    return
                for packet in packets(draw(self.sent), sequence, round(count * 90000 / self.rate)):
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                    sequence += 1
                self.sent, count = self.sent + 1, count + 1
        except OSError:
            return

    def __enter__(self):
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.camera = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def unused_port():
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
