"""Structured logs: a JSON object a line on standard error.

What a client sends is never in them: no pictures, no file names, no queries, no addresses of pictures or clients. Of an
unexpected error its type and where it was raised are logged, not its message, which may hold such things.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any

#: The service's own logger.
log = logging.getLogger("mien.serve")


class JsonFormatter(logging.Formatter):
    """A record as a line of JSON; members come by ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "pid": record.process}
        line["event"] = record.getMessage().strip()
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= told(record.exc_info[1])
        return json.dumps(line)


def told(error: BaseException) -> dict[str, Any]:
    """What may be logged of an unexpected error."""
    places = [f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_tb(error.__traceback__)]
    return {"error": type(error).__name__, "raised": places[-8:]}


def configuration() -> dict[str, Any]:
    """For ``logging.config.dictConfig``: JSON lines, and no access log of uvicorn's, which holds queries."""
    heard = {"handlers": ["lines"], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {
            "mien.serve": heard,
            "uvicorn": heard | {"level": "WARNING"},
            "uvicorn.error": heard | {"level": "WARNING"},
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }
