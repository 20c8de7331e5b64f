import pytest

from mien.errors import RecipeError
from mien.train import recipe

MINIMAL = """
name: small
description: for tests
heads: [{label_set: fer2013}]
stages: [{epochs: 2, learning_rate: 0.1}]
"""


def test_every_shipped_recipe_is_valid_and_named_like_its_file():
    assert "default" in recipe.names()
    for name in recipe.names():
        assert recipe.load(name).name == name


def test_dump_and_parse_give_the_same_recipe():
    spec = recipe.load("default")
    assert recipe.parse(recipe.dump(spec)) == spec


def test_defaults_are_filled_in():
    spec = recipe.parse(MINIMAL)
    assert spec.epochs == 2
    assert spec.data.size == 48


def test_all_faults_are_reported_at_once_with_the_nearest_key():
    faulty = MINIMAL.replace("learning_rate", "learning_rat") + "sede: 3\nnetwork: {width: [4]}\n"
    with pytest.raises(RecipeError) as caught:
        recipe.parse(faulty)
    message = str(caught.value)
    assert "did you mean learning_rate" in message
    assert "did you mean seed" in message
    assert "did you mean widths" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ema: 1.0", "ema"),
        ("network: {widths: [4, 8], depths: [1]}", "2 stages"),
        ("heads: []", "heads"),
        ("stages: [{epochs: 0, learning_rate: 1}]", "epochs"),
        ("stages: [{epochs: 1, learning_rate: 1, augmentation: {crop: 60}}]", "crop"),
        ("stages: [{epochs: 1, learning_rate: 1, warmup_epochs: 1}]", "warmup"),
        ("heads: [{label_set: a}, {label_set: a}]", "once"),
        ("name: No Spaces", "name"),
    ],
)
def test_impossible_values_are_refused(change, message):
    document = recipe.yaml.safe_load(MINIMAL) | recipe.yaml.safe_load(change)
    with pytest.raises(RecipeError, match=message):
        recipe.parse(recipe.yaml.safe_dump(document))


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "", "just text"])
def test_what_is_no_mapping_is_refused(text):
    with pytest.raises(RecipeError):
        recipe.parse(text)


def test_unknown_names_list_the_shipped_ones(tmp_path):
    with pytest.raises(RecipeError, match="default"):
        recipe.load("defualt")
    with pytest.raises(RecipeError, match="does not exist"):
        recipe.load(tmp_path / "none.yaml")
