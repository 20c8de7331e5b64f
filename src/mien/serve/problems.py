"""Errors as problem documents (RFC 9457): what happened, and what to do about it.

Each kind has a name that stays; ``type`` is ``/problems/NAME``, where the service says in a sentence what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

#: The kinds: name to (status, title).
KINDS = MappingProxyType(
    {
        "bad-request": (400, "The request is malformed."),
        "key-required": (401, "An API key is needed, and this is none."),
        "origin-not-allowed": (403, "Web pages of this origin may not use the service."),
        "not-found": (404, "There is nothing here."),
        "method-not-allowed": (405, "This method is not allowed here."),
        "not-acceptable": (406, "None of the accepted media types can be sent."),
        "too-slow": (408, "The request came too slowly."),
        "too-many-bytes": (413, "The request is larger than the service takes."),
        "too-many-pixels": (413, "The picture has more pixels than the service takes."),
        "too-long": (413, "The video is longer than the service reads."),
        "unsupported-media-type": (415, "A body of this media type is not taken here."),
        "host-not-allowed": (421, "The service may not be called by this name."),
        "unreadable-picture": (422, "The picture cannot be read."),
        "unreadable-source": (422, "The video or address cannot be read."),
        "wrong-parameters": (422, "A parameter is unknown or has a wrong value."),
        "busy": (429, "Too many requests wait already."),
        "internal": (500, "The service failed."),
    }
)
MEDIA_TYPE = "application/problem+json"


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/unreadable-picture",
                    "title": "The picture cannot be read.",
                    "status": 422,
                    "detail": "0 bytes, expected a JPEG, PNG, WebP, BMP, TIFF, GIF or PNM picture",
                }
            ]
        },
    )

    type: str = Field(description="/problems/NAME; the name of each kind stays.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened this time, and what to do about it.")


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the RFC's word
    """An answer that is an error.

    Attributes:
        kind: one of :data:`KINDS`.
        detail: what happened this time, and what to do about it.
        headers: more headers of the reply.
        more: further members of the document.
    """

    kind: str
    detail: str
    headers: dict[str, str] | None = None
    more: dict[str, Any] | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def document(self) -> dict[str, Any]:
        """The problem document."""
        status, title = KINDS[self.kind]
        known = {"type": f"/problems/{self.kind}", "title": title, "status": status, "detail": self.detail}
        return known | (self.more or {})

    def response(self) -> Response:
        """The reply."""
        return JSONResponse(self.document(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


class Gone(Exception):  # noqa: N818 - no error: nobody is there to be told
    """The client left before its reply was there."""


def of_status(status: int, detail: str, headers: dict[str, str] | None) -> Problem:
    """The problem for an HTTP error of the framework."""
    kind = next((name for name, (known, _) in KINDS.items() if known == status), None)
    if kind is None:
        kind = "internal" if status >= 500 else "bad-request"
    phrase = HTTPStatus(status).phrase
    return Problem(kind, detail if detail != phrase else KINDS[kind][1], headers)


def responses(*names: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these problems of a route."""
    out: dict[int | str, dict[str, Any]] = {}
    for status, titles in _by_status(names).items():
        schema = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
        out[status] = {"description": " ".join(titles), "content": {MEDIA_TYPE: schema}}
        if status == 429:
            header = {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}
            out[status]["headers"] = {"Retry-After": header}
    return out


def _by_status(names: tuple[str, ...]) -> dict[int, list[str]]:
    grouped: dict[int, list[str]] = {}
    for name in names:
        status, title = KINDS[name]
        grouped.setdefault(status, []).append(title)
    return dict(sorted(grouped.items()))
