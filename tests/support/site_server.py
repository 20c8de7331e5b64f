"""A web server for a folder, that writes down what it is asked for."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class SiteServer:
    """Serves a folder at 127.0.0.1; ``requests`` holds (method, path, bytes of the body)."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.requests: list[tuple[str, str, int]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, self, directory=str(folder)))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """End it: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, server: SiteServer, *args, **options) -> None:
        self._owner = server
        super().__init__(*args, **options)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def parse_request(self) -> bool:
        fine = super().parse_request()
        if fine:
            self._owner.requests.append((self.command, self.path, int(self.headers.get("Content-Length", 0))))
        return fine
