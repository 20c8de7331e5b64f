import numpy as np
import pytest
import torch

from mien import models, runs
from mien.errors import ModelError, RecipeError, TrainingError
from mien.evaluate.calibration import Calibration
from mien.expressions import LABEL_SETS
from mien.networks import build
from mien.recipes import loader
from mien.runs import RunFolder
from mien.train import devices, faces, run, scoring
from mien.train.distillation import Teachers

TEACHER = """
name: teacher
description: for tests
heads: [{label_set: fer2013}]
network: {widths: [16, 32], depths: [1, 1], dropout: 0}
precision: 32-true
stages: [{epochs: 6, learning_rate: 0.1, batch_size: 10}]
"""


def spec(text=TEACHER, **changes):
    return loader.parse(loader.yaml.safe_dump(loader.yaml.safe_load(text) | changes))


@pytest.fixture(scope="module")
def teacher(patterns, tmp_path_factory) -> RunFolder:
    return run.train(spec(), patterns, tmp_path_factory.mktemp("teacher") / "run")


def student(teacher, **changes):
    return spec(distillation={"teachers": [str(teacher.path)], **changes})


def teachers(made, patterns):
    return Teachers(made, runs.labels(patterns, made), devices.fabric("32-true", "cpu"))


def test_the_mean_of_several_softened_answers_is_the_target(teacher, patterns):
    made = spec(distillation={"teachers": [str(teacher.path)] * 2, "temperature": 3.0})
    pixels = torch.rand(5, 1, 48, 48)
    answers = teachers(made, patterns)(pixels)["fer2013"]
    with torch.no_grad():
        expected = torch.softmax(build.restore(teacher)(pixels)["fer2013"] / 3.0, dim=1)
    assert torch.allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize("side", [24, 96])
def test_a_teacher_of_another_size_sees_the_faces_at_its_own(teacher, patterns, side):
    made = spec(distillation={"teachers": [str(teacher.path)], "temperature": 1.0}, data={"size": side})
    pixels = torch.rand(5, 1, side, side)
    window = pixels[..., : side // 2, : side // 2]  # as of data.crop: half a face stays half of one
    answers = [teachers(made, patterns)(picture)["fer2013"] for picture in (pixels, window)]
    for found, picture, size in zip(answers, (pixels, window), (48, 24), strict=True):
        seen = torch.nn.functional.interpolate(picture, (size, size), mode="bilinear", antialias=side > 48)
        with torch.no_grad():
            assert torch.allclose(found, build.restore(teacher)(seen)["fer2013"].softmax(dim=1), atol=1e-5)


def test_weight_shares_out_the_loss_and_only_a_perfect_copy_has_none(teacher, patterns):
    answers = {"fer2013": torch.softmax(torch.randn(6, 7) / 2.0, dim=1)}
    alone = teachers(student(teacher, weight=1.0), patterns)
    same = {"fer2013": 2.0 * answers["fer2013"].log()}
    labels = torch.tensor(5.0)
    assert alone.blend(labels, same, answers, 6).item() == pytest.approx(0, abs=1e-5)
    other = alone.blend(labels, {"fer2013": torch.zeros(6, 7)}, answers, 6).item()
    expected = 4.0 * (answers["fer2013"] * (answers["fer2013"] * 7).log()).sum(dim=1).mean().item()
    assert other == pytest.approx(expected, rel=1e-4)
    half = teachers(student(teacher, weight=0.25), patterns)
    assert half.blend(labels, {"fer2013": torch.zeros(6, 7)}, answers, 6).item() == pytest.approx(
        0.75 * 5 + 0.25 * expected, rel=1e-4
    )


def test_a_student_learns_the_teacher_where_labels_say_nothing(teacher, patterns, tmp_path):
    """Labels in another order and a weight of 1: whoever answers rightly has it from the teacher."""
    wrong = patterns.with_columns(patterns.info, label=[(label + 3) % 7 for label in patterns.labels.tolist()])
    learned = run.train(student(teacher, weight=1.0), wrong, tmp_path / "student")
    kept = build.restore(learned)
    kept.load_state_dict(learned.load(learned.last)["network"])
    truth = faces.load(patterns, "validation", spec(), torch.device("cpu"))
    said = scoring.score(kept, truth.pixels)["fer2013"].argmax(dim=1)
    assert (said == truth.truth["fer2013"]).float().mean() > 0.7


def test_a_shipped_model_answers_as_a_teacher_what_its_file_answers():
    """The file rounds activations besides, and its answers are calibrated: what it says first is nearly always same."""
    labels = {name: LABEL_SETS[name] for name in ("ferplus", "fer2013")}
    heads = [{"label_set": name} for name in labels]
    made = spec(distillation={"teachers": ["default"], "temperature": 1.0}, heads=heads)
    crop = models.read_card("default").golden_crop()
    crops = np.stack([np.roll(crop, shift, axis=1) for shift in range(-6, 7)])
    luma = torch.from_numpy(crops.astype("float32") @ [0.299, 0.587, 0.114]).float()[:, None] / 255
    answers = Teachers(made, labels, devices.fabric("32-true", "cpu"))(luma)
    model = models.load("default")
    answered = model.score(crops)
    for name, output in model.card.heads.items():
        calibrated = Calibration.of(output).probabilities(answers[output.label_set].log().numpy())
        assert np.abs(calibrated - answered[name]).max() < 0.1


def test_teachers_that_do_not_fit_are_refused(teacher, patterns, tmp_path):
    with pytest.raises(TrainingError, match="neither a finished run nor a model"):
        teachers(spec(distillation={"teachers": [str(tmp_path)]}), patterns)
    (tmp_path / "recipe.yaml").write_text(loader.dump(loader.load("pca")))
    (tmp_path / "run.json").write_text('{"state": "finished", "labels": {}}')
    with pytest.raises(RecipeError, match="classical pipeline"):
        teachers(spec(distillation={"teachers": [str(tmp_path)]}), patterns)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        teachers(spec(distillation={"teachers": [str(tmp_path / "bad.onnx")]}), patterns)
    coloured = student(teacher).model_copy(update={"data": loader.parse(TEACHER + "data: {color: rgb}").data})
    with pytest.raises(TrainingError, match="sees grey faces, the student rgb"):
        teachers(coloured, patterns)
    crowd = spec(distillation={"teachers": [str(teacher.path)]}, heads=[{"label_set": "ferplus"}])
    with pytest.raises(TrainingError, match="none of the labels ferplus"):
        teachers(crowd, patterns)
    with pytest.raises(RecipeError, match="teachers"):
        spec(distillation={"teachers": []})
