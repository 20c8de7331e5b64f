import math

import cv2
import numpy as np
import pytest
import torch

from mien.recipes.schema import Augmentation
from mien.train.augmentation import _symmetric_beta, augment, mixup


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def faces() -> torch.Tensor:
    """Smooth pictures, so that resampling by a fraction of a pixel changes little."""
    ramp = torch.linspace(0, 1, 48)
    one = (ramp.view(1, 48) * 0.7 + ramp.view(48, 1) * 0.3).view(1, 1, 48, 48)
    return one.repeat(64, 1, 1, 1)


@pytest.fixture
def colors() -> torch.Tensor:
    """The same smooth colour picture 64 times, away from black and white so that little is clamped."""
    x, y = torch.linspace(0.35, 0.65, 48).view(1, 48), torch.linspace(0.35, 0.65, 48).view(48, 1)
    one = torch.stack([x + 0 * y, y + 0 * x, 1 - x + 0 * y])
    return one.repeat(64, 1, 1, 1)


def luma(faces: torch.Tensor) -> torch.Tensor:
    return (faces * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1)


def test_nothing_asked_changes_nothing(faces):
    assert torch.equal(augment(faces, Augmentation(), drawn()), faces)


GOLDEN = {
    "geometry": (
        Augmentation(rotation=10, shift=0.1, scale=0.1, flip=True),
        [0.46881, 0.4772, 0.52069, 0.50276, 0.5117, 0.52121, 0.55445, 0.49274],
        [0.89982, 0.43213, 0.36284, 0.31136, 0.7512, 0.70358, 0.65128, 0.02848],
        0.5824220776557922,
    ),
    "everything": (
        Augmentation(
            rotation=15, shift=0.05, scale=0.2, flip=True, brightness=0.2, contrast=0.3, random_erasing=0.5, crop=40
        ),
        [0.40833, 0.61504, 0.53139, 0.41163, 0.54953, 0.69868, 0.68169, 0.52097],
        [0.749, 0.53211, 0.35316, 0.09712, 0.58505, 0.53089, 0.81452, 0.14979],
        0.5929737687110901,
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_drawn_stays_what_it_was_when_the_default_model_was_trained(name):
    """Means, one pixel and the number drawn next: computed by the version that trained the shipped model."""
    spec, means, pixels, following = GOLDEN[name]
    x, n = torch.linspace(0, 1, 48), torch.arange(8.0).view(8, 1, 1, 1)
    waves = torch.sin(7 * x.view(1, 1, 1, 48) + n), torch.cos(5 * x.view(1, 1, 48, 1) * (1 + n / 8))
    generator = drawn(3)
    out = augment(0.5 + 0.25 * waves[0] + 0.25 * waves[1], spec, generator)
    assert torch.allclose(out.mean(dim=(1, 2, 3)), torch.tensor(means), atol=1e-4)
    assert torch.allclose(out[:, 0, 10, 30], torch.tensor(pixels), atol=1e-3)
    assert torch.rand(1, generator=generator).item() == following


@pytest.mark.parametrize("name", GOLDEN)
def test_grey_in_three_channels_stays_grey_and_is_changed_as_in_one(name, faces):
    spec = GOLDEN[name][0]
    three = augment(faces.repeat(1, 3, 1, 1), spec, drawn())
    assert three.shape[1] == 3
    assert torch.allclose(three, augment(faces, spec, drawn()).expand(-1, 3, -1, -1), atol=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        Augmentation(rotation=10),
        Augmentation(shift=0.1),
        Augmentation(scale=0.2),
        Augmentation(flip=True),
        Augmentation(blur=0.1),
        Augmentation(jpeg=10),
        Augmentation(low_resolution=0.25),
        Augmentation(noise=0.1),
        Augmentation(brightness=0.2),
        Augmentation(contrast=0.3),
        Augmentation(random_erasing=0.9),
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


@pytest.mark.parametrize("spec", [Augmentation(saturation=0.9), Augmentation(hue=0.5)])
def test_color_changes_keep_luma_and_leave_grey_alone(spec, faces, colors):
    out = augment(colors, spec, drawn())
    assert torch.equal(out, augment(colors, spec, drawn()))
    assert (out - colors).abs().flatten(1).mean(dim=1).gt(0.01).float().mean() > 0.8
    assert len(torch.unique(out.flatten(1), dim=0)) == len(out)
    assert torch.allclose(luma(out), luma(colors), atol=1e-5)
    grey = faces.repeat(1, 3, 1, 1)
    assert torch.allclose(augment(grey, spec, drawn()), grey, atol=1e-5)
    assert torch.equal(augment(faces, spec, drawn()), faces)


def test_saturation_is_a_factor_around_each_pixels_luma(colors):
    grey = luma(colors[:1]).unsqueeze(1)
    chroma = colors[:1] - grey
    out = augment(colors, Augmentation(saturation=0.5), drawn())
    factors = ((out - grey) * chroma).sum(dim=(1, 2, 3), keepdim=True) / chroma.square().sum()
    assert 0.5 <= factors.min() < 0.55
    assert 1.45 < factors.max() <= 1.5
    assert torch.allclose(out, grey + factors * chroma, atol=1e-3)


def test_hue_turns_the_color_circle_by_at_most_its_share():
    red = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1).expand(400, 3, 4, 4).contiguous()

    def turned(share: float) -> torch.Tensor:
        """Degrees in the plane of I and Q."""
        axes = torch.tensor([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
        start, end = (faces[:, :, 0, 0] @ axes.T for faces in (red, augment(red, Augmentation(hue=share), drawn())))
        cross = start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]
        return torch.rad2deg(torch.atan2(cross, (start * end).sum(dim=1)))

    small, large = turned(0.1), turned(0.5)
    assert small.abs().max() <= 36.01
    assert small.max() > 33
    assert small.min() < -33
    assert large.abs().max() > 170


def test_contrast_keeps_the_mean_of_a_color_picture_and_stretches_all_channels_alike(colors):
    out = augment(colors, Augmentation(contrast=0.3), drawn())
    assert torch.allclose(out.mean(dim=(1, 2, 3)), colors.mean(dim=(1, 2, 3)), atol=1e-4)
    spread = out.std(dim=(2, 3)) / colors.std(dim=(2, 3))
    assert torch.allclose(spread, spread[:, :1].expand(-1, 3), atol=1e-4)
    assert spread.min() < 0.75
    assert spread.max() > 1.25


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


@pytest.fixture
def rough() -> torch.Tensor:
    """Pictures with edges and noise, so that blurring and compressing them loses something."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.uniform(0.2, 0.8, (16, 1, 6, 6)), np.ones((8, 8)))
    return torch.tensor(coarse + rng.normal(0, 0.05, coarse.shape), dtype=torch.float32).clamp(0, 1)


def test_blur_is_opencvs_gaussian_of_each_faces_own_width(rough):
    out = augment(rough, Augmentation(blur=0.05), drawn())
    for face, blurred, part in zip(rough, out, torch.rand(16, 1, generator=drawn()).tolist(), strict=True):
        sigma = 0.05 * 48 * part[0]
        expected = cv2.GaussianBlur(face[0].numpy(), (17, 17), sigma, borderType=cv2.BORDER_REPLICATE)
        assert np.abs(blurred[0].numpy() - expected).max() < 2e-3


def test_jpeg_loses_what_libjpeg_loses_at_each_faces_own_quality(rough):
    out = augment(rough, Augmentation(jpeg=20), drawn())
    quality = 20 + 80 * torch.rand(16, 1, 1, 1, 1, 1, generator=drawn()).flatten()
    lost, differs = [], []
    for face, compressed, q in zip(rough, out, quality.tolist(), strict=True):
        stored = cv2.imencode(
            ".jpg", (255 * face[0].numpy()).round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, round(q)]
        )
        expected = cv2.imdecode(stored[1], cv2.IMREAD_GRAYSCALE) / 255
        lost.append(np.abs(expected - face[0].numpy()).mean())
        differs.append(np.abs(expected - compressed[0].numpy()).mean())
    assert np.mean(differs) < 0.2 * np.mean(lost)
    assert np.corrcoef(quality, lost)[0, 1] < -0.8


def test_pictures_whose_side_is_no_multiple_of_eight_are_compressed_too(rough):
    out = augment(rough[..., :45, :45], Augmentation(jpeg=10), drawn())
    assert out.shape[-2:] == (45, 45)
    assert 0.001 < (out - rough[..., :45, :45]).abs().mean() < 0.1


def test_low_resolution_loses_detail_of_each_face_by_its_own_factor(rough):
    out = augment(rough[:1].repeat(64, 1, 1, 1), Augmentation(low_resolution=0.25), drawn())
    sizes = [size for size in range(12, 48) if any(torch.allclose(face, again(rough, size), atol=1e-5) for face in out)]
    assert min(sizes) == 12
    assert len(sizes) == 5
    assert any(torch.equal(face, rough[0]) for face in out)


def again(faces: torch.Tensor, size: int) -> torch.Tensor:
    """The first face scaled to so many pixels a side and back."""
    import torch.nn.functional as F

    small = F.interpolate(faces[:1], size=(size, size), mode="bilinear", antialias=True)
    return F.interpolate(small, size=(48, 48), mode="bilinear", align_corners=False)[0]


def test_noise_is_gaussian_with_each_faces_own_deviation():
    gray = torch.full((256, 1, 48, 48), 0.5)
    noise = augment(gray, Augmentation(noise=0.1), drawn()) - 0.5
    deviations = noise.std(dim=(1, 2, 3))
    assert deviations.max() < 0.105
    assert deviations.min() < 0.01
    assert 0.04 < deviations.mean() < 0.06
    assert noise.mean().abs() < 0.001


def test_crop_keeps_the_scale_and_stays_inside():
    ramp = torch.linspace(0, 1, 48).view(1, 1, 1, 48).expand(100, 1, 48, 48).contiguous()
    out = augment(ramp, Augmentation(crop=40), drawn())
    assert out.shape == (100, 1, 40, 40)
    steps = out[:, 0, 0, 1:] - out[:, 0, 0, :-1]
    assert torch.allclose(steps, torch.full_like(steps, 1 / 47), atol=1e-4)


def test_erase_blanks_one_rectangle_of_at_most_a_fifth(faces):
    out = augment(faces, Augmentation(random_erasing=0.99), drawn())
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


def test_erase_puts_one_grey_into_color_pictures(colors):
    out = augment(colors, Augmentation(random_erasing=0.99), drawn())
    erased = (out != colors).any(dim=1)
    assert erased.flatten(1).any(dim=1).float().mean() > 0.9
    inside = out.permute(0, 2, 3, 1)[erased]
    assert torch.equal(inside, inside[:, :1].expand(-1, 3))


def test_mixup_blends_pixels_and_targets_alike():
    faces = torch.eye(8).view(8, 8, 1, 1).expand(8, 8, 4, 4).contiguous()
    targets = {"a": torch.eye(8), "b": torch.eye(8)[:, :5]}
    mixed, blended = mixup(faces, targets, 0.5, drawn())
    assert torch.allclose(mixed, blended["a"].view(8, 8, 1, 1).expand(-1, -1, 4, 4))
    assert torch.equal(blended["b"], blended["a"][:, :5])
    assert torch.allclose(blended["a"].sum(dim=1), torch.ones(8))
    assert not torch.equal(blended["a"], targets["a"])
    own, partners = blended["a"].diagonal(), (blended["a"] * (1 - torch.eye(8)) > 0).sum(dim=1)
    assert len(torch.unique(own)) > 4
    assert partners.max() == 1


def test_mixup_takes_partners_from_a_permutation_and_repeats_with_the_seed():
    faces, targets = torch.rand(64, 1, 4, 4, generator=drawn(1)), {"a": torch.eye(64)}
    mixed, blended = mixup(faces, targets, 1.0, drawn())
    again, _ = mixup(faces, targets, 1.0, drawn())
    assert torch.equal(mixed, again)
    assert not torch.equal(mixed, mixup(faces, targets, 1.0, drawn(1))[0])
    others = blended["a"] * (1 - torch.eye(64))
    assert (others > 0).sum(dim=0).max() == 1


def test_mixup_of_nothing_changes_and_draws_nothing(faces):
    generator = drawn()
    mixed, targets = mixup(faces, {"a": torch.eye(64)}, 0.0, generator)
    assert torch.equal(mixed, faces)
    assert torch.equal(targets["a"], torch.eye(64))
    assert torch.rand(1, generator=generator) == torch.rand(1, generator=drawn())


@pytest.mark.parametrize(
    ("alpha", "distribution"),
    [
        (0.5, lambda x: 2 / math.pi * math.asin(math.sqrt(x))),
        (1.0, lambda x: x),
        (2.0, lambda x: 3 * x**2 - 2 * x**3),
    ],
)
def test_shares_of_mixup_follow_the_beta_distribution(alpha, distribution):
    shares = _symmetric_beta(alpha, 50_000, drawn())
    for x in (0.01, 0.1, 0.3, 0.5, 0.8, 0.95):
        # Six standard deviations of the share of 50,000 that lies below.
        assert abs((shares < x).float().mean().item() - distribution(x)) < 0.014


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.4, 8.0])
def test_shares_of_mixup_vary_as_beta_does(alpha):
    shares = _symmetric_beta(alpha, 50_000, drawn())
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert math.isclose(shares.var().item(), 1 / (4 * (2 * alpha + 1)), rel_tol=0.03)


def test_shares_of_mixup_stay_numbers_where_almost_all_are_0_or_1():
    shares = _symmetric_beta(0.001, 10_000, drawn())
    assert shares.isfinite().all()
    assert 0.45 < shares.mean() < 0.55
