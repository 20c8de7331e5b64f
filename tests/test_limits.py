"""What the benchmarks of wrong answers compute, on numbers worked out by hand."""

from types import ModuleType

import numpy as np
import pytest

from mien.detection.mediapipe import POINTS, Mesh
from mien.results import Box


@pytest.fixture
def scripts() -> dict[str, ModuleType]:
    import elsewhere
    import limits
    import recalibration
    import unsure

    return {"elsewhere": elsewhere, "limits": limits, "recalibration": recalibration, "unsure": unsure}


def test_a_curve_of_weighted_faces_is_that_of_repeated_ones(scripts):
    curve = scripts["unsure"].curve
    wrong, order = np.array([0.0, 0, 1, 0, 1]), np.arange(5)
    assert curve(order, wrong, np.ones(5)) == pytest.approx(((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5, 0.5))
    weights = np.array([2.0, 0, 1, 1, 1])
    repeated = curve(order, np.array([0.0, 0, 1, 0, 1]), np.ones(5))
    assert curve(order, wrong, weights)[1] == repeated[1]


@pytest.mark.parametrize(("away", "pays"), [(-0.01, True), (0.01, False)])
def test_a_signal_pays_only_where_every_file_gains_everywhere(scripts, away, pays):
    def line(value):
        return {"signal": "x", "aurc_away": [value, value - 0.001, value + 0.001]}

    sets = scripts["unsure"].SETS
    record = {model: {where: [line(-0.01)] for where in sets} for model in ("a", "b")}
    record["b"]["elsewhere"] = [line(away)]
    assert (scripts["unsure"].paying(record) == ["x"]) is pays
    record["b"] = {where: [line(-0.01)] for where in sets} | {"PublicTest": [line(0.01)]}
    assert scripts["unsure"].paying(record) == []


def test_noise_is_the_same_for_every_picture_and_as_strong_as_it_says(scripts):
    grey = np.full((64, 64, 3), 128, np.uint8)
    made = scripts["unsure"].noise(20)(grey)
    assert (made == scripts["unsure"].noise(20)(grey)).all()
    assert made.astype(float).std() == pytest.approx(20, rel=0.05)
    assert (made[..., 0] == made[..., 2]).all()


@pytest.mark.parametrize("degrees", [-40, 0, 25])
def test_yaw_is_how_the_line_of_the_eyes_lies_in_depth(scripts, degrees):
    points = np.zeros((POINTS, 3), np.float32)
    turn = np.radians(degrees)
    points[[33, 263]] = np.array([[-1, 0, 0], [1, 0, 0]]) @ [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [0, 0, 1]]
    assert scripts["elsewhere"].yaw_of(Mesh(Box(0, 0, 9, 9), points, 1.0)) == pytest.approx(degrees, abs=1e-3)


def test_targets_have_the_prior_whatever_was_common(scripts):
    recalibration = scripts["recalibration"]
    shares = np.eye(7)[[0] * 9 + [1] + [2] * 30 + [3, 4, 5, 6, 6]]
    assert recalibration.targets(shares, np.ones(7)).sum(axis=0) == pytest.approx(recalibration.PRIOR)
    some = recalibration.targets(shares, np.array([1.0, 0, 0, 1, 0, 0, 0]))
    assert some.sum(axis=0) == pytest.approx(
        recalibration.PRIOR * [1, 0, 0, 1, 0, 0, 0] / recalibration.PRIOR[[0, 3]].sum()
    )


def test_a_temperature_is_found_from_votes_and_from_labels_among_some(scripts):
    recalibration, rng = scripts["recalibration"], np.random.default_rng(0)
    scores = np.log(rng.dirichlet(np.ones(7), 4000))
    true = np.exp(2 * scores) / np.exp(2 * scores).sum(axis=1, keepdims=True)
    among = np.array([1.0, 0, 0, 1, 1, 1, 1])
    five = np.vstack([np.ones((2000, 7)), np.tile(among, (2000, 1))])
    target = true * five / (true * five).sum(axis=1, keepdims=True)
    (found,) = recalibration.fit("temperature", scores, np.zeros(4000), target / 4000, five)
    assert np.exp(found) == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("kind", range(4))
def test_slopes_are_those_of_small_steps(scripts, kind):
    recalibration, rng = scripts["recalibration"], np.random.default_rng(kind)
    name = recalibration.KINDS[kind]
    scores, error, apart = rng.normal(size=(20, 7)), rng.normal(size=(20, 7)), rng.random(20)
    at = rng.normal(0, 0.3, recalibration.count(name))
    steps = 1e-6 * np.eye(len(at))
    moved = [(error * recalibration.applied(name, at + step, scores, apart)).sum() for step in (*steps, *-steps)]
    expected = (np.array(moved[: len(at)]) - moved[len(at) :]) / 2e-6
    assert recalibration.slopes(name, at, scores, apart, error) == pytest.approx(expected, abs=1e-6)


def test_intervals_of_a_share_hold_it_and_shrink_with_clusters(scripts):
    limits = scripts["limits"]
    hits = np.arange(400) % 4 > 0
    told = limits.resampled(np.arange(400), lambda w: limits.share(hits, w))
    assert told[0] == 75
    assert told[1] < 75 < told[2]
    same = limits.resampled(np.arange(400) // 100, lambda w: limits.share(np.arange(400) >= 100, w))
    assert same[2] - same[1] > 3 * (told[2] - told[1])
