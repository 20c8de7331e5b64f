"""Several model files packed into one: it says what they say together, and nothing else is packed."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from mien import models
from mien.cli import app
from mien.errors import DataError, ExportError, ModelError, TrainingError
from mien.evaluate import ensemble, predictions
from mien.evaluate.calibration import Calibration
from mien.evaluate.ensemble import Choice
from mien.export import package
from mien.export.ensemble_file import package as pack
from mien.models.card import attach, detach
from mien.networks import unfolding, weights

SEVEN = Choice({"plain": 0.25, "half": 0.75, "idle": 0.0}, Calibration(0.8, (0.1, 0, 0, 0, -0.2, 0, 0), 1.1), 1.0)
EIGHT = Choice({"plain": 1.0, "half": 0.0, "idle": 0.0}, Calibration(1.2), 1.0)  # one member alone answers this


@pytest.fixture(scope="module")
def files(finished, patterns, tmp_path_factory):
    """One run as two files that answer differently: another rounding of the weights, and the mirror image too."""
    folder = tmp_path_factory.mktemp("members")
    made = {"plain": package.Options(), "half": package.Options(views="flip")}
    terms = {"plain": package.Terms(data_terms="made."), "half": package.Terms(data_terms="made. And more.")}
    found = {n: package.package(finished, patterns, folder / f"{n}.onnx", terms[n], made[n]).path for n in made}
    return found | {"idle": folder / "not looked at.onnx"}


@pytest.fixture(scope="module")
def answers(files, patterns):
    found = {n: predictions.predict(models.load(files[n]), patterns, "validation") for n in ("plain", "half")}
    return found | {"idle": found["plain"]}


@pytest.fixture(scope="module")
def packed(files, answers, patterns):
    choices = {"ferplus": EIGHT, "fer2013": SEVEN}
    return pack(files, answers, choices, patterns, files["plain"].parent / "both.onnx", "both", "4")


def test_the_file_answers_the_calibrated_mean_of_its_members_on_crops_of_any_size(packed, files):
    crops = np.random.default_rng(0).integers(0, 256, (5, 61, 57, 3), np.uint8)
    plain, half, both = (m.score(crops) for m in (models.load(files["plain"]), models.load(files["half"]), packed))
    mean = 0.25 * plain["probabilities_fer2013"] + 0.75 * half["probabilities_fer2013"]
    assert np.abs(mean - plain["probabilities_fer2013"]).max() > 1e-4  # they differ, so that weights count
    wanted = SEVEN.calibration.probabilities(np.log(mean))
    assert both["probabilities_fer2013"] == pytest.approx(wanted, abs=1e-5)
    wanted = EIGHT.calibration.probabilities(np.log(plain["probabilities_ferplus"]))
    assert both["probabilities_ferplus"] == pytest.approx(wanted, abs=1e-5)
    assert packed.score(crops[:0])["probabilities_ferplus"].shape == (0, 8)


def test_its_card_says_what_is_inside_and_carries_its_own_figures_and_golden_answers(packed, files, patterns):
    card, one = packed.card, models.read_card(files["plain"])
    assert (card.name, card.version, card.framing, card.data) == ("both", "4", one.framing, one.data)
    assert {name: m["weights"] for name, m in card.training["members"].items()} == {
        "plain": {"ferplus": 1.0, "fer2013": 0.25},
        "half": {"fer2013": 0.75},
    }
    assert card.training["members"]["plain"]["graph_sha256"] == one.graph_sha256
    assert card.training["parameters"] == 2 * one.training["parameters"]
    assert card.training["export"]["views"] == "none, flip"
    assert card.data_terms == "made. And more."
    found = packed.score(card.golden_crop()[None])
    for name, output in card.outputs.items():
        assert found[name][0] == pytest.approx(card.golden.probabilities[name], abs=1e-4)
        voted = len(patterns.split("validation")) - (name == "probabilities")  # one face has no vote for an expression
        assert output.metrics["validation"]["n"] == voted


def test_the_same_members_make_the_same_file(packed, files, answers, patterns, tmp_path):
    choices = {"ferplus": EIGHT, "fer2013": SEVEN}
    again = pack(files, answers, choices, patterns, tmp_path / "again.onnx", "both", "4")
    assert again.path.read_bytes() == packed.path.read_bytes()


def test_one_member_alone_is_no_ensemble(files, answers, patterns, tmp_path):
    with pytest.raises(ExportError, match="chose plain alone"):
        pack(files, answers, {"ferplus": EIGHT}, patterns, tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("what", "told"),
    [("data", "half was trained on other"), ("protocol", "the protocol paper"), ("framing", "plain and half frame")],
)
def test_members_must_be_of_the_same_data_protocol_and_framing(what, told, files, answers, patterns, tmp_path):
    graph, card = detach(files["half"].read_bytes())
    changed = {
        "data": {"data": {**card.data, "fingerprint": "other"}},
        "protocol": {"data": {**card.data, "protocol": "paper"}},
        "framing": {"framing": {**card.framing, "none": {"scale": 2.0, "dx": 0.0, "dy": 0.0}}},
    }
    other = tmp_path / "half.onnx"
    other.write_bytes(attach(graph, replace(card, **changed[what])))
    with pytest.raises(ExportError, match=told):
        pack(files | {"half": other}, answers, {"fer2013": SEVEN}, patterns, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_a_file_that_does_not_say_what_was_chosen_is_not_written(files, answers, patterns, tmp_path):
    swapped = answers | {"half": answers["plain"], "plain": answers["half"]}
    with pytest.raises(ExportError, match="differ"):
        pack(files, swapped, {"fer2013": SEVEN}, patterns, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_a_damaged_member_is_named(files, answers, patterns, tmp_path):
    broken = tmp_path / "half.onnx"
    broken.write_bytes(files["half"].read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"half\.onnx"):
        pack(files | {"half": broken}, answers, {"fer2013": SEVEN}, patterns, tmp_path / "x.onnx")


def test_no_network_starts_from_it_or_learns_from_it_as_if_it_were_one(packed):
    with pytest.raises(TrainingError, match="ensemble of plain, half: name a model of one network"):
        weights.of_model(str(packed.path))
    network, _, _ = weights.of_model("fast")
    with pytest.raises(TrainingError, match="ensemble of plain, half"):
        unfolding.read(str(packed.path), network, seed=1)


def test_the_command_packs_what_validation_chose(files, patterns_path, tmp_path, monkeypatch):
    names = {"plain": str(files["plain"]), "half": str(files["half"])}
    chosen = {"fer2013": Choice({names["plain"]: 0.25, names["half"]: 0.75}, SEVEN.calibration, 1.0)}
    monkeypatch.setattr(ensemble, "choose", lambda _: chosen)
    out = tmp_path / "both.onnx"
    ask = ["ensemble", *names.values(), "--data", str(patterns_path), "-o", str(tmp_path / "both"), "--pack", str(out)]
    done = CliRunner().invoke(app, [*ask, "--name", "mine"], catch_exceptions=False)
    assert done.stdout.splitlines()[-1] == str(out)
    card = models.read_card(out)
    assert (card.name, list(card.outputs)) == ("mine", ["probabilities_fer2013"])


def test_the_command_packs_only_files_with_networks_where_it_can_check_them(files, patterns_path, tmp_path):
    plain, half = str(files["plain"]), str(files["half"])
    (tmp_path / "run").mkdir()
    data, pack = ["--data", str(patterns_path)], ["--pack", str(tmp_path / "both.onnx")]
    for words, told in [
        ([plain, half, *pack], "add --data"),
        ([plain, "answers.parquet", *data, *pack], "holds answers and no network"),
        ([plain, str(tmp_path / "run"), *data, *pack], "has no model file: mien export"),
        ([plain, "absent.onnx", *data, *pack], "no model 'absent.onnx'"),
        ([plain, half, *data, "--pack", str(tmp_path / "absent" / "both.onnx")], "does not exist"),
    ]:
        with pytest.raises((DataError, ModelError), match=told):
            CliRunner().invoke(app, ["ensemble", *words], catch_exceptions=False)
