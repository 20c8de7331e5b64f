"""What mien gets wrong: which expressions are taken for which, and what turned, small and damaged faces cost.

    python benchmarks/limits.py fer2013.parquet unseen-faces.parquet --landmarks face_landmarker.task

``default`` and ``fast``, by the answer that users see. Two sets of faces: PublicTest (validation), every face with a
vote, right being what most voters saw; and press photographs from elsewhere (``elsewhere.py`` says which), right being
one student's label. Confusion is of both sets. Size and damage are of ``FACES`` PublicTest faces drawn by a seed, each
scaled down or damaged and compared with itself as it is. Turned faces are of the second set, whose yaw the landmarker's
mesh gives; of FER2013's small pictures it is too rough. Intervals are 95 % bootstrap, drawing whole groups of copies or
whole persons. PrivateTest is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import elsewhere
import numpy as np
import recording
from numpy.typing import NDArray
from samples import Array, Labels, Pixels, drawn, noise, numbered, right_answers, voted

from mien import models
from mien.evaluate.sensitivity import CORRUPTIONS, Variant
from mien.expressions import BASIC_SEVEN

RECORD = Path(__file__).with_suffix(".json")
MODELS = ("default", "fast")
FACES, SEED, RESAMPLES, SURE = 1500, 0, 1000, 0.8
#: Degrees of yaw: how far a head is turned aside.
TURNS = ((0, 10), (10, 25), (25, 90))
SIDES = (32, 24, 16, 12)


def smaller(side: int) -> Variant:
    """A face whose frame had so many pixels a side, enlarged again."""

    def apply(picture: Pixels) -> Pixels:
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)

    return apply


#: Name to what is done to the face, by group.
CHANGES: Mapping[str, Mapping[str, Variant]] = {
    "size": {f"{side} px": smaller(side) for side in SIDES},
    "damage": {
        **{
            name: CORRUPTIONS[name][0]
            for name in ("JPEG quality 30", "blurred, sigma 2 % of the width", "half as bright again")
        },
        "noise, sigma 20 grey levels": noise(20),
        "lower half covered": CORRUPTIONS["lower half covered"][0],
    },
}


def resampled(clusters: Labels, measure: Callable[[Array], float]) -> list[float]:
    """A figure of weighted faces, in percent, with its interval over clusters."""
    low, high = np.nanquantile([measure(weights) for weights in drawn(clusters, RESAMPLES, SEED)], (0.025, 0.975))
    return [round(100 * float(v), 1) for v in (measure(np.ones(len(clusters))), low, high)]


def share(hits: NDArray[np.bool_], weights: Array) -> float:
    """Of weighted faces; nan where they weigh nothing."""
    return float((hits * weights).sum() / weights.sum()) if weights.sum() else float("nan")


def confusion(truth: Labels, guess: Labels, clusters: Labels) -> dict[str, Any]:
    """Top-1, and for each label how many faces, their recall, and what they are taken for, in percent."""
    told: dict[str, Any] = {"n": len(truth), "top1": resampled(clusters, lambda w: share(truth == guess, w))}
    for k, name in enumerate(BASIC_SEVEN):
        own = truth == k
        if own.any():
            told[name] = {
                "n": int(own.sum()),
                "recall": resampled(clusters, lambda w, own=own: share((guess == truth)[own], w[own])),
                "taken_for": np.round(100 * np.bincount(guess[own], minlength=7) / own.sum(), 1).tolist(),
            }
    return told


def changed(model: models.Model, crops: Pixels, truth: Labels, clusters: Labels) -> dict[str, Any]:
    """Top-1 of changed faces, what the change costs, and how many sure answers are wrong."""
    name = next(iter(model.card.outputs))
    before = model.score(crops)[name]
    right = before.argmax(axis=1) == truth
    told: dict[str, Any] = {"as it is": _line(before, right, right, clusters)}
    for group, variants in CHANGES.items():
        told[group] = {}
        for what, variant in variants.items():
            after = model.score(np.stack([variant(crop) for crop in crops]))[name]
            told[group][what] = _line(after, after.argmax(axis=1) == truth, right, clusters)
    return told


def _line(said: NDArray[np.float32], hits: NDArray[np.bool_], before: NDArray[np.bool_], clusters: Labels) -> Any:
    sure = said.max(axis=1) >= SURE
    return {
        "top1": resampled(clusters, lambda w: share(hits, w)),
        "lost": resampled(clusters, lambda w: share(before, w) - share(hits, w)),
        "sure": round(100 * float(sure.mean()), 1),
        "sure_and_wrong": round(100 * float((~hits[sure]).mean()), 1),
    }


def turned(truth: Labels, guess: Labels, persons: Labels, yaw: Array) -> dict[str, Any]:
    """Right answers by how far the head is turned, over all labels and over neutral and happy faces alone."""
    hits = truth == guess
    told: dict[str, Any] = {"no_mesh": int(np.isnan(yaw).sum())}
    parts = [(np.abs(yaw) >= low) & (np.abs(yaw) < high) for low, high in TURNS]
    for (low, high), part in zip(TURNS, parts, strict=True):
        line: dict[str, Any] = {"n": int(part.sum())}
        told[f"{low}-{high}"] = line
        for name, among in (("top1", truth >= 0), ("happy", truth == 3), ("neutral", truth == 6)):
            own = part & among
            line[name] = resampled(persons, lambda w, own=own: share(hits[own], w[own])) if own.any() else None
        line["others_n"] = int((part & (truth != 3) & (truth != 6)).sum())
    told["lost"] = {
        name: resampled(persons, lambda w, m=m: share(hits[parts[0] & m], w[parts[0] & m]) - share(
            hits[parts[2] & m], w[parts[2] & m]))
        for name, m in (("top1", truth >= 0), ("happy", truth == 3), ("neutral", truth == 6))
    }  # fmt: skip
    return told


def table(record: Mapping[str, Any]) -> str:
    """The figures as Markdown: four tables."""
    return "\n\n".join([_confusions(record), _recalls(record), _turns(record), _changes(record)])


def _told(three: list[float] | None) -> str:
    return "" if three is None else f"{three[0]:.1f} ({three[1]:.1f} to {three[2]:.1f})"


def _confusions(record: Mapping[str, Any]) -> str:
    found = record["default"]["PublicTest"]
    rows = [(name, found[name]["n"], *(f"{v:.0f}" for v in found[name]["taken_for"])) for name in BASIC_SEVEN]
    return recording.markdown(("seen by most voters", "n", *BASIC_SEVEN), rows)


def _recalls(record: Mapping[str, Any]) -> str:
    columns = [(model, where) for model in MODELS for where in ("PublicTest", "elsewhere")]
    rows = [("all", *(_told(record[m][w]["top1"]) for m, w in columns))]
    for name in BASIC_SEVEN:
        cells = [record[m][w].get(name) for m, w in columns]
        rows.append((name, *("" if c is None else f"{_told(c['recall'])}, n = {c['n']:,}" for c in cells)))
    return recording.markdown(("", *(f"{model}, {where}" for model, where in columns)), rows)


def _turns(record: Mapping[str, Any]) -> str:
    among = ("top1", "happy", "neutral")
    rows = []
    for low, high in TURNS:
        for model in MODELS:
            line = record[model]["turned"][f"{low}-{high}"]
            rows.append((f"{low}-{high}°", model, line["n"], *(_told(line[name]) for name in among)))
    for model in MODELS:
        lost = record[model]["turned"]["lost"]
        rows.append(("points lost from the first to the last", model, "", *(_told(lost[name]) for name in among)))
    return recording.markdown(("turned by", "model", "n", "right", "happy faces", "neutral faces"), rows)


def _changes(record: Mapping[str, Any]) -> str:
    rows = []
    names = [("as it is", None), *((what, group) for group, each in CHANGES.items() for what in each)]
    for what, group in names:
        for model in MODELS:
            found = record[model]["changed"]
            line = found[what] if group is None else found[group][what]
            lost = "" if group is None else _told(line["lost"])
            sure = (f"{line['sure']:.1f}", f"{line['sure_and_wrong']:.1f}")
            rows.append((what, model, _told(line["top1"]), lost, *sure))
    head = ("face", "model", "right", "points lost", "at least 80 % sure", "of those wrong")
    return recording.markdown(head, rows)


def main() -> None:
    """Measure, record, print."""
    parser = recording.parser(__doc__, data=True, record=False)
    parser.add_argument("unseen", type=Path)
    parser.add_argument("--landmarks", type=Path, help="face_landmarker.task; else it is fetched")
    asked = parser.parse_args()
    part, away = voted(asked.data), elsewhere.read(asked.unseen)
    truth, groups = right_answers(part), numbered(part.groups)
    chosen = np.sort(np.random.default_rng(SEED).choice(len(truth), min(FACES, len(truth)), replace=False))
    chosen_groups = numbered(groups[chosen])
    record: dict[str, Any] = {"faces": FACES, "seed": SEED}
    answers = {}
    for name in MODELS:
        model = models.load(name, threads=1)
        crops = part.pictures(model.card.width)
        said, other = (next(iter(model.score(c).values())) for c in (crops, away.sized(model.card.width)))
        answers[name] = other.argmax(axis=1)
        record[name] = {
            "PublicTest": confusion(truth, said.argmax(axis=1), groups),
            "elsewhere": confusion(away.truth, answers[name], away.persons),
            "changed": changed(model, crops[chosen], truth[chosen], chosen_groups),
        }
    found = elsewhere.meshes(away.crops, asked.landmarks)
    yaw = np.array([np.nan if mesh is None else elsewhere.yaw_of(mesh) for mesh in found])
    for name in MODELS:
        record[name]["turned"] = turned(away.truth, answers[name], away.persons, yaw)
    recording.write(RECORD, record)
    print(table(record))


if __name__ == "__main__":
    main()
