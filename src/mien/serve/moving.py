"""``/v1/video`` and ``/v1/stream``: expressions in moving pictures, faces followed.

Frames take turns with other requests in the worker's thread. A number (``track``) means the same face as a moment ago
and ends with the video or connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mien import files
from mien.errors import MienError, PictureError, SourceError
from mien.recognizer import Recognizer
from mien.results import Frame
from mien.serve import bodies, problems
from mien.serve.admission import unless_gone
from mien.serve.predict import COMMON, body_of
from mien.serve.problems import Problem
from mien.serve.recognition import Options
from mien.serve.service import Service, ServiceOf, choose, tell
from mien.serve.settings import Settings
from mien.sources import video
from mien.sources.source_frame import SourceFrame
from mien.tracking.options import TrackingOptions

router = APIRouter()

JSON_LINES = "application/jsonl"
#: Frames a second that a video may have on average.
MOST_RATE = 120
#: Seconds without a frame after which a stream is closed.
IDLE_SECONDS = 60.0
PROTOCOL = "mien"
_NAME = "the video"
_PROBLEMS = (*(name for name in COMMON if name != "unreadable-picture"), "not-acceptable", "unreadable-source")


class VideoOptions(Options):
    """The query parameters of a video."""

    every: int = Query(1, ge=1, le=10_000, description="Process every N-th frame.")
    smooth: float = Query(0.4, ge=0, le=60, description="Seconds that probabilities are averaged over; 0: off.")


class StreamOptions(Options):
    """The query parameters of a stream."""

    smooth: float = Query(0.4, ge=0, le=60, description="Seconds that probabilities are averaged over; 0: off.")


@router.post(
    "/v1/video",
    tags=["recognition"],
    summary="Read the expressions in a video",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A frame a line, as it is read. A last line that is a problem document (it has `status`)"
            " says why reading ended early.",
            "content": {JSON_LINES: {"schema": {"$ref": "#/components/schemas/Frame"}}},
        }
    }
    | problems.responses(*_PROBLEMS),
    openapi_extra=body_of("The video as the body, not in a form.", "video/*", "application/octet-stream"),
)
async def read_video(request: Request, options: Annotated[VideoOptions, Query()], service: ServiceOf) -> Response:
    """Faces frame by frame, in JSON Lines."""
    choose(request, (JSON_LINES, "application/x-ndjson"))
    engine, settings = service.engine, service.settings
    recognizer = engine.recognizer(options)
    kind = bodies.media_type(request)
    if kind and not kind.startswith("video/") and kind != "application/octet-stream":
        raise Problem("unsupported-media-type", f"{kind}: send the video itself as the body (Content-Type: video/mp4)")
    with ExitStack() as opened:
        opened.enter_context(service.gate.enter())
        folder = opened.enter_context(files.scratch())
        path = folder / "video"
        with service.metrics.stage("receive"), path.open("wb") as file:
            async for chunk in bodies.chunks(request, settings, settings.max_video_bytes):
                await asyncio.to_thread(file.write, chunk)
        frames = _Video(path, recognizer, options, settings)
        end, loop = opened.pop_all(), asyncio.get_running_loop()

        def close() -> None:
            """Frames by the thread that may still be reading them, the rest by this one, where places are counted."""
            engine.later(frames.close, lambda: loop.call_soon_threadsafe(end.close))

        try:
            first = await unless_gone(request, engine.run(frames.step))
        except SourceError as error:
            close()
            raise Problem("unreadable-source", str(error)) from error
        except BaseException:
            close()
            raise
        return _Lines(_lines(first, frames, service, request), close)


class _Video:
    """The frames of a video, one a call, within the limits."""

    def __init__(self, path: Path, recognizer: Recognizer, options: VideoOptions, settings: Settings) -> None:
        self._path, self._settings, self._every = path, settings, options.every
        self.problem: Problem | None = None
        self._frames = recognizer.read(self._source_frames(), TrackingOptions(smooth=options.smooth))

    def step(self) -> Frame | None:
        """The next frame; None at the end.

        Raises:
            SourceError: the video cannot be read.
            Problem: not one frame is within the limits.
        """
        found = next(self._frames, None)
        if found is None and self.problem is not None:
            raise self.problem
        return None if found is None else replace(found[1], source=None)

    def close(self) -> None:
        """Leave the video."""
        self._frames.close()

    def _source_frames(self) -> Iterator[SourceFrame]:
        seconds, pixels = self._settings.max_video_seconds, self._settings.max_pixels
        for count, source_frame in enumerate(video.read_file(self._path, every=self._every, name=_NAME)):
            if (source_frame.time or 0.0) > seconds or count * self._every > seconds * MOST_RATE:
                self.problem = Problem(
                    "too-long", f"read up to second {source_frame.time or 0:.1f}, the most is {seconds:g}"
                )
                return
            if source_frame.pixels is not None and source_frame.pixels.shape[0] * source_frame.pixels.shape[1] > pixels:
                self.problem = Problem(
                    "too-many-pixels", f"frames of {source_frame.pixels.shape[1]}x{source_frame.pixels.shape[0]}"
                )
                return
            yield source_frame


async def _lines(first: Frame | None, frames: _Video, service: Service, request: Request) -> AsyncIterator[str]:
    engine, frame, count, faces = service.engine, first, 0, 0
    try:
        while frame is not None:
            count += 1
            faces += len(frame.faces)
            yield json.dumps(frame.to_dict()) + "\n"
            with service.metrics.stage("recognize"):
                frame = await engine.run(frames.step)
    except (Problem, MienError) as error:
        problem = error if isinstance(error, Problem) else Problem("unreadable-source", str(error))
        yield json.dumps(problem.document()) + "\n"
    finally:
        service.metrics.faces.inc(faces)
        tell(request, frames=count, faces=faces)


class _Lines(StreamingResponse):
    """JSON Lines, and something that is done afterwards, however it ends."""

    def __init__(self, lines: AsyncIterator[str], done: Callable[[], None]) -> None:
        super().__init__(lines, media_type=JSON_LINES)
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._done()


@dataclass
class _Newest:
    """The newest frame that came and was not looked at yet."""

    index: int
    at: float
    data: bytes


async def until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Run coroutines side by side until one of them ends; then cancel the others and wait until they have ended.

    Raises:
        Exception: what one of them raised; the first one's of several.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Not gather: cancelled here, it would raise the tasks' own cancellation, which anyio takes for another's.
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error


class _Stream:
    """One connection: pictures in, faces out; what comes while one is worked on replaces what waits."""

    def __init__(self, socket: WebSocket, service: Service, recognizer: Recognizer, smooth: float) -> None:
        self._socket, self._service = socket, service
        self._newest: _Newest | None = None
        self._came = asyncio.Event()
        self._began, self.received, self.answered = monotonic(), 0, 0
        self._source_frame: SourceFrame | None = None
        self._frames = recognizer.read(self._source_frames(), TrackingOptions(smooth=smooth))

    async def run(self) -> None:
        """Until the client leaves, or sends nothing for a while."""
        try:
            await until_one_ends(self._receive(), self._answer())
        finally:
            self._service.engine.later(self._frames.close)

    async def _receive(self) -> None:
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), IDLE_SECONDS)
            except TimeoutError:
                await self._socket.close(1001, "no frame for a minute")
                return
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                await self._socket.close(1003, "send pictures as binary messages")
                return
            self._newest = _Newest(self.received, monotonic() - self._began, data)
            self.received += 1
            self._came.set()

    async def _answer(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            newest, self._newest = self._newest, None
            if newest is not None:
                frame = await self._service.engine.run(lambda newest=newest: self._step(newest))
                self.answered += 1
                await self._socket.send_text(json.dumps(frame.to_dict()))

    def _step(self, newest: _Newest) -> Frame:
        engine = self._service.engine
        try:
            with engine.metrics.stage("decode"):
                pixels, note = bodies.decode(newest.data, engine.settings)
            self._source_frame = SourceFrame(None, pixels, None, newest.index, newest.at, live=True, note=note)
        except (Problem, PictureError) as error:
            told = PictureError(error.detail if isinstance(error, Problem) else str(error))
            self._source_frame = SourceFrame(None, None, told, newest.index, newest.at, live=True)
        with engine.metrics.stage("recognize"):
            _, frame = next(self._frames)
        engine.metrics.faces.inc(len(frame.faces))
        return frame

    def _source_frames(self) -> Iterator[SourceFrame]:
        while self._source_frame is not None:
            yield self._source_frame


@router.websocket("/v1/stream")
async def stream(socket: WebSocket, options: Annotated[StreamOptions, Query()], service: ServiceOf) -> None:
    """Pictures as binary messages in, ``Frame`` objects as text messages out."""
    try:
        recognizer = service.engine.recognizer(options)
        if service.streams >= service.settings.streams:
            raise Problem("busy", f"{service.streams} streams are open already; try again later", {"Retry-After": "5"})
    except Problem as problem:
        socket.scope["problem"] = problem.kind
        await socket.send_denial_response(problem.response())
        return
    service.streams += 1
    service.metrics.streams.set(service.streams)
    offered = [one.strip() for one in socket.headers.get("sec-websocket-protocol", "").split(",")]
    one = _Stream(socket, service, recognizer, options.smooth)
    try:
        await socket.accept(PROTOCOL if PROTOCOL in offered else None)
        with suppress(RuntimeError, WebSocketDisconnect):  # sent to after it was closed
            await one.run()
    finally:
        service.streams -= 1
        service.metrics.streams.set(service.streams)
        tell(socket, frames=one.received, answered=one.answered)
