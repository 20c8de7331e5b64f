"""``/compat/deepface/analyze``: requests as deepface's own API takes them, answered by mien in its shape.

A picture comes as a file of a form or as a data URI. Paths and addresses, which that API reads from the same field, are
refused: they would let a stranger read files of the server and ask machines of its network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mien.compat import deepface
from mien.compat.inputs import opened
from mien.errors import PictureError, shown
from mien.narrowing import is_list, is_object
from mien.recognizer import Recognizer
from mien.serve import bodies, problems
from mien.serve.admission import unless_gone
from mien.serve.problems import Problem
from mien.serve.recognition import Options
from mien.serve.service import Service, ServiceOf, tell

router = APIRouter()

PATH = "/compat/deepface/analyze"
_FIELDS = ("img", "img_path")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "img": {"type": "string", "description": "data:image/...;base64,..."},
                        "actions": {"type": "array", "items": {"type": "string", "enum": ["emotion"]}},
                        "detector_backend": {"type": "string", "default": "opencv"},
                        "enforce_detection": {"type": "boolean", "default": True},
                        "align": {"type": "boolean"},
                        "anti_spoofing": {"type": "boolean", "default": False},
                    },
                    "required": ["img"],
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"img": {"type": "string", "format": "binary"}},
                    "required": ["img"],
                }
            },
        },
    }
}


@router.post(
    PATH,
    tags=["compatibility"],
    summary="As deepface's /analyze, for the action emotion",
    responses={200: {"description": 'As deepface answers: {"results": [...]}, the largest face first.'}}
    | problems.responses(
        "bad-request", "key-required", "origin-not-allowed", "too-slow", "too-many-bytes", "too-many-pixels",
        "unsupported-media-type", "host-not-allowed", "busy", "internal",
    ),
    openapi_extra=_BODY,
)  # fmt: skip
async def analyze(request: Request, service: ServiceOf) -> Response:
    """Errors have deepface's ``error`` beside the members of a problem document."""
    settings, engine = service.settings, service.engine
    with service.gate.enter():
        with service.metrics.stage("receive"):
            pictures, given, several = await _read(request, service)
        try:
            deepface.check_options(_actions(given.get("actions")), _truth(given, "anti_spoofing", False))
            backend = str(given.get("detector_backend", "opencv"))
            name = deepface.detector_for(backend)
        except deepface.UnimplementedError as error:
            raise Problem("bad-request", str(error)) from error
        recognizer = engine.recognizer(Options.model_validate({"detector": name if name in engine.detectors else None}))
        enforce, points = _truth(given, "enforce_detection", True), backend == "retinaface"
        results: list[list[dict[str, Any]]] = []
        for data in pictures:
            bodies.check_bytes(data, settings)
            work = engine.run(lambda data=data: _analyzed(data, recognizer, service, enforce, points))
            results.append(await unless_gone(request, work))
        tell(request, pictures=len(results), faces=sum(map(len, results)))
        return JSONResponse({"results": results if several else results[0]})


def _analyzed(
    data: bytes, recognizer: Recognizer, service: Service, enforce: bool, points: bool
) -> list[dict[str, Any]]:
    try:
        with service.metrics.stage("decode"):
            pixels, _ = bodies.decode(data, service.settings)
        with service.metrics.stage("recognize"):
            found = deepface.analyze_with(np.ascontiguousarray(pixels[..., ::-1]), recognizer, enforce, points)
    except (PictureError, deepface.FaceNotDetected) as error:
        raise Problem("bad-request", str(error)) from error
    service.metrics.faces.inc(len(found))
    return found


async def _read(request: Request, service: Service) -> tuple[list[bytes], Mapping[str, Any], bool]:
    """The pictures and the other fields, and whether several pictures were sent."""
    settings = service.settings
    kind = bodies.media_type(request)
    limit = settings.max_bytes * 4 // 3 + bodies.FORM_BYTES
    if kind == "multipart/form-data":
        data = await bodies.whole(request, settings, limit)
        files, fields = await bodies.form(request, data, 1)
        if files:
            return [files[0].data], fields, False
        return [_picture(fields)], fields, False
    if kind != "application/json":
        raise Problem("unsupported-media-type", f"{kind or 'nothing'}: send JSON with a data URI, or a multipart form")
    data = await bodies.whole(request, settings, limit)
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Problem("bad-request", "the body is not JSON") from error
    if not is_object(given):
        raise Problem("bad-request", "the body is JSON, but no object")
    images = next((given[name] for name in _FIELDS if given.get(name)), None)
    if is_list(images):
        if not 0 < len(images) <= settings.max_files:
            raise Problem("bad-request", f"{len(images)} pictures, from 1 to {settings.max_files} are taken")
        return [_picture({"img": one}) for one in images], given, True
    return [_picture(given)], given, False


def _picture(given: Mapping[str, Any]) -> bytes:
    found = next((given[name] for name in _FIELDS if given.get(name)), None)
    if found is None:
        raise Problem("bad-request", "'img' not found in the request")
    if not isinstance(found, str) or not found.startswith("data:image/"):
        raise Problem(
            "bad-request",
            "img must be a data URI (data:image/jpeg;base64,...) or a file of a form; paths and addresses are not read",
        )
    try:
        data = opened(found)
    except PictureError as error:
        raise Problem("bad-request", str(error)) from error
    assert isinstance(data, bytes)
    return data


def _actions(given: Any) -> list[str]:
    """As deepface reads them: a list, or in a form a text that looks like one."""
    if given is None:
        return ["emotion"]
    words = given if is_list(given) else str(given).translate(str.maketrans("", "", "[](){}\"' ")).split(",")
    return [str(word) for word in words]


def _truth(given: Mapping[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise Problem("bad-request", f"{name}='{shown(text, 40)}', expected true or false")
    return text in _TRUE
