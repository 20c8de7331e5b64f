import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import TrainingError
from mien.explain import gradcam
from mien.networks import build
from mien.recipes import loader

TEXT = """
name: tiny
description: for tests
data: {{size: {size}}}
heads: [{{label_set: ab}}]
network: {network}
stages: [{{epochs: 1, learning_rate: 0.1}}]
"""


def network(size=48, spec="{widths: [8, 16], depths: [1, 1]}"):
    torch.manual_seed(0)
    return build.build(loader.parse(TEXT.format(size=size, network=spec)), {"ab": 2}).eval()


class Corner(nn.Module):
    """Looks at one corner alone: the first label is what is bright at the top left."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.AvgPool2d(8), nn.Identity())

    def forward(self, faces):
        places = self.backbone(faces)
        score = places[:, 0, 0, 0]
        return {"ab": torch.stack([score, -score], dim=1)}


def test_the_map_is_where_the_network_looks():
    faces = torch.full((1, 1, 48, 48), 100, dtype=torch.uint8)
    faces[..., :8, :8] = 250
    found = gradcam.explain(Corner(), faces, "ab", np.array([0]))
    assert found.places == 6
    assert found.size == 48
    # All of this network's weight is on one place; Grad-CAM keeps what is bright there.
    assert found.maps.shape == (1, 48, 48)
    assert np.unravel_index(found.maps[0].argmax(), (48, 48)) < (8, 8)
    assert found.agreeing == 1


def test_what_speaks_against_the_label_is_not_shown():
    faces = torch.full((1, 1, 48, 48), 200, dtype=torch.uint8)
    found = gradcam.explain(Corner(), faces, "ab", np.array([1]))
    assert found.maps.max() == 0
    assert found.agreeing == 0


def test_faces_are_enlarged_until_the_last_map_has_six_places():
    net = network(size=12)
    found = gradcam.explain(net, torch.randint(0, 256, (3, 1, 12, 12), dtype=torch.uint8), "ab", np.array([0, 1, 0]))
    assert (found.places, found.size) == (6, 24)
    assert found.maps.shape == (3, 12, 12)
    assert 0 <= found.maps.min() <= found.maps.max() <= 1


def test_a_library_backbone_gives_its_last_map_and_no_pooling():
    net = network(spec="{kind: timm, name: resnet18}")
    found = gradcam.explain(net, torch.randint(0, 256, (2, 1, 48, 48), dtype=torch.uint8), "ab", np.array([0, 1]))
    assert found.layer == "backbone.layer4"
    assert found.places == 6
    assert found.size == 192


def test_the_network_is_left_as_it_was():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradcam.explain(net, torch.randint(0, 256, (2, 1, 48, 48), dtype=torch.uint8), "ab", np.array([0, 1]))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(module._forward_hooks for module in net.modules())


def test_a_network_without_maps_says_so():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Flatten()

        def forward(self, faces):
            return {"ab": self.backbone(faces)[:, :2]}

    with pytest.raises(TrainingError, match="no feature maps"):
        gradcam.explain(Flat(), torch.zeros(1, 1, 48, 48, dtype=torch.uint8), "ab", np.array([0]))


def test_a_network_of_one_size_says_so():
    class Fixed(Corner):
        def forward(self, faces):
            if faces.shape[-1] != 48:
                raise ValueError("takes 48 px")
            return super().forward(faces)

    with pytest.raises(TrainingError, match="takes 48 px"):
        gradcam.explain(Fixed(), torch.zeros(1, 1, 48, 48, dtype=torch.uint8), "ab", np.array([0]))


def test_the_overlay_is_coloured_where_the_map_is_high():
    heat = np.zeros((48, 48), np.float32)
    heat[:24] = 1
    drawn = gradcam.overlay(np.full((48, 48, 3), 128, np.uint8), heat, side=96).astype(int)
    assert drawn.shape == (96, 96, 3)
    yellow = drawn[..., 0] - drawn[..., 2]
    assert yellow[:40].mean() > 40 > yellow[60:].mean()
