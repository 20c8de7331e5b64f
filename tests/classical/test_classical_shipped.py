"""Each shipped classical recipe with each of its classifiers, on few and small pictures."""

import numpy as np
import pytest

from mien.classical import fit
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe

NAMES = [name for name in recipes.names() if isinstance(recipes.load(name), ClassicalRecipe)]
KINDS = ["svm", "knn", "naive-bayes", "logistic", "forest", "mlp"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_each_shipped_recipe_fits_its_first_combination(name, kind, patterns, tmp_path):
    """Features that need downloads have tests of their own: pixels stand in for them."""
    changes = [f"classifier.kind={kind}"]
    shipped = recipes.load(name, changes)
    assert isinstance(shipped, ClassicalRecipe)
    if shipped.features.kind in {"network", "landmarks"}:
        changes.append("features={kind: pixels}")
    if shipped.reduce and shipped.reduce.components >= 1:
        changes.append("reduce.components=20")
    spec = recipes.load(name, changes)
    assert isinstance(spec, ClassicalRecipe)
    first = next(made for _, made in spec.candidates())
    chosen = np.union1d(
        np.flatnonzero(patterns.splits == "train")[:70], np.flatnonzero(patterns.splits == "validation")
    )
    folder = fit.train(first, patterns.take(chosen), tmp_path / "run")
    assert folder.read_state()["state"] == "finished"
    assert fit.restore(folder).steps[-1].classes_.tolist() == list(range(7))
