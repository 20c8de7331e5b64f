"""What the routes of one worker share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from mien.serve.admission import Gate
from mien.serve.metrics import Metrics
from mien.serve.problems import Problem
from mien.serve.recognition import Engine
from mien.serve.settings import Settings


@dataclass
class Service:
    """The parts of one worker.

    Attributes:
        loaded: what recognizes; None until the worker has started.
        streams: open WebSocket connections.
    """

    settings: Settings
    metrics: Metrics
    gate: Gate = field(init=False)
    loaded: Engine | None = None
    streams: int = 0

    def __post_init__(self) -> None:
        self.gate = Gate(1 + self.settings.queue, self.metrics)

    @property
    def engine(self) -> Engine:
        """What recognizes."""
        if self.loaded is None:
            raise RuntimeError("the application has not been started")
        return self.loaded


def _service(connection: HTTPConnection) -> Service:
    return connection.app.state.service


ServiceOf = Annotated[Service, Depends(_service)]


def tell(request: HTTPConnection, **fields: object) -> None:
    """Put something into the log line of a request: numbers and words of our own, nothing that was sent."""
    request.scope.setdefault("told", {}).update(fields)


def choose(request: Request, offered: tuple[str, ...]) -> str:
    """The media type to answer with: of those offered, the one accepted with the largest weight; else the first.

    Raises:
        Problem: none of them is accepted.
    """
    accepted = request.headers.get("accept", "*/*")
    weights = [(_weight(accepted, one), -place, one) for place, one in enumerate(offered)]
    weight, _, best = max(weights)
    if weight <= 0:
        raise Problem("not-acceptable", f"what can be sent is {', '.join(offered)}")
    return best


def _weight(accepted: str, media_type: str) -> float:
    """The weight of a media type in an Accept header, by its most specific range."""
    best, closeness = 0.0, -1
    for part in accepted.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        if name not in ranges:
            continue
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            value = float(weight)
        except ValueError:
            value = 0.0
        if 2 - ranges.index(name) > closeness:
            best, closeness = value, 2 - ranges.index(name)
    return best
