"""Recipes with other numbers of epochs, and trials of recipes."""

import pytest

from mien.errors import RecipeError
from mien.recipes import loader, shorten


@pytest.mark.parametrize(("epochs", "counts"), [(2, [1, 1]), (10, [7, 3]), (74, [58, 16]), (148, [117, 31])])
def test_stages_share_the_epochs_in_proportion(epochs, counts):
    fast = loader.load("fast")
    made = shorten.with_epochs(fast, epochs)
    assert [stage.epochs for stage in made.stages] == counts
    assert made.stages[0].warmup_epochs == pytest.approx(2 * counts[0] / 58)
    assert loader.parse(loader.dump(made)) == made  # what the run folder keeps is a recipe again
    assert made.is_experiment_of(fast) == (epochs == 74)


@pytest.mark.parametrize(("name", "words"), [("fast", "2 stages"), ("hog", "no epochs")])
def test_epochs_that_no_recipe_can_have_are_refused(name, words):
    with pytest.raises(RecipeError, match=words):
        shorten.with_epochs(loader.load(name), 1)


@pytest.mark.parametrize("name", loader.names())
def test_every_shipped_recipe_has_a_trial_of_its_own_network_and_batches(name):
    whole = loader.load(name)
    made = shorten.trial(whole)
    assert loader.parse(loader.dump(made)) == made
    assert made.name == f"{name}-quick"
    assert 20 < made.data.limit <= 512
    if isinstance(whole, loader.Recipe):
        assert (made.network, made.epochs) == (whole.network, len(whole.stages))
        assert all(2 * stage.batch_size <= made.data.limit for stage in made.stages)
