"""What recognition returns: frozen, plain, the same shape whatever went in.

Owns ``Box``, ``Face`` and ``Frame`` and their forms as dict and table rows. Refuses to know pictures,
detectors and models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as it is looked at (EXIF rotation applied), origin top left."""

    x: float
    y: float
    width: float
    height: float

    def to_list(self) -> list[int]:
        """``[x, y, width, height]``, rounded to whole pixels."""
        return [round(self.x), round(self.y), round(self.width), round(self.height)]


@dataclass(frozen=True)
class Face:
    """One face and what its expression was read as.

    Attributes:
        box: the face in the picture, as its detector saw it.
        confidence: the detector's confidence, 0-1; None where the detector gives none.
        outputs: the model's named outputs, each a mapping from expression to probability (0-1, summing to 1).
            They are copied and cannot be changed.
        landmarks: eyes, nose and mouth corners as (x, y) pixels, where the detector gives them.
    """

    box: Box
    confidence: float | None
    outputs: Mapping[str, Mapping[str, float]]
    landmarks: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        frozen = {name: MappingProxyType(dict(scores)) for name, scores in self.outputs.items()}
        object.__setattr__(self, "outputs", MappingProxyType(frozen))

    def __reduce__(self) -> tuple[type[Face], tuple[object, ...]]:
        """Read-only views cannot be pickled; plain dicts can, and are frozen again on arrival."""
        outputs = {name: dict(scores) for name, scores in self.outputs.items()}
        return Face, (self.box, self.confidence, outputs, self.landmarks)

    @property
    def probabilities(self) -> Mapping[str, float]:
        """The model's first output, expression to probability."""
        return next(iter(self.outputs.values()))

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return max(self.probabilities.items(), key=lambda item: item[1])[0]

    @property
    def probability(self) -> float:
        """The probability of ``expression``, 0-1."""
        return max(self.probabilities.values())

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """The ``count`` most probable expressions with their probabilities, best first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:count]

    def to_dict(self) -> dict[str, object]:
        """A plain dict, ready for JSON."""
        return {
            "box": self.box.to_list(),
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in self.landmarks],
            "expression": self.expression,
            "probability": round(self.probability, 4),
            "outputs": {
                name: {label: round(value, 4) for label, value in scores.items()}
                for name, scores in self.outputs.items()
            },
        }


@dataclass(frozen=True)
class Frame:
    """One picture and the faces found in it, from left to right; no face is an empty tuple, not an error.

    Attributes:
        source: where the picture came from (a path), or None.
        width, height: pixels of the picture as it is looked at.
        faces: the faces found, ordered by their left edge.
        detector: the name of the face detector that looked.
        model: the name and version of the model that scored.
    """

    source: str | None
    width: int
    height: int
    faces: tuple[Face, ...]
    detector: str
    model: str

    def to_dict(self) -> dict[str, object]:
        """A plain dict, ready for JSON."""
        return {
            "source": self.source,
            "width": self.width,
            "height": self.height,
            "detector": self.detector,
            "model": self.model,
            "faces": [face.to_dict() for face in self.faces],
        }

    def to_rows(self) -> list[dict[str, object]]:
        """One flat dict per face, ready for CSV; no face, no row.

        Keys: source, face (counted from 1), x, y, width, height, confidence, expression, probability, and each
        expression with its probability.
        """
        rows: list[dict[str, object]] = []
        for number, face in enumerate(self.faces, start=1):
            x, y, width, height = face.box.to_list()
            row: dict[str, object] = {
                "source": self.source,
                "face": number,
                "x": x,
                "y": y,
                "width": width,
                "height": height,
                "confidence": None if face.confidence is None else round(face.confidence, 4),
                "expression": face.expression,
                "probability": round(face.probability, 4),
            }
            row.update((label, round(value, 4)) for label, value in face.probabilities.items())
            rows.append(row)
        return rows
