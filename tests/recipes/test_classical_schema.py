import pytest

from mien.errors import RecipeError
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe, Knn, Svm

MINIMAL = """
kind: classical
name: small
description: for tests
features: {kind: hog}
classifier: {kind: svm}
"""


def parse(*changes: str) -> ClassicalRecipe:
    found = recipes.parse(MINIMAL, overrides=changes)
    assert isinstance(found, ClassicalRecipe)
    return found


@pytest.mark.parametrize("name", ["hog", "lbp", "pca"])
@pytest.mark.parametrize("kind", ["svm", "knn", "naive-bayes", "logistic", "forest", "mlp"])
def test_shipped_recipes_take_every_classifier_and_search_for_each(name, kind):
    spec = recipes.load(name, [f"classifier.kind={kind}"])
    assert isinstance(spec, ClassicalRecipe)
    assert spec.classifier.kind == kind
    candidates = list(spec.candidates())
    assert len(candidates) > 1
    assert all(path.startswith(f"classifier.{kind}.") for values, _ in candidates for path in values)


def test_dump_and_parse_give_the_same_recipe():
    spec = parse("search={classifier.svm.C: [1, 2]}", "reduce.components=0.5")
    assert recipes.parse(recipes.dump(spec)) == spec


def test_candidates_are_all_combinations_and_hold_no_search():
    spec = parse("search={features.cell: [6, 8], classifier.svm.C: [0.1, 1], standardise: [false]}")
    found = list(spec.candidates())
    assert [(v["features.cell"], v["classifier.svm.C"]) for v, _ in found] == [(6, 0.1), (6, 1), (8, 0.1), (8, 1)]
    first = found[0][1]
    assert isinstance(first.classifier, Svm)
    assert (first.features.cell, first.classifier.C, first.standardise) == (6, 0.1, False)
    assert all(not made.search and made.search is not spec.search for _, made in found)


def test_a_search_is_only_of_its_own_classifier_unless_it_names_none():
    spec = parse("classifier.kind=knn", "search={classifier.svm.C: [1, 2], classifier.neighbors: [3, 5]}")
    found = [made.classifier for _, made in spec.candidates()]
    assert [c.neighbors for c in found if isinstance(c, Knn)] == [3, 5]


def test_without_a_search_there_is_one_candidate():
    assert [values for values, _ in parse().candidates()] == [{}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("features.cel=3", r"features\.cel: unknown key; did you mean cell"),
        ("classifier.neighbors=3", r"classifier\.neighbors: unknown key; valid: .*C"),
        ("classifier.kind=svn", "'svm', 'knn'"),
        ("reduce.component=3", "did you mean components"),
        ("dat=1", "did you mean data"),
        ("data.siz=1", r"data\.siz: unknown key; did you mean size"),
        ("reduce.components=1.5", "whole number"),
        ("data.color=rgb", "must be grey"),
        ("data.mean=[0.4]", "standardise does that"),
        ("search={classifier.svm.D: [1]}", "leads to no value; valid: kernel, C"),
        ("search={classifier.knn.C: [1]}", "leads to no value; valid: neighbors"),
        ("search={classifier.knn.neighbors: [0]}", "0: Input should be greater"),
        ("search={classifier.svm.kind: [knn]}", "leads to no value"),
        ("search={reduce.components: [5]}", "leads to no value"),
        ("search={standardise: [3]}", "leads to no value"),
        ("search={stages: [3]}", "try values of features, standardise, reduce, classifier"),
        ("search={classifier.svm.C: []}", "at least 1"),
        ("features={kind: network}", "exactly one of run, model, timm, torchvision, not none"),
        ("features={kind: network, run: a, timm: b}", "not run and timm"),
        ("features={kind: network, run: a, weights: b}", "a run has its own"),
        ("kind=neural", "kind must be classical"),
        ("name=No Spaces", "name"),
    ],
)
def test_impossible_values_are_refused(change, message):
    with pytest.raises(RecipeError, match=message) as caught:
        parse(change)
    assert "\n" not in str(caught.value)


def test_what_needs_a_network_says_so_of_a_classical_recipe():
    with pytest.raises(RecipeError, match="hog is a classical pipeline"):
        recipes.load_network("hog")
    assert recipes.load_network("default").name == "default"


def test_own_labels_are_named_and_words_change_no_experiment():
    spec = parse("label_set=own")
    assert spec.for_labels("mine").heads[0].label_set == "mine"
    assert parse().for_labels("mine") == parse()
    assert parse("description=other").is_experiment_of(parse())
    assert not parse("seed=3").is_experiment_of(parse())
    assert not parse().is_experiment_of(recipes.load("default"))
