"""How much may be received, wait and be worked on at once, decided before a body is read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from starlette.requests import Request

from mien.narrowing import is_object
from mien.serve.metrics import Metrics
from mien.serve.problems import Gone, Problem

T = TypeVar("T")


class Gate:
    """The places of one worker: one to be worked on, and those that wait.

    Args:
        places: how many there are.
        metrics: where the number of taken places is shown.
    """

    def __init__(self, places: int, metrics: Metrics) -> None:
        self._places, self._metrics = places, metrics
        self._mean = 0.05  # seconds between two requests that were done; a running average
        self.taken = 0

    @contextmanager
    def enter(self, weight: int = 1) -> Generator[None, None, None]:
        """Take places until the statement is left, however that happens.

        Raises:
            Problem: there are not so many places; it says when to try again.
        """
        if self.taken and self.taken + weight > self._places:
            seconds = max(math.ceil(self.taken * self._mean), 1)
            raise Problem(
                "busy",
                f"{self.taken} requests are received, wait or are worked on; try again in {seconds} s",
                {"Retry-After": str(seconds)},
            )
        began = perf_counter()
        self._take(weight)
        try:
            yield
        finally:
            share = (perf_counter() - began) / max(self.taken, 1)
            self._mean += 0.1 * (share - self._mean)
            self._take(-weight)

    def _take(self, weight: int) -> None:
        self.taken += weight
        self._metrics.admitted.set(self.taken)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of some work, unless the client leaves before: then the work is cancelled.

    The request's body must have been read to its end.

    Raises:
        Gone: the client left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, leaving):
            if not task.done():
                task.cancel()


async def _left(receive: Callable[[], Awaitable[object]]) -> None:
    while True:
        message = await receive()
        if is_object(message) and message.get("type") == "http.disconnect":
            return
