"""Which regions of a face drive a prediction: hide them one after the other and see how far it falls.

Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2: a grey square is moved over
the picture, and each place is given what a label loses while it is hidden. Minaee et al. 2021, "Deep-Emotion", shows
so which regions of the face each expression is read from. The loss is in odds, p / (1 - p), where theirs is in
probability: of a face that is happy with 99.9 %, no place is worth a percentage point. It needs nothing of a model but
its answers, so it works on every model file; Grad-CAM, which looks into the network of a run, is
:mod:`mien.explain.gradcam`.

Owns the hiding and the maps; :mod:`mien.explain.occlusion_plots` draws them. Refuses to say what they prove: a place
that can be hidden without harm may still be one that the model looks at, where another tells it the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.table import Table
from mien.detection.framing import Framing, crop
from mien.errors import DataError, LabelError, ModelError, PictureError, shown
from mien.evaluate.predictions import Scores
from mien.evaluate.sampling import choose
from mien.models import Model
from mien.recognizer import Recognizer

#: Places a side at which the square is put down, its middle from one edge of the crop to the other.
PLACES = 15
#: Side of the square, as a fraction of the crop's.
PATCH = 0.2
# Probabilities are 32-bit: what is smaller is not told apart.
_TINY = 1e-7
# Pixels a side of the crops that are drawn.
_SIDE = 240


@dataclass(frozen=True, eq=False)
class Explained:
    """One face, and what each place of it is worth to one label.

    Attributes:
        pixels: RGB uint8 (H, W, 3), the crop that was scored, in the picture's own detail.
        probabilities: what the model says of it, label to 0-1.
        label: what the map is about.
        falls: float32 (15, 15), how often its odds are halved while each place is hidden (the fall of their
            logarithm to base 2); negative where hiding the place raises them.
    """

    pixels: NDArray[np.uint8]
    probabilities: Mapping[str, float]
    label: str
    falls: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MeanMap:
    """What the places of faces are worth to one label on average.

    Attributes:
        label: true, and the model's answer, for all of them.
        n: how many faces the means are of.
        face: float32 (S, S), their mean in grey, 0-255.
        probability: the mean probability of the label with nothing hidden.
        falls: float32 (15, 15), the mean of the maps that :func:`falls` gives.
    """

    label: str
    n: int
    face: NDArray[np.float32]
    probability: float
    falls: NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the probability in percent, falls as they are, the face left out."""
        rounded = np.round(self.falls.astype(float), 3).tolist()
        return {"label": self.label, "n": self.n, "probability": round(100 * self.probability, 3), "falls": rounded}


def falls(
    model: Model, crops: NDArray[np.uint8], output: str, asked: NDArray[np.integer], patch: float = PATCH
) -> NDArray[np.float32]:
    """By how much the odds of a label fall while each place is hidden, for each face.

    The square is of the crop's mean grey, which is where it stands out least; over the edge it is cut off.

    Args:
        model: any model file.
        crops: RGB uint8 (N, H, W, 3) of the model's size.
        output: which of the model's outputs.
        asked: (N,) the label, an index into the output's labels, for each face.
        patch: side of the square as a fraction of the crop's, above 0 and below 1.

    Returns:
        float32 (N, 15, 15), how often the odds are halved: rows from the top, columns from the left.
    """
    maps = np.empty((len(crops), PLACES, PLACES), np.float32)
    for number, (face, label) in enumerate(zip(crops, np.asarray(asked).tolist(), strict=True)):
        scored = model.score(np.concatenate([face[None], _hidden(face, patch)]))[output]
        odds = _log_odds(scored, label)
        maps[number] = (odds[0] - odds[1:]).reshape(PLACES, PLACES)
    return maps


def _log_odds(scored: NDArray[np.floating], label: int) -> NDArray[np.float64]:
    """To base 2, of one label, (N,); from the others' sum, since 1 - p is nothing where p is next to 1."""
    own = scored[:, label].astype(np.float64)
    others = np.delete(scored, label, axis=1).sum(axis=1, dtype=np.float64)
    return np.log2(np.maximum(own, _TINY) / np.maximum(others, _TINY))


def _hidden(face: NDArray[np.uint8], patch: float) -> NDArray[np.uint8]:
    """The crop (H, W, 3) with each place hidden in turn: uint8 (225, H, W, 3)."""
    height, width = face.shape[:2]
    grey = np.uint8(round(float(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).mean())))
    copies = np.repeat(face[None], PLACES**2, axis=0)
    rows, columns = _spans(height, patch), _spans(width, patch)
    for number, copy in enumerate(copies):
        copy[rows[number // PLACES], columns[number % PLACES]] = grey
    return copies


def _spans(side: int, patch: float) -> list[slice]:
    """Which pixels of a side are hidden at each place."""
    middles = (np.arange(PLACES) + 0.5) / PLACES * side
    size = max(round(patch * side), 1)
    starts = [round(middle - size / 2) for middle in middles.tolist()]
    return [slice(max(start, 0), max(start, 0) + size + min(start, 0)) for start in starts]


def explain(
    recognizer: Recognizer,
    picture: NDArray[np.uint8],
    *,
    face: int | None = None,
    label: str | None = None,
    output: str | None = None,
    patch: float = PATCH,
) -> list[Explained]:
    """Explain what a model says of the faces in a picture.

    Args:
        recognizer: a model and a detector; ``align`` off.
        picture: RGB uint8 (H, W, 3).
        face: only this one, counted from 1 on the left; None: all.
        label: what the maps are about; None: what the model answers for each face.
        output: which of the model's outputs; None: the first.
        patch: side of the square as a fraction of the crop's.

    Returns:
        The faces from left to right; none is an empty list.

    Raises:
        PictureError: there is no such face.
        ModelError: the model has no such output.
        LabelError: the output knows no such label.
    """
    model, card = recognizer.model, recognizer.model.card
    name = _output(card.outputs, output)
    labels = card.outputs[name].labels
    if label is not None and label not in labels:
        raise LabelError(f"no label '{shown(label)}' in the model's {name}, only {', '.join(labels)}")
    found = recognizer.predict(picture, color="rgb").faces
    if face is not None and not 1 <= face <= len(found):
        raise PictureError(f"there is no face {face}: {len(found)} were found, counted from 1 on the left")
    framing = Framing.of(card.framing, recognizer.detector.name)
    assert framing is not None  # a recognizer without one is never built
    explained: list[Explained] = []
    for one in found if face is None else found[face - 1 : face]:
        probabilities = one.outputs[name]
        about = label or max(probabilities, key=probabilities.__getitem__)
        seen = crop(picture, one.box, framing, card.width, card.height)
        worth = falls(model, seen[None], name, np.array([labels.index(about)]), patch)[0]
        explained.append(Explained(crop(picture, one.box, framing, _SIDE, _SIDE), probabilities, about, worth))
    return explained


def _output(outputs: Mapping[str, object], asked: str | None) -> str:
    if asked is not None and asked not in outputs:
        raise ModelError(f"the model has no output '{shown(asked)}', only {', '.join(outputs)}")
    return asked or next(iter(outputs))


def average(
    model: Model,
    part: Table,
    scores: Scores,
    *,
    faces: int = 210,
    seed: int = 0,
    patch: float = PATCH,
    say: Callable[[str], None] = lambda doing: None,
) -> list[MeanMap]:
    """The mean map of each label over faces of a split that the model answers right.

    Args:
        model: any model file.
        part: the rows of one split.
        scores: of one output of the model for these rows, as :func:`mien.evaluate.predictions.predict` gives them.
        faces: how many to draw, the same number of each label as far as there are; each takes 226 passes.
        seed: of the drawing.
        patch: side of the square as a fraction of the crop's.
        say: told what is being done.

    Returns:
        One a label, in the output's order; labels of which no face is answered right are left out.

    Raises:
        DataError: the model answers none of the faces right.
    """
    right = scores.probabilities.argmax(axis=1) == scores.truth
    drawn = choose(np.where(right, scores.truth, -1), faces, seed)
    if not len(drawn):
        raise DataError(f"the model answers no face of '{shown(part.info.name)}' right, so there is nothing to explain")
    maps: list[MeanMap] = []
    for index in np.unique(scores.truth[drawn]).tolist():
        label, own = scores.labels[index], drawn[scores.truth[drawn] == index]
        say(f"{label}: hiding places of {len(own)} faces")
        crops = part.take(own).pictures(model.card.width)
        worth = falls(model, crops, scores.output, np.full(len(own), index), patch).mean(axis=0)
        mean = np.mean([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in crops], axis=0)
        probability = float(scores.probabilities[own, index].mean())
        maps.append(MeanMap(label, len(own), mean.astype(np.float32), probability, worth))
    return maps
