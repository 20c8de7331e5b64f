"""What the service says of itself: health, version, models, metrics, kinds of problems, and the page."""

from __future__ import annotations

import hashlib
from importlib import resources
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

import mien
from mien.models import Card
from mien.runtime import onnxruntime
from mien.serve import problems, schema
from mien.serve.problems import KINDS, Problem
from mien.serve.service import ServiceOf

router = APIRouter()

#: The page's files: address to name and media type.
PAGE = MappingProxyType(
    {
        "/": ("index.html", "text/html; charset=utf-8"),
        "/page/app.js": ("app.js", "text/javascript; charset=utf-8"),
        "/page/draw.js": ("draw.js", "text/javascript; charset=utf-8"),
        "/page/style.css": ("style.css", "text/css; charset=utf-8"),
        "/page/icon.svg": ("icon.svg", "image/svg+xml"),
    }
)
_KEYED = problems.responses("key-required", "host-not-allowed")


@router.get("/health/live", response_model=schema.Health, tags=["operation"], summary="Whether the process runs")
async def live() -> dict[str, str]:
    """200 as long as the worker answers at all."""
    return {"status": "live"}


@router.get("/health/ready", response_model=schema.Health, tags=["operation"], summary="Whether it can be used")
async def ready(service: ServiceOf) -> dict[str, str]:
    """200 once models and detectors are loaded; before that the port is not open."""
    _ = service.engine
    return {"status": "ready"}


@router.get("/version", response_model=schema.Version, tags=["operation"], summary="What runs")
async def version(service: ServiceOf) -> dict[str, str]:
    """Of the package, the runtime, and the defaults."""
    card = next(iter(service.engine.models.values())).card
    return {
        "mien": mien.__version__,
        "onnxruntime": onnxruntime.__version__,
        "model": f"{card.name} {card.version}",
        "detector": next(iter(service.engine.detectors.values())).name,
    }


@router.get("/v1/models", response_model=schema.Models, tags=["recognition"], summary="Models", responses=_KEYED)
async def models(service: ServiceOf) -> dict[str, Any]:
    """The models that can be asked for, with their figures and terms, and the limits of a request."""
    engine, settings = service.engine, service.settings
    return {
        "default": next(iter(engine.models)),
        "detectors": list(engine.detectors),
        "models": [_card(model.card) for model in engine.models.values()],
        "limits": {
            "max_bytes": settings.max_bytes,
            "max_pixels": settings.max_pixels,
            "max_files": settings.max_files,
            "max_video_bytes": settings.max_video_bytes,
            "max_video_seconds": settings.max_video_seconds,
            "urls": settings.allow_urls,
        },
        "notice": engine.notice,
    }


def _card(card: Card) -> dict[str, Any]:
    outputs = {
        name: {"labels": list(one.labels), "label_set": one.label_set, "metrics": dict(one.metrics)}
        for name, one in card.outputs.items()
    }
    terms = {name: getattr(card, name) for name in ("licence", "data_terms", "intended_use", "graph_sha256")}
    return {"name": card.name, "version": card.version, "outputs": outputs, **terms}


@router.get(
    "/metrics",
    tags=["operation"],
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}} | _KEYED,
)
async def metrics(service: ServiceOf) -> Response:
    """Of all workers together."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get(
    "/problems/{kind}",
    tags=["operation"],
    summary="What a kind of problem means",
    response_model=schema.Problem,
    responses=problems.responses("not-found"),
)
async def problem(kind: str) -> Response:
    """What the ``type`` of a problem document leads to."""
    if kind not in KINDS:
        raise Problem("not-found", f"no problem is called so; there are {', '.join(KINDS)}")
    status, title = KINDS[kind]
    return JSONResponse({"type": f"/problems/{kind}", "title": title, "status": status})


def _file(name: str) -> tuple[bytes, str]:
    data = (resources.files("mien.serve") / "page" / name).read_bytes()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'


_FILES = {path: (*_file(name), kind) for path, (name, kind) in PAGE.items()}


async def page(request: Request) -> Response:
    """A file of the page."""
    data, tag, kind = _FILES[request.scope["route"].path]
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)


for _path in PAGE:
    router.add_api_route(_path, page, methods=["GET", "HEAD"], include_in_schema=False)
