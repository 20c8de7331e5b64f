from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.classical import fit
from mien.classical.landmark_features import ANGLES, EDGES, KEY_POINTS, MeshFeatures, angles, build, distances
from mien.detection.mediapipe import LANDMARKER, POINTS, Landmarker, Mesh
from mien.recipes import loader as recipes
from mien.recipes.classical_schema import ClassicalRecipe, LandmarkFeatures
from mien.results import Box
from mien.sources.images import read

# Key points that a mirror exchanges, by their place in the list; the others lie on the middle line.
MIRRORED = [(0, 1), (4, 5), (6, 8), (9, 10), (11, 15), (12, 16), (13, 17), (14, 18), (19, 20), (21, 24), (22, 25)]


@pytest.fixture(scope="module")
def portrait_face() -> np.ndarray:
    """A smiling face from a public-domain photo, grey uint8 (106, 106), framed as FER2013 frames its faces."""
    photo = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"
    return read(photo, color="rgb")[66:172, 169:275].mean(axis=2).astype(np.uint8)


def face(seed=0):
    """27 key points anywhere, (1, 27, 2)."""
    return np.random.default_rng(seed).uniform(10, 90, (1, 27, 2)).astype(np.float32)


def turned(points, degrees):
    radians = np.radians(degrees)
    cos, sin = np.cos(radians), np.sin(radians)
    return (points @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32)


class Faces:
    """A landmarker that sees a face in bright pictures, and remembers the pictures."""

    def __init__(self):
        self.seen = []

    def mesh(self, picture):
        self.seen.append(picture)
        if picture.mean() < 50:
            return None
        points = np.random.default_rng(int(picture.mean())).uniform(0, 48, (POINTS, 3)).astype(np.float32)
        return Mesh(Box(0, 0, 48, 48), points, 0.9)


def test_the_mesh_is_the_papers():
    assert len(KEY_POINTS) == len(set(KEY_POINTS)) == 27
    assert len({frozenset(edge) for edge in EDGES}) == 38
    assert {place for edge in EDGES for place in edge} == set(range(27))
    assert len(ANGLES) == 10


def test_angles_are_what_a_protractor_says():
    points = face()
    # The angle at point 0 from point 2 to point 3: a right angle clockwise, y pointing down.
    points[0, [2, 0, 3]] = [[20, 10], [10, 10], [10, 30]]
    # The angle at point 22 from 21 to 23: flat.
    points[0, [21, 22, 23]] = [[10, 50], [20, 50], [40, 50]]
    found = angles(points)[0]
    assert found.shape == (10,)
    assert found[0] == pytest.approx(90, abs=1e-3)
    assert found[8] == pytest.approx(180, abs=1e-3)


def test_an_angle_that_closes_does_not_jump():
    slightly = []
    for way in (-1, 1):  # the upper eyelid a little above and a little below the lower one
        points = face()
        points[0, [13, 12, 14]] = [[30, 50 + way], [10, 50], [30, 50]]
        slightly.append(angles(points)[0, 7])
    assert abs(slightly[0] - slightly[1]) < 10


def test_only_the_shape_counts():
    points = face()
    other = turned(2.5 * points, 17) + np.float32(30)
    assert distances(other) == pytest.approx(distances(points), abs=1e-4)
    assert angles(other) == pytest.approx(angles(points), abs=1e-2)
    wider = points * np.array([1.3, 1.0], np.float32)
    assert np.abs(distances(wider) - distances(points)).max() > 0.05


def test_lengths_are_of_the_edges():
    points = np.zeros((1, 27, 2), np.float32)
    points[0, 0] = [27, 0]  # all others on one place
    lengths = distances(points)[0]
    touched = [0 in edge for edge in EDGES]
    spread = np.sqrt(((points - points.mean(axis=1)) ** 2).sum(axis=2).mean())
    assert lengths[touched] == pytest.approx(27 / spread, rel=1e-5)
    assert not lengths[np.logical_not(touched)].any()


@pytest.mark.parametrize(("encoding", "width"), [("angles", 10), ("distances", 38), ("both", 48)])
def test_a_face_without_a_mesh_is_a_row_of_nan(encoding, width):
    pictures = np.stack([np.full((48, 48), grey, np.uint8) for grey in (100, 0, 200)])
    found = MeshFeatures(LandmarkFeatures(kind="landmarks", encoding=encoding), Faces())(pictures)
    assert found.shape == (3, width)
    assert found.dtype == np.float32
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(found[[0, 2]]).any()


def test_faces_are_enlarged_and_coloured_for_the_landmarker():
    landmarker = Faces()
    picture = np.tile(np.arange(100, 148, dtype=np.uint8), (48, 1))
    MeshFeatures(LandmarkFeatures(kind="landmarks", size=96), landmarker)(picture[None])
    MeshFeatures(LandmarkFeatures(kind="landmarks", size=48), landmarker)(picture[None])
    assert [one.shape for one in landmarker.seen] == [(96, 96, 3), (48, 48, 3)]
    assert (landmarker.seen[1] == picture[..., None]).all()


@pytest.mark.slow
def test_key_points_mirror_each_other_on_a_real_face(shared, portrait_face):
    pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed: pip install 'mien[landmarks]'")
    landmarker = Landmarker(shared / "models" / LANDMARKER.name)
    picture = np.repeat(portrait_face[..., None], 3, axis=2)
    one, other = landmarker.mesh(picture), landmarker.mesh(np.ascontiguousarray(picture[:, ::-1]))
    assert one is not None
    assert other is not None
    points, mirrored = one.points[list(KEY_POINTS), :2], other.points[list(KEY_POINTS), :2]
    mirrored[:, 0] = picture.shape[1] - mirrored[:, 0]
    order = list(range(27))
    for left, right in [*MIRRORED, (23, 26)]:
        order[left], order[right] = right, left
    assert np.hypot(*(points - mirrored[order]).T).max() < 0.06 * picture.shape[1]
    # Mouth, nose, eyes and brows from below to above, as the paper's list names them.
    heights = [points[list(places), 1].mean() for places in ((3,), (0, 1), (6, 7, 8), (11, 12, 15, 16), (22, 25))]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.slow
def test_a_small_grey_face_is_read_and_a_blank_one_is_not(shared, portrait_face, monkeypatch):
    pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed: pip install 'mien[landmarks]'")
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    small = cv2.resize(portrait_face, (48, 48), interpolation=cv2.INTER_AREA)
    features = build(LandmarkFeatures(kind="landmarks", encoding="both", size=48))
    blank = np.full((48, 48), 128, np.uint8)
    found = features(np.stack([small, blank]))
    assert np.isnan(found[1]).all()
    larger = build(LandmarkFeatures(kind="landmarks", encoding="both", size=192))(small[None])
    assert found[0, 10:] == pytest.approx(larger[0, 10:], abs=0.2)
    # A smile opens the mouth's corner by less than a right angle.
    assert 10 < found[0, 0] < 90


@pytest.mark.slow
def test_the_recipe_runs_and_counts_faces_without_a_mesh(patterns, tmp_path, monkeypatch):
    class Some(Faces):
        def mesh(self, picture):
            return None if picture[:24].mean() < picture[24:].mean() - 2 else super().mesh(picture)

    monkeypatch.setattr("mien.classical.landmark_features.Landmarker", Some)
    shipped = recipes.load("siam-2022", ["classifier.kind=logistic", "search={}"])
    assert isinstance(shipped, ClassicalRecipe)
    state = fit.train(shipped, patterns, tmp_path / "run").read_state()
    assert (state["state"], state["features"]) == ("finished", 10)
    assert 0 < state["without_features"]["train"] < state["faces"]["train"]
    assert state["faces"]["validation"] == 35  # those without a mesh are answered, not dropped
