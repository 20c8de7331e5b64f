"""The application: routes, guards and error handling put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

import mien
from mien.errors import PictureError
from mien.serve import about, deepface, moving, predict
from mien.serve.logs import log
from mien.serve.metrics import Metrics
from mien.serve.problems import Problem, ProblemDocument, of_status
from mien.serve.recognition import Engine
from mien.serve.security import Guard, Watch
from mien.serve.service import Service
from mien.serve.settings import Settings

_DESCRIPTION = """Reads facial expressions in pictures, videos and camera streams.

It reads expressions, not feelings, and must not decide about people. Whoever uses it on people must tell them; in the
European Union, inferring emotions at work and in education is prohibited (Regulation 2024/1689, articles 5 and 50).

Errors are problem documents (RFC 9457). Besides what is listed, `WS /v1/stream` takes pictures as binary messages and
answers each with a `Frame`, the newest first.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application of one worker; models and detectors are loaded when it starts.

    Args:
        settings: its models and limits.
    """
    metrics = Metrics()
    service = Service(settings, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        engine = Engine(settings, metrics)
        await asyncio.to_thread(engine.warm_up)
        service.loaded = engine
        log.info("ready", extra={"fields": {"models": list(engine.models), "detectors": list(engine.detectors)}})
        try:
            yield
        finally:
            await asyncio.to_thread(engine.close)
            log.info("stopped")

    app = FastAPI(
        title="mien",
        version=mien.__version__,
        description=_DESCRIPTION,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    for router in (about.router, predict.router, moving.router, deepface.router):
        app.include_router(router)
    app.add_middleware(Guard, settings=settings)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Watch, settings=settings, metrics=metrics)
    _handle_errors(app)
    _describe(app)
    return app


def _handle_errors(app: FastAPI) -> None:
    def answer(request: Request, problem: Problem) -> Response:
        request.scope["problem"] = problem.kind
        if request.scope["path"] == deepface.PATH:
            problem.more = {"error": problem.detail}
        return problem.response()

    @app.exception_handler(Problem)
    async def known(request: Request, error: Problem) -> Response:
        return answer(request, error)

    @app.exception_handler(PictureError)
    async def picture(request: Request, error: PictureError) -> Response:
        return answer(request, Problem("unreadable-picture", str(error)))

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> Response:
        faults = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
        return answer(request, Problem("wrong-parameters", "; ".join(faults)))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        return answer(request, of_status(error.status_code, str(error.detail), dict(error.headers or {})))


def _describe(app: FastAPI) -> None:
    """OpenAPI without FastAPI's own error schemas, and with ours."""
    made = app.openapi

    def described() -> dict[str, object]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operations in document["paths"].values():
            for operation in operations.values():
                found = operation["responses"].get("422", {})
                if "HTTPValidationError" in str(found):
                    del operation["responses"]["422"]
        return document

    app.openapi = described  # FastAPI's documented way
