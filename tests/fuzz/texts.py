"""What is fuzzed of text that strangers write: the card of a model file, recipes, and bodies of requests."""

from __future__ import annotations

import base64
import copy
import io
import json
from contextlib import suppress
from functools import lru_cache
from typing import Any

import yaml
from PIL import Image
from seeds import kept_as, model_seeds, small_clips

from mien import models
from mien.errors import MienError
from mien.models import card as cards
from mien.recipes import loader

#: What stands in the place of a value: of another kind, too large, too small, none.
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 10**30, 1e308, -0.5, float("nan"), float("inf"), "", "x", "x" * 5000, "\ud800", "a\nb",
    [], [0], ["a", "a"], [[[[]]]], {}, {"": 0}, {"scale": 1, "dx": 0, "dy": 0}, [1] * 1000,
)  # fmt: skip


def edited(document: Any, data: bytes) -> Any:
    """A document with values changed: each three bytes say which value, by what, and whether it is left out."""
    document = copy.deepcopy(document)
    for first in range(0, len(data) - 2, 3):
        places = list(_places(document))
        if not places:
            break
        inside, key = places[(data[first] * 256 + data[first + 1]) % len(places)]
        if data[first + 2] > 250:
            del inside[key]
        else:
            inside[key] = copy.deepcopy(_VALUES[data[first + 2] % len(_VALUES)])
    return document


def _places(value: Any) -> Any:
    """Each value inside a document, as what holds it and its key there; long rows of numbers by their first."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:12]) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


@lru_cache(maxsize=1)
def _graph() -> tuple[bytes, dict[str, Any]]:
    """A tiny graph, and the card of a shipped model as plain values."""
    return cards.detach(model_seeds()[0][4:])[0], json.loads(models.read_card().to_json())


def card_seeds() -> list[bytes]:
    """No change, and some."""
    return [b"", bytes(9), bytes(range(30))]


def enter_card(data: bytes) -> None:
    """As a stranger writes a card around a graph, with the right checksums; what is accepted must answer."""
    graph, document = _graph()
    value = json.dumps(edited(document, data)).encode("utf-8", "replace")
    try:
        card = cards.parse(value, "the file")
    except MienError:
        return
    with kept_as(cards.attach(graph, card), ".onnx") as path, suppress(MienError):
        models.Model(path, threads=1).score(card.golden_crop()[None])


_RECIPE = """
name: tiny
description: for tests
heads: [{label_set: ferplus}, {label_set: fer2013, weight: 0.5}]
network: {stem: [4], widths: [8, 16], depths: [1, 1], dropout: 0.1}
stages:
  - {epochs: 2, learning_rate: 0.05, batch_size: 20, augmentation: {flip: true, shift: 0.05}}
"""


def recipe_seeds() -> list[bytes]:
    """Recipes of both kinds as text, one with anchors, and changes of values."""
    anchored = _RECIPE.replace("{epochs: 2", "&a {epochs: 2") + "  - *a\n"
    texts = [_RECIPE, anchored, *(loader.read(name)[0] for name in ("fast", "hog", "paper-imagenet"))]
    return [*(b"t" + text.encode() for text in texts), b"v"]


def enter_recipe(data: bytes) -> None:
    """As ``mien train FILE.yaml`` reads it."""
    if data[:1] == b"t":
        text = data[1:].decode("utf-8", "replace")
    else:
        text = yaml.safe_dump(edited(yaml.safe_load(_RECIPE), data[1:]))
    loader.dump(loader.parse(text))


@lru_cache(maxsize=1)
def service() -> Any:
    """The application, started."""
    from starlette.testclient import TestClient

    from mien.serve.app import create_app
    from mien.serve.settings import Settings

    settings = Settings(detector="none", max_pixels=10**6, max_video_bytes=10**6)
    client = TestClient(create_app(settings), base_url="http://localhost")
    client.__enter__()  # for as long as this process lives
    return client


#: First byte of a case to route and content type.
_ROUTES = {
    b"f": ("/v1/predict", "multipart/form-data; boundary=edge"),
    b"b": ("/v1/predict/batch", "multipart/form-data; boundary=edge"),
    b"d": ("/compat/deepface/analyze", "multipart/form-data; boundary=edge"),
    b"j": ("/compat/deepface/analyze", "application/json"),
    b"v": ("/v1/video", "video/mp4"),
}


def body_seeds() -> list[bytes]:
    """A request of each route that takes a body."""
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 150, 120)).save(picture, "PNG")
    data = picture.getvalue()
    part = b'--edge\r\nContent-Disposition: form-data; name="img"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    form = part + data + b"\r\n" + part + data + b"\r\n--edge--\r\n"
    one = part + data + b'\r\n--edge\r\nContent-Disposition: form-data; name="align"\r\n\r\ntrue\r\n--edge--\r\n'
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    asked = {"img": [uri], "actions": ["emotion"], "enforce_detection": False, "detector_backend": "skip"}
    return [
        b"f" + one,
        b"b" + form,
        b"d" + one,
        b"j" + json.dumps(asked).encode(),
        *(b"v" + clip for clip in small_clips()[:2]),
    ]


def enter_body(data: bytes) -> None:
    """As a stranger sends it to ``mien serve``: an answer, or a typed problem, also in the middle of a video."""
    path, kind = _ROUTES.get(data[:1], _ROUTES[b"f"])
    reply = service().post(path, content=data[1:], headers={"Content-Type": kind})
    assert reply.status_code < 500, reply.text[:300]
    documents = [json.loads(line) for line in reply.text.splitlines()] if path == "/v1/video" else [reply.json()]
    if reply.status_code != 200:
        assert documents[0]["type"].startswith("/problems/")
