"""Can one calibration hold on PublicTest and on faces from elsewhere? Why the second is missed, and what was tried.

    python benchmarks/recalibration.py fer2013.parquet unseen-faces.parquet

The fused answer's calibration error under its prior (``fusion.py`` defines it) is near .015 on PublicTest and .11 on
the faces from elsewhere, where .06 is aimed at. ``why`` shows confidence against right answers there, by confidence and
by answer, weighted to the prior over the five expressions with enough faces.

Tried, starting from the fused log-probabilities as shipped (calibrated on PublicTest's votes without the fold that is
judged): one temperature; one temperature and biases; one scale and bias a label (vector scaling, shrunk to the
identity by a normal prior with a standard deviation of .5); a temperature that depends on how far the two heads
disagree. Each is fitted on PublicTest's votes and on labels from elsewhere at once, both weighted to the prior, the
latter counting for ``share`` of the whole: four fifths of the groups of copies and of the persons fit, a fifth is
judged.

The rule was written before looking: one is kept if, held out, its error is at most .03 on PublicTest and at most .06
elsewhere for each of the three files, and it leaves the answers' accuracy elsewhere above the bounds of ``fusion.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fusion as ways
import numpy as np
import recording
from fusion import MODELS, SEVEN, Array, Faces, Heads, calibration_error, figures, fits
from samples import divergence
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from mien.evaluate import fusion

RECORD = Path(__file__).with_suffix(".json")
KINDS = ("temperature", "temperature and biases", "scales and biases", "temperature by disagreement")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MOST_HERE, MOST_AWAY, DEVIATION, BINS = 0.03, 0.06, 0.5, 5
PRIOR = np.array(fusion.PRIOR)


def apart_by(heads: Mapping[str, Array]) -> Array:
    """How far both heads disagree."""
    a, b = (p / p.sum(axis=1, keepdims=True) for p in heads.values())
    return divergence(a, b)


def targets(shares: Array, among: Array) -> Array:
    """Votes weighted to the prior over some labels, summing to 1."""
    shares = shares * among
    common = shares.sum(axis=0) / shares.sum()
    found = shares * np.divide(PRIOR, common, out=np.zeros(SEVEN), where=common > 0)
    return found / found.sum()


def applied(kind: str, x: Array, scores: Array, apart: Array) -> Array:
    """Scores by parameters: a logarithm of each scale first, then biases or a slope."""
    if kind == "temperature":
        return scores * np.exp(x[0])
    if kind == "temperature and biases":
        return scores * np.exp(x[0]) + x[1:]
    if kind == "scales and biases":
        return scores * np.exp(x[:SEVEN]) + x[SEVEN:]
    return scores * np.exp(x[0] + x[1] * apart)[:, None]


def slopes(kind: str, x: Array, scores: Array, apart: Array, error: Array) -> Array:
    """What a small change of each parameter does, by what one of each score does."""
    along = error * scores
    if kind == "temperature":
        return np.array([along.sum() * np.exp(x[0])])
    if kind == "temperature and biases":
        return np.concatenate([[along.sum() * np.exp(x[0])], error.sum(axis=0)])
    if kind == "scales and biases":
        return np.concatenate([along.sum(axis=0) * np.exp(x[:SEVEN]), error.sum(axis=0)])
    each = along.sum(axis=1) * np.exp(x[0] + x[1] * apart)
    return np.array([each.sum(), (each * apart).sum()])


def count(kind: str) -> int:
    """Parameters of a kind."""
    return (1, 1 + SEVEN, 2 * SEVEN, 2)[KINDS.index(kind)]


def fit(kind: str, scores: Array, apart: Array, target: Array, five: Array) -> Array:
    """Parameters that make weighted targets most likely; a row answers among the labels that are 1 in ``five``."""
    shrunk = 1 / (DEVIATION**2 * len(scores))
    closed = np.where(five > 0, 0, -np.inf)

    def loss(x: Array) -> tuple[float, Array]:
        said = log_softmax(applied(kind, x, scores, apart) + closed, axis=1)
        error = np.exp(said) * target.sum(axis=1, keepdims=True) - target
        value = -(target * np.where(five > 0, said, 0)).sum() + shrunk * (x**2).sum() / 2
        return float(value), slopes(kind, x, scores, apart, error) + shrunk * x

    return minimize(loss, np.zeros(count(kind)), jac=True, method="L-BFGS-B").x


def held_out(kind: str, share: float, heads: Heads, faces: Faces) -> tuple[Array, Array]:
    """Probabilities on both sets, each face judged by a fit without its fold."""
    here, away = (log_softmax(s, axis=1) for s in ways.shipped(heads, faces))
    apart = apart_by(heads.here), apart_by(heads.away)
    among = np.isin(np.arange(SEVEN), faces.five).astype(float)
    labels = np.eye(SEVEN + 1)[faces.elsewhere][:, :SEVEN]
    found = np.empty_like(here), np.empty_like(away)
    for fold in range(ways.FOLDS):
        k, m = faces.fold != fold, faces.elsewhere_fold != fold
        wanted = [targets(faces.shares[k], np.ones(SEVEN)) * (1 - share), targets(labels[m], among) * share]
        five = np.vstack([np.ones((k.sum(), SEVEN)), np.tile(among, (m.sum(), 1))])
        x = fit(
            kind, np.vstack([here[k], away[m]]), np.concatenate([apart[0][k], apart[1][m]]), np.vstack(wanted), five
        )
        found[0][~k] = softmax(applied(kind, x, here[~k], apart[0][~k]), axis=1)
        found[1][~m] = softmax(applied(kind, x, away[~m], apart[1][~m]), axis=1)
    return found


def errors(here: Array, away: Array, faces: Faces) -> tuple[float, float]:
    """Calibration error on PublicTest's votes, and elsewhere over the five."""
    voted = faces.shares.sum(axis=1) > 0
    among = np.isin(np.arange(SEVEN), faces.five)
    five, labels = away * among, np.eye(SEVEN + 1)[faces.elsewhere][:, :SEVEN] * among
    return (
        calibration_error(here[voted], faces.shares[voted], PRIOR),
        calibration_error(five / five.sum(axis=1, keepdims=True), labels, PRIOR * among),
    )


def why(heads: Heads, faces: Faces) -> dict[str, Any]:
    """Confidence and right answers elsewhere and on PublicTest, by confidence and by answer, weighted to the prior."""
    here, away = (softmax(s, axis=1) for s in ways.shipped(heads, faces))
    among = np.isin(np.arange(SEVEN), faces.five)
    five = away * among
    sides = {
        "PublicTest": (here, targets(faces.shares, np.ones(SEVEN))),
        "elsewhere": (
            five / five.sum(axis=1, keepdims=True),
            targets(np.eye(SEVEN + 1)[faces.elsewhere][:, :SEVEN], among.astype(float)),
        ),
    }
    told: dict[str, Any] = {}
    for name, (said, weights) in sides.items():
        confidence, guess, total = said.max(axis=1), said.argmax(axis=1), weights.sum(axis=1)
        right = weights[np.arange(len(guess)), guess]
        which = np.minimum((confidence * BINS).astype(int), BINS - 1)
        parts = {f"{k / BINS:.1f}-{(k + 1) / BINS:.1f}": which == k for k in range(1, BINS)}
        parts |= {label: guess == k for k, label in enumerate(fusion.BASIC_SEVEN)}
        told[name] = {
            part: {
                "share": round(float(total[m].sum()), 3),
                "confidence": round(float((confidence * total)[m].sum() / total[m].sum()), 3),
                "right": round(float(right[m].sum() / total[m].sum()), 3),
            }
            for part, m in parts.items()
            if total[m].sum() > 0.005
        }
    return told


def judge(faces: Faces, heads: Mapping[str, Heads]) -> dict[str, Any]:
    """All that was tried, and which of it keeps to the rule."""
    tried = []
    for kind in KINDS:
        for share in SHARES:
            made = {model: held_out(kind, share, heads[model], faces) for model in MODELS}
            found = {model: errors(*pair, faces) for model, pair in made.items()}
            rows = np.array([figures(a.argmax(axis=1), b.argmax(axis=1), faces) for a, b in made.values()])
            tried.append(
                {
                    "kind": kind,
                    "share": share,
                    "errors": {m: [round(e, 4) for e in pair] for m, pair in found.items()},
                    "kept": fits(rows) and all(a <= MOST_HERE and b <= MOST_AWAY for a, b in found.values()),
                    "figures": np.round(100 * rows.mean(axis=0), 1).tolist(),
                }
            )
    return {"why": {m: why(heads[m], faces) for m in MODELS}, "tried": tried}


def table(record: Mapping[str, Any]) -> str:
    """What was tried, as Markdown: errors on PublicTest / elsewhere."""
    rows = []
    for row in record["tried"]:
        pairs = (row["errors"][model] for model in MODELS)
        rows.append((row["kind"], f"{row['share']:g}", *(f"{a:.3f} / {b:.3f}" for a, b in pairs)))
    return recording.markdown(("fitted", "share from elsewhere", *MODELS), rows)


def main() -> None:
    """Measure, record, print."""
    parser = recording.parser(__doc__, data=True, record=False)
    parser.add_argument("unseen", type=Path)
    asked = parser.parse_args()
    record = judge(*ways.load(asked.data, asked.unseen))
    recording.write(RECORD, record)
    print(table(record), [row for row in record["tried"] if row["kept"]], sep="\n\n")


if __name__ == "__main__":
    main()
