"""Does anything find wrong answers better than a low probability does, on faces unlike the training faces?

    python benchmarks/unsure.py fer2013.parquet unseen-faces.parquet --landmarks face_landmarker.task

What a model file answers and what a crop shows: the largest probability of ``probabilities``, its entropy, its margin;
how far both heads disagree (Jensen-Shannon divergence, total variation, the least probability that a head gives to the
answer); sharpness, contrast and light of the crop; yaw and roll. Energy and distances of features cannot be had:
softmax is in the graph, and logits and features are no outputs. Fitted ones are logistic regressions of "right" on
several of these, on PublicTest faces as they are and corrupted, four fifths of the groups (copies of one picture)
judging the fifth; for faces from elsewhere fitted on all of PublicTest, so never on faces from where they are judged.

Three sets of faces: PublicTest as it is, every face with a vote, right being what most voters saw; the same faces, each
with one corruption dealt at random; development rows (``elsewhere.py``). Yaw and roll are known of development rows
only, by the landmarker's mesh. PrivateTest is never read.

AURC is the mean share of wrong answers over all coverages (Geifman et al. 2019). ``caught`` is the share of all wrong
answers among the fifth of faces that a signal is least sure of. Differences are to the largest probability, with 95 %
bootstrap intervals over groups or persons.

The rule was written before looking: a signal pays if its AURC is lower by its whole interval on corrupted PublicTest
faces and on development rows, for each of the three files, and on PublicTest as it is not higher by its whole interval
for any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import elsewhere
import numpy as np
import recording
from numpy.typing import NDArray
from samples import Array, Labels, Pixels, dealt, divergence, drawn, entropy, noise, numbered, right_answers, voted
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mien import models
from mien.data import table as tables
from mien.detection import quality
from mien.evaluate import sensitivity
from mien.evaluate.sensitivity import Variant

RECORD = Path(__file__).with_suffix(".json")
MODELS = ("default", "fast", "ensemble")
FOLDS, RESAMPLES, COVERAGE = 5, 500, 0.8
LEAST = "largest probability"
SETS = ("PublicTest", "corrupted", "elsewhere")

#: One of these is dealt to each PublicTest face.
CORRUPTIONS: Mapping[str, Variant] = {
    **{name: sensitivity.CORRUPTIONS[name][0] for name in (
        "JPEG quality 30",
        "blurred, sigma 2 % of the width",
        "blurred, sigma 4 % of the width",
        "half as bright",
        "half as bright again",
        "rotated by 15°",
        "shifted by 20 %",
        "framed 20 % wider",
        "lower half covered",
    )},
    "noise, sigma 20 grey levels": noise(20),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of one set: whether answered rightly; signals, the larger the surer; what is drawn together."""

    right: NDArray[np.bool_]
    signals: dict[str, Array]
    features: dict[str, Array]
    clusters: Labels


def measured(model: models.Model, crops: Pixels) -> tuple[Labels, dict[str, Array]]:
    """Answers, and what can be known of them and of the crops."""
    said = model.score(crops)
    heads = {o.label_set: said[name][:, :7].astype(float) for name, o in model.card.heads.items()}
    answer = next(iter(said.values())).astype(float)
    crowd, own = (head / head.sum(axis=1, keepdims=True) for head in (heads["ferplus"], heads["fer2013"]))
    ordered = np.sort(answer, axis=1)
    guess, each = answer.argmax(axis=1), np.arange(len(answer))
    grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
    known = {
        "probability": ordered[:, -1],
        "entropy": entropy(answer),
        "margin": ordered[:, -1] - ordered[:, -2],
        "divergence": divergence(crowd, own),
        "variation": np.abs(crowd - own).sum(axis=1) / 2,
        "least": np.minimum(crowd[each, guess], own[each, guess]),
        "sharpness": np.array([quality.edges(crop) for crop in crops]),
        "contrast": np.array([float(g.std()) for g in grey]),
        "light": np.array([float(g.mean()) for g in grey]),
    }
    return guess, known


def plain(known: Mapping[str, Array]) -> dict[str, Array]:
    """Signals that need no fit, the larger the surer."""
    found = {
        LEAST: known["probability"],
        "entropy": -known["entropy"],
        "margin": known["margin"],
        "heads: Jensen-Shannon divergence": -known["divergence"],
        "heads: total variation": -known["variation"],
        "heads: least probability of the answer": known["least"],
        "probability x (1 - total variation)": known["probability"] * (1 - known["variation"]),
        "probability x (1 - divergence)": known["probability"] * (1 - known["divergence"] / np.log(2)),
        "sharpness": known["sharpness"],
    }
    if "yaw" in known:
        frontal = 1 - np.abs(known["yaw"])
        found |= {"yaw": frontal, "probability x frontal": known["probability"] * frontal}
        found["roll"] = -np.abs(known["roll"])
    return found


#: Name to features of a logistic regression.
FITTED: Mapping[str, tuple[str, ...]] = {
    "fitted: probability, divergence": ("odds", "divergence"),
    "fitted: probability, sharpness": ("odds", "sharpness"),
    "fitted: probability, both heads": ("odds", "entropy", "margin", "divergence", "variation", "least"),
    "fitted: all of it": (
        "odds", "entropy", "margin", "divergence", "variation", "least", "sharpness", "contrast", "light",
    ),
}  # fmt: skip


def fitted(names: tuple[str, ...], known: Mapping[str, Array], right: NDArray[np.bool_]) -> Callable[..., Array]:
    """Chances of being right, fitted on some faces, of others."""

    def columns(of: Mapping[str, Array]) -> Array:
        p = np.clip(of["probability"], 1e-6, 1 - 1e-6)
        return np.stack([np.log(p / (1 - p)) if name == "odds" else of[name] for name in names], axis=1)

    scale = StandardScaler().fit(columns(known))
    found = LogisticRegression(C=1.0, max_iter=1000).fit(scale.transform(columns(known)), right)
    return lambda of: found.decision_function(scale.transform(columns(of)))


def sets(
    model: models.Model, part: tables.Table, away: elsewhere.Development, poses: Mapping[str, Array]
) -> list[Faces]:
    """The three sets of faces as one file reads them, in the order of ``SETS``."""
    truth = right_answers(part)
    crops = part.pictures(model.card.width)
    changes = list(CORRUPTIONS.values())
    which = np.random.default_rng(0).integers(0, len(changes), len(crops))
    corrupted = np.stack([changes[k](crop) for k, crop in zip(which, crops, strict=True)])
    groups, fold = numbered(part.groups), dealt(part.groups, FOLDS)
    (guess, clean), (other, worse) = measured(model, crops), measured(model, corrupted)
    here = [(guess == truth, clean), (other == truth, worse)]
    guess, known = measured(model, away.sized(model.card.width))
    known |= poses
    signals = [plain(clean), plain(worse), plain(known)]
    both = {name: np.concatenate([clean[name], worse[name]]) for name in clean}
    right, folds = np.concatenate([r for r, _ in here]), np.tile(fold, 2)
    for name, features in FITTED.items():
        said = np.empty(len(right))
        for k in range(FOLDS):
            seen = folds != k
            use = fitted(features, {n: v[seen] for n, v in both.items()}, right[seen])
            said[~seen] = use({n: v[~seen] for n, v in both.items()})
        signals[0][name], signals[1][name] = np.split(said, 2)
        signals[2][name] = fitted(features, both, right)(known)
    return [
        Faces(here[0][0], signals[0], clean, groups),
        Faces(here[1][0], signals[1], worse, groups),
        Faces(guess == away.truth, signals[2], known, away.persons),
    ]


def curve(order: Labels, wrong: Array, weights: Array) -> tuple[float, float]:
    """AURC, and the share of wrong answers caught at the coverage, faces counted by weights, surest first."""
    given, missed = np.cumsum(weights[order]), np.cumsum((weights * wrong)[order])
    risk = np.divide(missed, given, out=np.zeros_like(missed), where=given > 0)
    kept = np.searchsorted(given, COVERAGE * given[-1])
    return float((risk * weights[order]).sum() / given[-1]), float(1 - missed[kept] / missed[-1])


def judge(faces: Faces) -> list[dict[str, Any]]:
    """A line for each signal of one set."""
    wrong = (~faces.right).astype(np.float64)
    order = {name: np.argsort(-signal, kind="stable") for name, signal in faces.signals.items()}
    draws = [np.ones(len(wrong)), *drawn(faces.clusters, RESAMPLES)]
    found = {name: np.array([curve(o, wrong, weights) for weights in draws]) for name, o in order.items()}
    lines = []
    for name, values in found.items():
        away = values - found[LEAST]
        low, high = np.quantile(away[1:], (0.025, 0.975), axis=0)
        lines.append(
            {
                "signal": name,
                "aurc": round(float(values[0, 0]), 4),
                "aurc_away": [round(float(v), 4) for v in (away[0, 0], low[0], high[0])],
                "caught": round(float(values[0, 1]), 3),
                "caught_away": [round(float(v), 3) for v in (away[0, 1], low[1], high[1])],
            }
        )
    return lines


def carried(faces: list[Faces]) -> dict[str, Any]:
    """What a threshold that leaves a fifth of PublicTest unanswered does elsewhere, by the largest probability."""
    least = float(np.quantile(faces[0].signals[LEAST], 1 - COVERAGE))
    told: dict[str, Any] = {"least": round(least, 3)}
    for name, one in zip(SETS, faces, strict=True):
        kept = one.signals[LEAST] >= least
        told[name] = {
            "n": len(kept),
            "wrong": round(1 - float(one.right.mean()), 3),
            "answered": round(float(kept.mean()), 3),
            "wrong_of_answered": round(1 - float(one.right[kept].mean()), 3),
        }
    return told


def paying(record: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> list[str]:
    """The signals that pay by the rule."""
    lines = {
        (model, where, line["signal"]): line["aurc_away"]
        for model, each in record.items()
        for where, found in each.items()
        for line in found
    }
    names = dict.fromkeys(signal for _, _, signal in lines)
    return [
        name
        for name in names
        if all((model, where, name) in lines for model in record for where in SETS)
        and all(lines[model, where, name][2] < 0 for model in record for where in SETS[1:])
        and not any(lines[model, "PublicTest", name][1] > 0 for model in record)
    ]


def table(record: Mapping[str, Any], model: str = "default") -> str:
    """One file's figures as Markdown."""
    rows = []
    found = {where: {line["signal"]: line for line in record["signals"][model][where]} for where in SETS}
    for name in found["elsewhere"]:
        cells = []
        for where in SETS:
            line = found[where].get(name)
            if line is None:
                cells += ["", ""]
                continue
            away, low, high = line["aurc_away"]
            told = "" if name == LEAST else f" ({away:+.4f}; {low:+.4f}, {high:+.4f})"
            cells += [f"{line['aurc']:.4f}{told}", f"{100 * line['caught']:.1f} %"]
        rows.append((name, *cells))
    return recording.markdown(("signal", *(head for where in SETS for head in (f"{where}, AURC", "caught"))), rows)


def main() -> None:
    """Measure, record, print."""
    parser = recording.parser(__doc__, data=True, record=False)
    parser.add_argument("unseen", type=Path)
    parser.add_argument("--landmarks", type=Path, help="face_landmarker.task; else it is fetched")
    asked = parser.parse_args()
    part, away = voted(asked.data), elsewhere.read(asked.unseen)
    found = elsewhere.meshes(away.crops, asked.landmarks)
    five = [((0.0, 0.0),) * 5 if mesh is None else elsewhere.five_of(mesh) for mesh in found]
    pose = np.array([quality.pose(points) for points in five])
    poses = {"yaw": pose[:, 0], "roll": pose[:, 1]}
    record: dict[str, Any] = {"sets": {"no_mesh": sum(mesh is None for mesh in found)}, "signals": {}, "carried": {}}
    for name in MODELS:
        faces = sets(models.load(name, threads=1), part, away, poses)
        record["signals"][name] = dict(zip(SETS, map(judge, faces), strict=True))
        record["carried"][name] = carried(faces)
    record["pay"] = paying(record["signals"])
    recording.write(RECORD, record)
    print(*(table(record, name) for name in MODELS), record["carried"], record["pay"], sep="\n\n")


if __name__ == "__main__":
    main()
