import pytest

from mien import models
from mien.errors import RecipeError
from mien.recipes import loader

MINIMAL = """
name: small
description: for tests
heads: [{label_set: fer2013}]
stages: [{epochs: 2, learning_rate: 0.1}]
"""


def test_every_shipped_recipe_is_valid_and_named_like_its_file():
    assert "default" in loader.names()
    for name in loader.names():
        assert loader.load(name).name == name


def test_dump_and_parse_give_the_same_recipe():
    spec = loader.load("default")
    assert loader.parse(loader.dump(spec)) == spec


OLD = """
name: fast-taught
description: as run folders and model cards of before have it
data: {deviation: [0.5]}
network: {hidden: 32}
heads: [{label_set: fer2013}]
stages: [{epochs: 2, learning_rate: 0.1, trains: 1, sharpness: 0.05, augmentation: {zoom: 0.1, erase: 0.2}}]
"""


def test_old_keys_and_names_are_read_without_end():
    spec = loader.parse(OLD)
    (stage,) = spec.stages
    assert (spec.name, spec.data.std, spec.network.hidden_units) == ("fast-distilled", (0.5,), 32)
    assert (stage.trainable, stage.sam_rho) == (1, 0.05)
    assert (stage.augmentation.scale, stage.augmentation.random_erasing) == (0.1, 0.2)
    assert loader.parse(loader.dump(spec)) == spec


@pytest.mark.parametrize("key", ["trains", "trainable"])
@pytest.mark.parametrize("text", [OLD, OLD.replace("trains", "trainable")])
def test_an_override_may_use_either_name_of_a_key(text, key):
    assert loader.parse(text, overrides=[f"stages.0.{key}=classifier"]).stages[0].trainable == "classifier"
    stage = f"stages.0={{epochs: 1, learning_rate: 1, {key}: classifier}}"
    assert loader.parse(text, overrides=[stage]).stages[0].trainable == "classifier"


def test_a_key_under_both_of_its_names_is_a_fault():
    with pytest.raises(RecipeError, match=r"data\.deviation: unknown key"):
        loader.parse(OLD.replace("deviation: [0.5]", "deviation: [0.5], std: [0.4]"))


def test_old_keys_in_the_paths_of_a_search_are_read():
    document = loader.yaml.safe_load(loader.dump(loader.load("pca")))
    document["classifier"] = {"kind": "mlp", "hidden": [8]}
    document["search"] = {"classifier.mlp.hidden": [[8], [16]]}
    spec = loader.parse(loader.yaml.safe_dump(document))
    assert spec.search == {"classifier.mlp.hidden_units": ([8], [16])}
    assert [one.classifier.hidden_units for _, one in spec.candidates()] == [(8,), (16,)]


def test_a_document_that_holds_itself_is_refused_and_one_that_repeats_its_parts_is_read():
    with pytest.raises(RecipeError):
        loader.parse("name: &a {b: *a, zoom: *a}")
    twice = MINIMAL.replace("learning_rate: 0.1}", "learning_rate: 0.1, augmentation: &a {zoom: 0.1}}")
    stages = loader.parse(twice.replace("}}]", "}}, {epochs: 1, learning_rate: 1, augmentation: *a}]")).stages
    assert [stage.augmentation.scale for stage in stages] == [0.1, 0.1]


def test_the_recipes_in_the_shipped_models_are_read():
    for file in models.installed().values():
        card = models.read_card(file)
        members = card.training.get("members", {}).values()
        for recipe in [member["recipe"] for member in members] or [card.recipe]:
            assert loader.parse(loader.yaml.safe_dump(dict(recipe))).data.std == tuple(recipe["data"]["deviation"])
            assert loader.current_name(recipe["name"]) in loader.names()


def test_defaults_are_filled_in():
    spec = loader.parse(MINIMAL)
    assert spec.epochs == 2
    assert spec.data.size == 48


def test_all_faults_are_reported_at_once_with_the_nearest_key():
    faulty = MINIMAL.replace("learning_rate", "learning_rat") + "sede: 3\nnetwork: {width: [4]}\n"
    with pytest.raises(RecipeError) as caught:
        loader.parse(faulty)
    message = str(caught.value)
    assert message.startswith("recipe has 4 fault(s)")  # with the rate that is missing then
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
        ("stages: [{epochs: 1, learning_rate: 1, trainable: heads}]", "trainable"),
        ("stages: [{epochs: 1, learning_rate: 1, optimizer: adma}]", "optimizer"),
        ("stages: [{epochs: 1, learning_rate: 1, augmentation: {hue: 0.1}}]", "rgb"),
        ("data: {mean: [0.1, 0.2, 0.3]}", "give 1 or 1"),
        ("data: {protocol: kfold, fold: 10}", "below folds"),
        ("data: {protocol: oversample-before-split}", "merge_copies"),
        ("network: {kind: timm}", "network.name: Field required"),
        ("network: {kind: timm, name: a, weights: {}}", "exactly one"),
        ("network: {kind: timm, name: a, weights: {hub: a, run: b}}", "hub and run"),
        ("network: {kind: torchvision, name: a, weights: {hub: a}}", "for kind: timm"),
        ("network: {weights: {hub: resnet50}}", "not from hub"),
    ],
)
def test_impossible_values_are_refused(change, message):
    document = loader.yaml.safe_load(MINIMAL) | loader.yaml.safe_load(change)
    with pytest.raises(RecipeError, match=message):
        loader.parse(loader.yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("seed=7", lambda spec: spec.seed == 7),
        ("stages.0.epochs=5", lambda spec: spec.epochs == 5),
        ("stages.*.augmentation={flip: true}", lambda spec: spec.stages[0].augmentation.flip),
        ("stages.0.augmentation.flip=true", lambda spec: spec.stages[0].augmentation.flip),
        ("data.size=64", lambda spec: spec.data.size == 64),
        ("network.weights.run=runs/a=b", lambda spec: spec.network.weights.run == "runs/a=b"),
        ("network={kind: timm, name: resnet18}", lambda spec: spec.network.name == "resnet18"),
    ],
)
def test_single_values_can_be_overridden(change, found):
    assert not found(loader.parse(MINIMAL)) if "weights" not in change and "timm" not in change else True
    assert found(loader.parse(MINIMAL, overrides=[change]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed", "write path=value"),
        ("stages.3.epochs=1", "list of 1"),
        ("seed.a=1", "seed"),
        ("sede=1", "did you mean seed"),
        ("network.weights={kind: [}", "not YAML"),
        ("stages.0.epochs.x=1", "epochs"),
    ],
)
def test_overrides_that_lead_nowhere_are_refused(change, message):
    with pytest.raises(RecipeError, match=message):
        loader.parse(MINIMAL, overrides=[change])


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "", "just text"])
def test_what_is_no_mapping_is_refused(text):
    with pytest.raises(RecipeError):
        loader.parse(text)


def test_unknown_names_list_the_shipped_ones(tmp_path):
    with pytest.raises(RecipeError, match="did you mean default"):
        loader.load("defualt")
    with pytest.raises(RecipeError, match=r"shipped: .*default"):
        loader.load("nothing like it")
    with pytest.raises(RecipeError, match="does not exist"):
        loader.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: 2020-13-45", "not YAML: month must be in 1..12"),
        ("[" * 5000, "not YAML"),
        ("kind: " + "x" * 5000, "kind must be classical"),
        ("{'a\\nb': 1, name: x}", r"a\\nb: unknown key"),
        ("stages: [" + "0, " * 1000 + "0]", "more"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_has_an_end(text, told):
    with pytest.raises(RecipeError, match=told) as raised:
        loader.parse(text)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 2500
