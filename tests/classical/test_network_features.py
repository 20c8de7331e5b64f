import numpy as np
import pytest
import torch
from torch import nn

from mien.classical import fit, network_features
from mien.errors import ModelError, RecipeError, TrainingError
from mien.networks import build, weights
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe, NetworkFeatures
from mien.runs import RunFolder

TEXT = """
name: tiny
description: for tests
data: {size: 32, color: COLOR, mean: [0.4], std: [0.3]}
heads: [{label_set: fer2013}, {label_set: ferplus}]
network: {widths: [8, 16], depths: [1, 1], hidden_units: HIDDEN}
stages: [{epochs: 1, learning_rate: 0.1}]
"""


def made_run(path, color="grey", hidden="null"):
    """A run folder with best weights that nobody trained; its network."""
    recipe = recipes.parse(TEXT.replace("COLOR", color).replace("HIDDEN", hidden))
    torch.manual_seed(0)
    network = build.build(recipe, {"fer2013": 3, "ferplus": 2})
    folder = RunFolder(path)
    folder.create()
    folder.write(folder.recipe, recipes.dump(recipe).encode())
    folder.write_state(labels={"fer2013": ["a", "b", "c"], "ferplus": ["a", "b"]})
    folder.save(folder.best, {"network": network.state_dict()})
    return network.eval()


def pictures(count, size=32):
    return np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)


def of_run(path):
    return NetworkFeatures(kind="network", run=str(path))


@pytest.mark.parametrize(("color", "hidden", "width"), [("grey", "null", 16), ("rgb", "null", 16), ("grey", "5", 5)])
def test_the_heads_of_the_run_on_its_features_are_the_run(tmp_path, color, hidden, width):
    network = made_run(tmp_path / "run", color, hidden)
    faces = pictures(5)
    features = network_features.build(of_run(tmp_path / "run"))(faces)
    assert features.shape == (5, width)
    assert features.dtype == np.float32
    pixels = torch.from_numpy(faces)[:, None].float() / 255
    with torch.no_grad():
        expected = network(pixels.expand(-1, 3 if color == "rgb" else 1, -1, -1))["fer2013"]
        found = network.heads["fer2013"](torch.from_numpy(features))
    assert torch.allclose(found, expected, atol=1e-5)


def test_many_pictures_are_as_single_ones_and_twice_the_same(tmp_path):
    made_run(tmp_path / "run")
    features = network_features.build(of_run(tmp_path / "run"))
    faces = pictures(70)  # more than a batch
    together = features(faces)
    assert (features(faces) == together).all()
    assert np.concatenate([features(faces[i : i + 1]) for i in (0, 65, 69)]) == pytest.approx(
        together[[0, 65, 69]], abs=1e-5
    )
    assert together.std(axis=0).min() > 0


def test_pictures_of_another_size_are_resized(tmp_path):
    made_run(tmp_path / "run")
    features = network_features.build(of_run(tmp_path / "run"))
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    assert features(smooth[None]) == pytest.approx(features(smooth[::2, ::2][None]), abs=0.1)


def test_nothing_of_it_learns(tmp_path):
    made_run(tmp_path / "run")
    module = network_features.module(of_run(tmp_path / "run"))
    assert not module.training
    assert not any(weight.requires_grad for weight in module.parameters())
    assert not module(torch.rand(1, 1, 32, 32)).requires_grad


def test_the_heads_of_a_model_on_its_features_are_the_model():
    network, _, _ = weights.of_model("fast")
    heads = network.heads
    faces = pictures(5, 48)
    with torch.no_grad():
        expected = network(torch.from_numpy(faces)[:, None].float() / 255)["ferplus"]
        features = network_features.build(NetworkFeatures(kind="network", model="fast"))(faces)
        assert torch.allclose(heads["ferplus"](torch.from_numpy(features)), expected, atol=1e-4)


def test_what_is_no_model_says_so():
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        network_features.build(NetworkFeatures(kind="network", model="nowhere"))


def test_what_is_no_run_says_so(tmp_path):
    with pytest.raises(TrainingError, match="is no run folder: train first"):
        network_features.build(of_run(tmp_path / "nowhere"))
    made_run(tmp_path / "run")
    (tmp_path / "run" / "best.pt").unlink()
    with pytest.raises(TrainingError, match="train first"):
        network_features.build(of_run(tmp_path / "run"))


@pytest.mark.parametrize(
    ("library", "name"), [("timm", "mobilenetv3_small_050"), ("torchvision", "mobilenet_v3_small")]
)
def test_a_backbone_by_name_takes_a_weights_file(tmp_path, library, name):
    if library == "torchvision":
        from torchvision import models as torchvision

        torch.manual_seed(1)
        network = torchvision.get_model(name, weights=None).eval()
        network.classifier[3] = nn.Identity()
    else:
        import timm

        torch.manual_seed(1)
        network = timm.create_model(name, num_classes=0).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    spec = NetworkFeatures.model_validate(
        {"kind": "network", library: name, "weights": str(tmp_path / "weights.pth"), "size": 64}
    )
    faces = pictures(2, 64)
    features = network_features.build(spec)(faces)
    mean, deviation = (torch.tensor(x).view(1, 3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        pixels = (torch.from_numpy(faces)[:, None].float() / 255).expand(-1, 3, -1, -1)
        expected = network((pixels - mean) / deviation)
    assert features == pytest.approx(expected.numpy(), abs=1e-3)


def test_weights_that_cannot_be_fetched_say_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))

    def offline(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(TrainingError, match=r"alexnet-owt-\w+\.pth and put it at .*weights.alexnet-owt-\w+\.pth"):
        network_features.build(NetworkFeatures(kind="network", torchvision="alexnet", size=64))


def test_fetched_weights_are_kept_where_the_message_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    from torchvision import models as torchvision

    asked = []

    def fetch(url, path, hash_prefix, progress):
        asked.append((url, hash_prefix))
        torch.save(torchvision.get_model("mobilenet_v3_small", weights=None).state_dict(), path)

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    spec = NetworkFeatures(kind="network", torchvision="mobilenet_v3_small", size=64)
    first = network_features.build(spec)(pictures(1, 64))
    assert (network_features.build(spec)(pictures(1, 64)) == first).all()
    ((url, prefix),) = asked
    assert url.startswith("https://download.pytorch.org/")
    assert len(prefix) == 8
    assert prefix in url
    assert (tmp_path / "weights" / url.rpartition("/")[2]).exists()


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_no_such_backbone(library, tmp_path):
    (tmp_path / "weights.pth").touch()
    spec = {"kind": "network", library: "no_such_net", "weights": str(tmp_path / "weights.pth")}
    with pytest.raises(RecipeError, match="no_such_net"):
        network_features.build(NetworkFeatures.model_validate(spec))
    if library == "torchvision":
        with pytest.raises(RecipeError, match="no_such_net"):
            network_features.build(NetworkFeatures.model_validate(spec | {"weights": None}))


@pytest.mark.slow
def test_it_exports_with_a_classifier_behind_it(tmp_path):
    import onnxruntime

    from mien.export import graph

    made_run(tmp_path / "run", "rgb")

    class Answer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(network_features.module(of_run(tmp_path / "run")), nn.Linear(16, 3))

        def forward(self, pixels):
            return {"fer2013": self.layers(pixels)}

    network = Answer().eval()
    # 48 px pictures, which the network of 32 px has resized in the graph.
    exported = graph.export_network(network, ("fer2013",), 48, 1)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    pixels = torch.rand(3, 1, 48, 48)
    with torch.no_grad():
        expected = network(pixels)["fer2013"].numpy()
    assert session.run(None, {"pixels": pixels.numpy()})[0] == pytest.approx(expected, abs=1e-4)


def test_features_that_cannot_be_had_leave_no_run_behind(patterns, tmp_path):
    shipped = recipes.load("nour-2020", ["features={kind: network, model: nowhere}"])
    with pytest.raises(ModelError):
        fit.train(shipped, patterns, tmp_path / "nour")
    assert not (tmp_path / "nour").exists()


@pytest.mark.slow
def test_the_recipe_runs_on_the_features_of_a_run(patterns, tmp_path):
    made_run(tmp_path / "run")
    features = f"features={{kind: network, run: '{tmp_path / 'run'}'}}"
    shipped = recipes.load("nour-2020", [features])
    assert isinstance(shipped, ClassicalRecipe)
    state = fit.train(shipped, patterns, tmp_path / "nour").read_state()
    assert (state["state"], state["features"], len(state["search"])) == ("finished", 16, 3)
    assert not any(state["without_features"].values())
