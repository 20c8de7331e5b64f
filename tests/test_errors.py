"""What others wrote is not repeated in a message as it is: one line, nothing that steers a terminal, not all of it."""

import json

import pytest

from mien import models
from mien.data import protocol
from mien.detection.detectors import build
from mien.errors import MienError, shown
from mien.locks import Lock
from mien.models import card, prior
from mien.outputs import resuming
from mien.recipes import loader
from mien.recognizer import Recognizer
from mien.serve.problems import Problem
from mien.serve.security import Guard
from mien.serve.settings import Settings
from support.stub_model import StubModel

ODD = "a\n\x1b[31m\u202e" + "x" * 500


def changed(**changes):
    """A shipped model's card with other values, read."""
    _, found = card.detach(models.find("fast").read_bytes())
    return card.parse(json.dumps(json.loads(found.to_json()) | changes).encode(), "x.onnx")


def outputs(**more):
    _, found = card.detach(models.find("fast").read_bytes())
    first = next(iter(json.loads(found.to_json())["outputs"].values()))
    return {"probabilities": first | more}


def asked(headers):
    Guard(None, Settings()).check(
        {"type": "http", "method": "POST", "path": "/", "headers": [(k.encode(), v) for k, v in headers.items()]}
    )


def another_table(folder):
    resuming.note(folder / "t.csv", {"model": ODD})
    resuming.check(folder / "t.csv", {"model": "mine"})


def another_holder(folder):
    with Lock(folder / "x") as held:
        held.path.write_text(json.dumps({"pid": 1, "host": ODD}))
        Lock(folder / "x")


CASES = {
    "model": lambda _: models.find(ODD),
    "detector": lambda _: build(ODD),
    "search": lambda _: Recognizer(StubModel(), "none", search=ODD),
    "prior": lambda _: prior.resolve(ODD, ("happy",)),
    "protocol": lambda _: protocol.mark(ODD, None),
    "recipe": lambda _: loader.load(ODD),
    "card's format": lambda _: changed(format=ODD),
    "card's key": lambda _: changed(**{ODD: 1}),
    "card's output": lambda _: changed(outputs=outputs(**{ODD: 1})),
    "card's framing": lambda _: changed(framing={ODD: {}}),
    "card's size": lambda _: changed(height=ODD),
    "host": lambda _: asked({"host": ODD.encode("utf-8")}),
    "origin": lambda _: asked({"host": b"localhost", "origin": b"http://x/" + ODD.encode("utf-8")}),
    "broken origin": lambda _: asked({"host": b"localhost", "origin": b"http://[" + ODD.encode("utf-8")}),
    "table": another_table,
    "lock": another_holder,
}


@pytest.mark.parametrize("name", CASES)
def test_what_others_wrote_is_escaped_and_cut(name, tmp_path):
    with pytest.raises((MienError, Problem)) as told:
        CASES[name](tmp_path)
    message = told.value.detail if isinstance(told.value, Problem) else str(told.value)
    assert message.isprintable()
    assert "x" * 100 not in message
    assert "x" * 10 in message, "else nothing is shown of it"


def test_letters_of_all_languages_are_shown_and_what_is_shown_stays_so():
    assert shown("Ärger 怒り \\") == "Ärger 怒り \\"
    assert shown(shown("a\n\udce9")) == shown("a\n\udce9") == "a\\n\\udce9"
