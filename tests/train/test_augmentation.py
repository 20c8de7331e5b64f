import pytest
import torch

from mien.train.augmentation import augment
from mien.train.recipe import Augmentation


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def faces() -> torch.Tensor:
    """Smooth pictures, so that resampling by a fraction of a pixel changes little."""
    ramp = torch.linspace(0, 1, 48)
    one = (ramp.view(1, 48) * 0.7 + ramp.view(48, 1) * 0.3).view(1, 1, 48, 48)
    return one.repeat(64, 1, 1, 1)


def test_nothing_asked_changes_nothing(faces):
    assert torch.equal(augment(faces, Augmentation(), drawn()), faces)


@pytest.mark.parametrize(
    "spec",
    [
        Augmentation(rotation=10),
        Augmentation(shift=0.1),
        Augmentation(zoom=0.2),
        Augmentation(flip=True),
        Augmentation(brightness=0.2),
        Augmentation(contrast=0.3),
        Augmentation(erase=0.9),
        Augmentation(crop=40),
    ],
)
def test_each_change_is_drawn_per_face_and_repeatable(faces, spec):
    once = augment(faces, spec, drawn())
    assert torch.equal(once, augment(faces, spec, drawn()))
    assert not torch.equal(once, augment(faces, spec, drawn(1)))
    assert len(torch.unique(once.flatten(1), dim=0)) > 1
    assert once.min() >= 0
    assert once.max() <= 1


def test_flip_mirrors_about_half_of_the_faces_exactly(faces):
    out = augment(faces, Augmentation(flip=True), drawn())
    mirrored = [torch.allclose(face, faces[0].flip(2), atol=1e-5) for face in out]
    kept = [torch.allclose(face, faces[0], atol=1e-5) for face in out]
    assert all(m or k for m, k in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48


def test_shift_moves_by_at_most_its_share_of_the_side():
    dot = torch.zeros(200, 1, 48, 48)
    dot[:, :, 23:25, 23:25] = 1
    out = augment(dot, Augmentation(shift=0.1), drawn())
    columns = (out.sum(dim=(1, 2)) * torch.arange(48)).sum(1) / out.sum(dim=(1, 2, 3))
    moved = columns - 23.5
    assert moved.abs().max() <= 4.8 + 0.01
    assert moved.abs().max() > 4


def test_rotation_turns_by_at_most_its_degrees():
    line = torch.zeros(200, 1, 48, 48)
    line[:, :, 23:25, :] = 1
    out = augment(line, Augmentation(rotation=10), drawn())[:, 0]
    rows = torch.arange(48).view(48, 1)
    left = (out * rows).sum(1)[:, 4] / out.sum(1)[:, 4]
    right = (out * rows).sum(1)[:, 43] / out.sum(1)[:, 43]
    degrees = torch.rad2deg(torch.atan((right - left) / 39))
    assert degrees.abs().max() <= 10.5
    assert degrees.max() > 8
    assert degrees.min() < -8


def test_crop_keeps_the_scale_and_stays_inside():
    ramp = torch.linspace(0, 1, 48).view(1, 1, 1, 48).expand(100, 1, 48, 48).contiguous()
    out = augment(ramp, Augmentation(crop=40), drawn())
    assert out.shape == (100, 1, 40, 40)
    steps = out[:, 0, 0, 1:] - out[:, 0, 0, :-1]
    assert torch.allclose(steps, torch.full_like(steps, 1 / 47), atol=1e-4)


def test_erase_blanks_one_rectangle_of_at_most_a_fifth(faces):
    out = augment(faces, Augmentation(erase=0.99), drawn())
    changed = (out != faces).flatten(1).float().mean(1)
    assert changed.max() <= 0.25
    assert (changed > 0.01).float().mean() > 0.9
    assert (
        len(
            {
                round(float(face[mask].unique()[0]), 4)
                for face, mask in zip(out, out != faces, strict=True)
                if mask.any()
            }
        )
        > 10
    )
