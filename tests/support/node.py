"""The JavaScript package's functions, run under Node on cases made in Python."""

import base64
import json
import subprocess
from pathlib import Path

import numpy as np

_PARITY = Path(__file__).parents[1] / "web" / "parity.mjs"


class Node:
    """Runs cases: a list of dicts in, a list of answers out."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, cases: list[dict]) -> list[dict]:
        """Answers with ``value`` or ``error``."""
        lines = "".join(json.dumps(case) + "\n" for case in cases)
        done = subprocess.run(
            [self.program, _PARITY], input=lines, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def values(self, cases: list[dict]) -> list:
        """Values of cases none of which may fail."""
        answers = self(cases)
        assert len(answers) == len(cases)
        assert all("value" in answer for answer in answers), [one for one in answers if "error" in one]
        return [answer["value"] for answer in answers]


def encoded(picture: np.ndarray) -> dict:
    """A picture as a case holds it."""
    height, width = picture.shape[:2]
    return {"width": width, "height": height, "data": text(picture)}


def text(array: np.ndarray | bytes) -> str:
    """Raw bytes as base64."""
    return base64.b64encode(array if isinstance(array, bytes) else array.tobytes()).decode()


def pixels(answer: str, height: int, width: int) -> np.ndarray:
    """A picture from an answer, as whole numbers that can be subtracted."""
    return np.frombuffer(base64.b64decode(answer), np.uint8).reshape(height, width, 3).astype(int)
