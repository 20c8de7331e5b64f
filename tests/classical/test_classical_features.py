import numpy as np
import pytest

from mien.classical import features
from mien.errors import RecipeError
from mien.recipes.classical_schema import Hog, Lbp, Pixels


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 48, 48)).astype(np.uint8)


def test_pixels_are_the_pixels(pictures):
    found = features.build(Pixels(kind="pixels"))(pictures)
    assert found.dtype == np.float32
    assert np.array_equal((found * 255).round().astype(np.uint8).reshape(pictures.shape), pictures)


@pytest.mark.parametrize(("cell", "block", "width"), [(8, 2, 5 * 5 * 4 * 9), (12, 1, 4 * 4 * 9)])
def test_hog_has_a_histogram_for_each_cell_of_each_block(pictures, cell, block, width):
    found = features.build(Hog(kind="hog", cell=cell, block=block))(pictures)
    assert found.shape == (5, width)
    assert found.dtype == np.float32


def test_hog_tells_upright_from_level_stripes_and_not_how_bright_they_are():
    stripes = np.tile((np.arange(48) % 8 < 4) * np.uint8(200), (48, 1))
    upright, level, dim = features.build(Hog(kind="hog"))(np.stack([stripes, stripes.T, stripes // 2]))
    bins = upright.reshape(-1, 9).sum(axis=0), level.reshape(-1, 9).sum(axis=0)
    assert bins[0].argmax() != bins[1].argmax()
    assert np.allclose(upright, dim, atol=0.02)


def test_hog_refuses_pictures_smaller_than_a_block(pictures):
    with pytest.raises(RecipeError, match="block of 60 px"):
        features.build(Hog(kind="hog", cell=30))(pictures)


@pytest.mark.parametrize(("rotation_invariant", "bins"), [(False, 59), (True, 10)])
def test_lbp_has_a_histogram_that_sums_to_one_for_each_cell(pictures, rotation_invariant, bins):
    compute = features.build(Lbp(kind="lbp", grid=5, rotation_invariant=rotation_invariant))
    found = compute(pictures)
    assert found.shape == (5, 25 * bins)  # 5 does not divide 48: the last cells are larger
    assert np.allclose(found.reshape(5, 25, bins).sum(axis=2), 1)


def test_lbp_does_not_see_brightness_and_keeps_places_apart():
    dark = np.random.default_rng(0).integers(0, 100, (48, 48)).astype(np.uint8)
    changed = dark.copy()
    changed[:8, :8] = 0
    compute = features.build(Lbp(kind="lbp", grid=6))
    plain, brighter, other = compute(np.stack([dark, dark + 100, changed])).reshape(3, 36, 59)
    assert np.allclose(plain, brighter, atol=0.05)
    assert not np.array_equal(plain[0], other[0])
    assert np.array_equal(plain[14:], other[14:])


def test_lbp_refuses_a_grid_finer_than_the_picture(pictures):
    with pytest.raises(RecipeError, match="finer than the pictures"):
        features.build(Lbp(kind="lbp", grid=50))(pictures)


def test_features_in_chunks_are_those_at_once(monkeypatch, pictures):
    monkeypatch.setattr(features, "_CHUNK", 2)
    compute, told = features.build(Lbp(kind="lbp")), []
    assert np.array_equal(features.compute(compute, pictures, told.append), compute(pictures))
    assert told == [2, 4, 5]
    with pytest.raises(ValueError, match="no pictures"):
        features.compute(compute, pictures[:0])
