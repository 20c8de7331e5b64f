"""Who may use the service, and what its replies forbid browsers; and what is logged and counted of each request.

- ``Host`` is an address, localhost, or a name that was allowed: so a page elsewhere cannot reach a service on this
  machine by a name of its own that leads here (DNS rebinding).
- A request that names an ``Origin`` comes from the service's own page, or from an origin that was allowed.
- An API key, where there are keys, for all but the page, health and the description of the service.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.errors import shown
from mien.serve.logs import log, told
from mien.serve.metrics import Metrics
from mien.serve.problems import Gone, Problem
from mien.serve.settings import Settings, digest

_KEYED = ("/v1/", "/compat/", "/metrics")
#: How a browser hands over an API key on a WebSocket, where it can set no header: a subprotocol beside "mien".
KEY_PROTOCOL = "key."

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """Refuses what may not use the service, before anything of the body is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer with a problem."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        try:
            self.check(scope)
        except Problem as problem:
            scope["problem"] = problem.kind
            response = problem.response()
            if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
                return await send({"type": "websocket.close", "code": 1008, "reason": problem.kind})
            return await response(scope, receive, send)
        return await self._app(scope, receive, send)

    def check(self, scope: Scope) -> None:
        """Raise the problem of a request that may not be."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_host(host):
            detail = f"the service is not called '{shown(host)}'; mien serve --allow-host NAME allows a name"
            raise Problem("host-not-allowed", detail)
        origin = headers.get("origin")
        if origin is not None and (scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")):
            self._check_origin(origin, host)
        if self._settings.keys and scope["path"].startswith(_KEYED):
            self._check_key(headers)

    def _is_host(self, host: str) -> bool:
        name = _name(host)
        if name is None:
            return False
        allowed = {one.lower() for one in self._settings.hosts}
        if "*" in allowed or name in allowed or name == "localhost" or name == self._settings.host.lower():
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _check_origin(self, origin: str, host: str) -> None:
        try:
            parts = urlsplit(origin)
            same = parts.scheme in ("http", "https") and _place(parts.netloc) == _place(host)
        except ValueError:  # as of "http://[", which no browser sends
            same = False
        if not same and origin not in self._settings.cors:
            raise Problem("origin-not-allowed", f"'{shown(origin)}' is not this service; mien serve --cors allows it")

    def _check_key(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        for protocol in headers.get("sec-websocket-protocol", "").split(","):
            if not given and protocol.strip().startswith(KEY_PROTOCOL):
                given = protocol.strip().removeprefix(KEY_PROTOCOL)
        found = digest(given)
        # All are compared, each in constant time.
        known = [hmac.compare_digest(found, key) for key in self._settings.keys]
        if not any(known):
            raise Problem(
                "key-required", "send it as Authorization: Bearer KEY, or as X-API-Key", {"WWW-Authenticate": "Bearer"}
            )


def _name(host: str) -> str | None:
    """The name in a Host header, in lower case without its port; None where it is no such header."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.netloc != host or "@" in host:
        return None
    return f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")


def _place(netloc: str) -> str:
    """Name and port, the usual ones left out, as the scheme behind a proxy is another."""
    netloc = netloc.lower()
    return netloc.removesuffix(":80").removesuffix(":443")


class Watch:
    """Outermost: headers of every reply, slow readers, unexpected errors, the log and the counts."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, watch, and see that there is an answer."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        number, began = secrets.token_hex(8), perf_counter()
        status, size = 0, 0
        fields: dict[str, Any] = {}

        async def receiving() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b"") or message.get("bytes", b"") or b"")
            return message

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                self._mark(message, scope, number)
            elif message["type"] == "websocket.accept":
                status = 101
            # Whoever does not read must not keep a place for ever.
            await asyncio.wait_for(send(message), self._settings.send_seconds)

        try:
            await self._app(scope, receiving, sending)
        except Gone:
            status = status or 499
        except asyncio.CancelledError:
            fields["error"] = "cancelled"
            raise
        except TimeoutError:
            fields["error"] = "the client does not read its reply"
            raise
        except Exception as error:
            fields |= told(error)
            log.error("failed", extra={"fields": {"request": number, **fields}})
            if status or scope["type"] == "websocket":
                raise
            response = Problem("internal", f"it is in the service's log as request {number}").response()
            await response(scope, receive, sending)
            scope["problem"] = "internal"
        finally:
            route = getattr(scope.get("route"), "path", None)
            fields |= {
                "request": number,
                "method": scope.get("method", "WEBSOCKET"),
                "route": route,
                "status": status,
                "bytes": size,
                "ms": round(1000 * (perf_counter() - began), 1),
                **scope.get("told", {}),
            }
            problem = scope.get("problem")
            self._metrics.count(route, status or 499, problem)
            if problem:
                fields["problem"] = problem
            log.info("request", extra={"fields": fields})

    def _mark(self, message: Message, scope: Scope, number: str) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-Id"] = number
