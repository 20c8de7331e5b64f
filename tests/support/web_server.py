"""A web server on this machine that sends prepared answers, byte for byte and pause for pause."""

import socketserver
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from mien.errors import SourceError
from mien.sources.http import open_address, read_picture

# A certificate for camera.test that signs itself, and its key; valid until 2120, worth nothing.
CERTIFICATE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9uTyFTPHDMafieHI
cAAiRNSoDWPsPesR6iXGc3S9H3ChRANCAATEaGD2Bh0aKVuyqVrbxgta5RYt2gKs
1VDOiIkdhAaw3Ca+Ko4uQijxZxF78Nln9eWQxmZOItRLBoTSc2sZ/jpE
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmDCCAT6gAwIBAgIBATAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAtjYW1lcmEu
dGVzdDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFjEUMBIGA1UE
AwwLY2FtZXJhLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATEaGD2Bh0a
KVuyqVrbxgta5RYt2gKs1VDOiIkdhAaw3Ca+Ko4uQijxZxF78Nln9eWQxmZOItRL
BoTSc2sZ/jpEo3sweTAWBgNVHREEDzANggtjYW1lcmEudGVzdDAPBgNVHRMBAf8E
BTADAQH/MA4GA1UdDwEB/wQEAwIChDAdBgNVHQ4EFgQUqJw+PlkRvcgqdbGfETLx
tJFj5eowHwYDVR0jBBgwFoAUqJw+PlkRvcgqdbGfETLxtJFj5eowCgYIKoZIzj0E
AwIDSAAwRQIhAIJckx+CQOtOsa48QiSy1zcKnXVS+tK9pvZnGpCxkoBHAiAZs/cW
uey5rA1uD5lHlFTyX4/pUXgHG/wlPneYJwVM8w==
-----END CERTIFICATE-----
"""

PICTURE = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    """Sends what the server's ``answers`` hold for the path, as it stands."""

    timeout = 5

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        try:
            for piece in self.server.answers[self.path.partition("?")[0]]:
                if isinstance(piece, float):
                    self.server.over.wait(piece)
                else:
                    self.wfile.write(piece)
                if self.server.over.is_set():
                    return
        finally:
            self.server.left.set()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.answers, self.over, self.left = [], {}, threading.Event(), threading.Event()
        self.port = self.server_address[1]

    def handle_error(self, *_):
        """Clients that leave early are what is tested."""

    def at(self, path, *answer, host="127.0.0.1", scheme="http"):
        """The address of an answer: bytes and pauses, sent one after the other."""
        self.answers[path] = answer[0] if len(answer) == 1 and not isinstance(answer[0], bytes) else answer
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def running(certificate=None):
    with Server() as one:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            one.socket = context.wrap_socket(one.socket, server_side=True)
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield one
        finally:
            one.over.set()
            one.shutdown()
            thread.join()


def ok(body=PICTURE, *headers, length=None):
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % (len(body) if length is None else length), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def redirect(to, status=302):
    return b"HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 4\r\n\r\ngone" % (status, to.encode())


def fails(url, *, private=True, timeout=5.0, read=read_picture, **limits):
    """The message of the SourceError that opening and reading an address ends with."""
    with pytest.raises(SourceError) as caught, open_address(url, private=private, timeout=timeout) as reply:
        read(reply, **limits)
    message = str(caught.value)
    assert message.isprintable()
    return message


def drip(start):
    yield start
    while True:
        yield 0.02
        yield b"x"


def endless(start=b"HTTP/1.1 200 OK\r\n\r\n"):
    yield start
    while True:
        yield bytes(65536)
