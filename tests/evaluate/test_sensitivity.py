import numpy as np
import pytest

from mien import models
from mien.evaluate import metrics, predictions, sensitivity

SIDE = 48


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 120, (6, 6, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def corrupted(name, picture):
    return [variant(picture) for variant in sensitivity.CORRUPTIONS[name]]


@pytest.mark.parametrize("name", sensitivity.CORRUPTIONS)
def test_each_corruption_changes_the_picture_and_keeps_its_shape(name, picture):
    before = picture.copy()
    for changed in corrupted(name, picture):
        assert changed.shape == picture.shape
        assert changed.dtype == np.uint8
        assert not np.array_equal(changed, picture)
    assert np.array_equal(before, picture)


def test_shifts_go_all_four_ways_by_their_part(picture):
    large = np.zeros((50, 50, 3), np.uint8)
    large[25, 25] = 255
    places = {
        tuple(int(v) for v in np.argwhere(changed[..., 0] > 128)[0]) for changed in corrupted("shifted by 10 %", large)
    }
    assert places == {(25, 30), (25, 20), (30, 25), (20, 25)}


def test_a_tighter_frame_shows_things_larger():
    square = np.zeros((200, 200, 3), np.uint8)
    square[60:140, 60:140] = 255
    sides = {
        name: (corrupted(name, square)[0][..., 0] > 128).sum() ** 0.5
        for name in sensitivity.CORRUPTIONS
        if "framed" in name
    }
    expected = {"10 % tighter": 80 / 0.9, "20 % tighter": 80 / 0.8, "10 % wider": 80 / 1.1, "20 % wider": 80 / 1.2}
    assert sides == {f"framed {name}": pytest.approx(side, abs=1) for name, side in expected.items()}


def test_light_and_covers_and_colours(picture):
    dark, bright = corrupted("half as bright", picture)[0], corrupted("half as bright again", picture)[0]
    assert np.abs(dark - picture / 2).max() <= 0.5
    assert np.abs(bright - picture * 1.5).max() <= 0.5
    assert (corrupted("lower half covered", picture)[0][24:] == 128).all()
    assert (corrupted("upper half covered", picture)[0][:24] == 128).all()
    left, right = corrupted("one side covered", picture)
    assert (left[:, 24:] == 128).all()
    assert (right[:, :24] == 128).all()
    red = np.zeros((SIDE, SIDE, 3), np.uint8)
    red[..., 0] = 200
    assert corrupted("JPEG quality 30", red)[0].mean(axis=(0, 1)).argmax() == 0


def test_figures_are_means_over_variants_against_the_clean(patterns):
    model = models.load(threads=1)
    name = "shifted by 20 %"
    variants = sensitivity.CORRUPTIONS[name]
    seen = []
    found = sensitivity.measure(
        model, patterns, "validation", {name: variants, "as it is": (lambda p: p,)}, lambda *done: seen.append(done)
    )
    assert [s.name for s in found] == [name, "as it is"]
    assert set(found[1].change.values()) == {0.0}
    plain = {s.label_set: metrics.measure(s).top1 for s in predictions.predict(model, patterns, "validation").scores}
    assert found[1].top1 == plain
    each = []
    for variant in variants:

        def change(crops, variant=variant):
            return np.stack([variant(crop) for crop in crops])

        each.append(
            {
                s.label_set: metrics.measure(s).top1
                for s in predictions.predict(model, patterns, "validation", change).scores
            }
        )
    for label_set, share in found[0].top1.items():
        assert share == pytest.approx(np.mean([e[label_set] for e in each]))
        assert found[0].change[label_set] == pytest.approx(share - plain[label_set])
    assert seen[-1] == (5, 5)
