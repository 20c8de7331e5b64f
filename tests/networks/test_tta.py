"""Test-time views against networks whose answers can be worked out by hand."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from mien.export import graph
from mien.networks.tta import Views, default_crop


class Looks(nn.Module):
    """Two labels: the mean of the left half against the mean of the right half; or of both, for ``symmetric``."""

    def __init__(self, symmetric: bool = False) -> None:
        super().__init__()
        self.symmetric = symmetric

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        half = faces.shape[-1] // 2
        left, right = (part.mean(dim=(1, 2, 3)) for part in (faces[..., :half], faces[..., half:]))
        if self.symmetric:
            left, right = left + right, left * right
        return {"own": torch.stack([left, right], dim=1) * 5}


class Corner(nn.Module):
    """One logit is the top left pixel of what the network is given, the other its side in pixels."""

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        pixel = faces[:, 0, 0, 0]
        return {"own": torch.stack([pixel, torch.full_like(pixel, faces.shape[-1] / 100)], dim=1)}


@pytest.fixture
def faces() -> torch.Tensor:
    return torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))


def test_a_symmetric_network_says_the_same_of_the_mirror_image(faces):
    network = Looks(symmetric=True)
    single = torch.softmax(network(faces)["own"], dim=1)
    torch.testing.assert_close(torch.softmax(Views(network, "flip")(faces)["own"], dim=1), single)


def test_flip_is_the_mean_probability_of_a_face_and_its_mirror_image(faces):
    faces[..., :24] *= 0.2
    network = Looks()
    single, mirrored = (torch.softmax(network(f)["own"], dim=1) for f in (faces, faces.flip(-1)))
    found = Views(network, "flip")(faces)["own"]
    torch.testing.assert_close(found.exp(), (single + mirrored) / 2)
    assert (found.exp() - single).abs().max() > 0.1
    torch.testing.assert_close(found.exp(), torch.full_like(found, 0.5))  # left and right have changed places


def test_ten_crop_looks_at_four_corners_the_centre_and_their_mirror_images(faces):
    places = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    corners = [faces[:, 0, top, left] for top, left in places]
    corners += [faces[:, 0, top, left + 39] for top, left in places]  # the window's top right, mirrored
    logits = torch.stack([torch.stack([c, torch.full_like(c, 0.4)], dim=1) for c in corners])
    expected = torch.softmax(logits, dim=2).mean(dim=0)
    torch.testing.assert_close(Views(Corner(), "ten-crop")(faces)["own"].exp(), expected)


def test_windows_have_the_size_that_was_asked_for(faces):
    torch.testing.assert_close(
        Views(Corner(), "ten-crop", crop=48)(faces)["own"], Views(Corner(), "flip")(faces)["own"]
    )
    with pytest.raises(ValueError, match="50 px do not fit into faces of 48 px"):
        Views(Corner(), "ten-crop", crop=50)(faces)
    assert [default_crop(size) for size in (48, 96, 112)] == [40, 80, 94]


def test_unknown_views_are_refused():
    with pytest.raises(ValueError, match="flip, ten-crop"):
        Views(Corner(), "five-crop")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flip", "ten-crop"])
def test_the_exported_graph_says_the_same_for_any_number_of_faces(name, faces):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = layers, nn.Linear(8, 4)

        def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"own": self.head(self.layers(faces)) * 20}

    views = Views(Small(), name)
    exported = graph.export_network(views, ("own",), size=48, channels=1)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 3):
        (found,) = session.run(None, {"pixels": faces[:count].numpy()})
        with torch.inference_mode():
            assert np.abs(found - views(faces[:count])["own"].numpy()).max() < 1e-5
