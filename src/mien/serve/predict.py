"""``/v1/predict`` and ``/v1/predict/batch``: expressions in pictures."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mien.errors import PictureError, SourceError
from mien.outputs.tables import Csv
from mien.recognizer import Recognizer
from mien.results import Frame
from mien.serve import bodies, problems, schema
from mien.serve.admission import unless_gone
from mien.serve.problems import Problem
from mien.serve.recognition import OptionsQuery, annotated_png
from mien.serve.service import Service, ServiceOf, choose, tell
from mien.sources import http
from mien.sources.addresses import is_address

router = APIRouter()

JSON, PNG, CSV = "application/json", "image/png", "text/csv"
URI_LIST = "text/uri-list"
#: Places that a batch takes of those that requests wait in; it may have as many times the bytes of a picture.
BATCH_WEIGHT = 4
_ADDRESS_SECONDS = 10.0
_BINARY = {"schema": {"type": "string", "format": "binary"}}
#: Problems that each route which recognizes may answer with.
COMMON = (
    "bad-request",
    "key-required",
    "origin-not-allowed",
    "too-slow",
    "too-many-bytes",
    "too-many-pixels",
    "unsupported-media-type",
    "host-not-allowed",
    "unreadable-picture",
    "wrong-parameters",
    "busy",
    "internal",
)


def body_of(description: str, *types: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
    """The ``openapi_extra`` of a route that reads its body itself."""
    content: dict[str, Any] = dict.fromkeys(types, _BINARY)
    if form is not None:
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": form, "required": [*form]}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


@router.post(
    "/v1/predict",
    response_model=schema.Frame,
    tags=["recognition"],
    summary="Read the expressions in a picture",
    responses={200: {"content": {PNG: _BINARY, CSV: {"schema": {"type": "string"}}}}}
    | problems.responses(*COMMON, "not-acceptable", "unreadable-source"),
    openapi_extra=body_of(
        "The picture (JPEG, PNG, WebP, BMP, TIFF, GIF, ...), or one file of a form. text/uri-list with one https"
        " address is taken where the service was started with --allow-urls.",
        "image/*",
        "application/octet-stream",
        form={"file": {"type": "string", "format": "binary"}},
    ),
)
async def predict(request: Request, options: OptionsQuery, service: ServiceOf) -> Response:
    """Faces from left to right; no face is an empty list.

    ``Accept: image/png`` gives the picture with what was read drawn on it, ``text/csv`` a row per face.
    """
    kind = choose(request, (JSON, PNG, CSV))
    engine = service.engine
    recognizer = engine.recognizer(options)
    with service.gate.enter():
        with service.metrics.stage("receive"):
            data = await _picture_or_address(request, service)

        def work() -> Response:
            pixels, frame = engine.predict(recognizer, data)
            tell(request, faces=len(frame.faces))
            if kind == PNG:
                return Response(annotated_png(pixels, frame), media_type=PNG)
            return Response(_csv(recognizer, frame), media_type=CSV) if kind == CSV else JSONResponse(frame.to_dict())

        return await unless_gone(request, engine.run(work))


@router.post(
    "/v1/predict/batch",
    response_model=schema.Batch,
    tags=["recognition"],
    summary="Read the expressions in several pictures",
    responses=problems.responses(*COMMON),
    openapi_extra=body_of(
        "The pictures as files of a form, whatever the fields are called.",
        form={"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    ),
)
async def predict_batch(request: Request, options: OptionsQuery, service: ServiceOf) -> Response:
    """The pictures in order, each with its file's name as ``source``; what cannot be read has its ``error``."""
    settings, engine = service.settings, service.engine
    recognizer = engine.recognizer(options)
    if bodies.media_type(request) != "multipart/form-data":
        raise Problem("unsupported-media-type", "send the pictures as files of a multipart form")
    with service.gate.enter(BATCH_WEIGHT):
        with service.metrics.stage("receive"):
            data = await bodies.whole(request, settings, BATCH_WEIGHT * settings.max_bytes + bodies.FORM_BYTES)
            files, _ = await bodies.form(request, data, settings.max_files)
        if not files:
            raise Problem("bad-request", "no files in the form, expected pictures")
        frames = [  # one at a time, so that others have their turn
            await unless_gone(request, engine.run(lambda file=file: _one_of(file, recognizer, service)))
            for file in files
        ]
        tell(request, pictures=len(frames), faces=sum(len(frame.faces) for frame in frames))
        return JSONResponse({"frames": [frame.to_dict() for frame in frames]})


def _one_of(file: bodies.File, recognizer: Recognizer, service: Service) -> Frame:
    try:
        bodies.check_bytes(file.data, service.settings)
        frame = service.engine.predict(recognizer, file.data)[1]
        return replace(frame, source=file.name)
    except (Problem, PictureError) as error:
        detail = error.detail if isinstance(error, Problem) else str(error)
        card = recognizer.model.card
        return Frame(file.name, 0, 0, (), recognizer.detector.name, f"{card.name} {card.version}", error=detail)


async def _picture_or_address(request: Request, service: Service) -> bytes:
    settings = service.settings
    if bodies.media_type(request) != URI_LIST:
        return await bodies.picture(request, settings)
    if not settings.allow_urls:
        raise Problem("unsupported-media-type", "addresses are not fetched here; mien serve --allow-urls would")
    text = (await bodies.whole(request, settings, bodies.ADDRESS_BYTES)).decode("utf-8", "replace")
    addresses = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(addresses) != 1 or not is_address(addresses[0]):
        raise Problem("bad-request", f"{len(addresses)} addresses, expected one that begins with https://")

    def fetch() -> bytes:
        with http.open_address(addresses[0], timeout=_ADDRESS_SECONDS / 2) as reply:
            return http.read_picture(reply, max_bytes=settings.max_bytes, seconds=_ADDRESS_SECONDS)

    try:
        return await unless_gone(request, asyncio.to_thread(fetch))
    except SourceError as error:
        raise Problem("unreadable-source", str(error)) from error


def _csv(recognizer: Recognizer, frame: Frame) -> str:
    out = io.StringIO(newline="")
    Csv(out, next(iter(recognizer.model.card.outputs.values())).labels).write(frame)
    return out.getvalue()
