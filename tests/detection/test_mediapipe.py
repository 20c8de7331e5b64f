import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.detection import blazeface
from mien.detection.detectors import build
from mien.detection.mediapipe import FIVE, LANDMARKER, POINTS, Landmarker, _cut, _Region
from mien.errors import DetectorError, DownloadError, MissingExtraError
from mien.results import Box
from mien.sources.images import read

ROOT = Path(__file__).resolve().parents[2]
# Points of the mesh that a mirror exchanges, and some that it leaves.
ONE = [33, 133, 159, 61, 105, 468, 1, 10, 152, 13]
OTHER = [263, 362, 386, 291, 334, 473, 1, 10, 152, 13]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def landmarker(shared):
    pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed: pip install 'mien[landmarks]'")
    return Landmarker(shared / "models" / LANDMARKER.name)


@pytest.fixture
def detector(landmarker, shared, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    return build("mediapipe")


def apart(points, others):
    """The mean distance between points in pixels."""
    return float(np.hypot(*(np.asarray(points)[:, :2] - np.asarray(others)[:, :2]).T).mean())


def turned(picture, degrees):
    """The picture turned about its middle, and what that does to places in it."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
    after = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return after, lambda places: (np.asarray(places) - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


def test_the_mesh_lies_on_the_face(landmarker, portrait):
    (mesh,) = landmarker.find(read(portrait))
    assert mesh.points.shape == (POINTS, 3)
    assert mesh.points.dtype == np.float32
    assert mesh.confidence > 0.85
    assert mesh.presence > 0.95
    left, top = mesh.points[:, :2].min(axis=0)
    right, bottom = mesh.points[:, :2].max(axis=0)
    assert Box(left, top, right - left, bottom - top).overlap(mesh.box) > 0.6
    # The nose is nearest to the viewer, the rims of the face are farthest.
    assert mesh.points[1, 2] < mesh.points[[33, 263, 61, 291], 2].min()
    assert mesh.points[[234, 454], 2].min() > mesh.points[[61, 291], 2].max()


def test_eyes_and_mouth_are_where_yunet_sees_them(landmarker, portrait, shared, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(shared / "models"))
    picture = read(portrait)
    (mesh,) = landmarker.find(picture)
    (other,) = build("yunet").detect(picture)
    for point, place in zip(mesh.points[list(FIVE)], other.landmarks, strict=True):
        assert np.hypot(*(point[:2] - place)) < 0.08 * mesh.box.width
    corners = mesh.points[[33, 133, 362, 263], 0]
    assert corners[0] < other.landmarks[0][0] < corners[1] < corners[2] < other.landmarks[1][0] < corners[3]


def test_points_are_those_of_mediapipe(landmarker, portrait):
    """What mediapipe 1.2.2's FaceLandmarker gives for the portrait: eye corners, nose, mouth corners, brow and chin."""
    expected = {
        33: (195.1, 100.6, 4.3),
        263: (255.2, 103.8, 3.5),
        1: (223.5, 131.1, -22.9),
        61: (202.4, 139.2, 7.4),
        291: (244.5, 140.7, 7.0),
        10: (225.9, 72.2, -11.8),
        152: (221.5, 177.6, 9.6),
        468: (203.2, 101.1, 0.0),
    }
    (mesh,) = landmarker.find(read(portrait))
    for index, (x, y, z) in expected.items():
        assert mesh.points[index] == pytest.approx((x, y, z), abs=0.015 * mesh.box.width)


@pytest.mark.parametrize("degrees", [-70, -30, 15, 45])
def test_a_turned_picture_has_a_turned_mesh(landmarker, portrait, degrees):
    picture = read(portrait)
    (upright,) = landmarker.find(picture)
    after, move = turned(picture, degrees)
    (mesh,) = landmarker.find(after)
    assert apart(mesh.points, move(upright.points[:, :2])) < 0.04 * upright.box.width
    assert mesh.points[:, 2] == pytest.approx(upright.points[:, 2], abs=0.1 * upright.box.width)


def test_a_mirrored_picture_has_a_mirrored_mesh(landmarker, portrait):
    picture = read(portrait)
    (mesh,) = landmarker.find(picture)
    (mirrored,) = landmarker.find(np.ascontiguousarray(picture[:, ::-1]))
    back = mirrored.points[OTHER] * (-1, 1, 1) + (picture.shape[1], 0, 0)
    assert apart(mesh.points[ONE], back) < 0.03 * mesh.box.width
    assert apart(mesh.points[ONE], mirrored.points[ONE] * (-1, 1, 1) + (picture.shape[1], 0, 0)) > 0.2 * mesh.box.width


def test_points_are_in_the_pictures_own_pixels(landmarker, portrait):
    picture = read(portrait)
    (mesh,) = landmarker.find(picture)
    large = cv2.resize(picture, None, fx=7, fy=7, interpolation=cv2.INTER_CUBIC)
    (larger,) = landmarker.find(large)
    assert apart(larger.points / 7, mesh.points) < 0.01 * mesh.box.width
    assert larger.points[:, 2] / 7 == pytest.approx(mesh.points[:, 2], abs=0.03 * mesh.box.width)


def test_several_faces_come_from_left_to_right(landmarker, portrait):
    face = read(portrait)[40:220, 130:310]
    meshes = landmarker.find(np.hstack([face, face[:, ::-1], face]))
    assert len(meshes) == 3
    assert [mesh.points[1, 0] // 180 for mesh in meshes] == [0, 1, 2]


def test_a_tight_crop_of_48_pixels_has_a_mesh(landmarker, portrait):
    picture = read(portrait)
    (mesh,) = landmarker.find(picture)
    crop = cv2.resize(picture[60:180, 165:285], (48, 48), interpolation=cv2.INTER_AREA)
    small = landmarker.mesh(crop)
    assert small.box.to_list() == [0, 0, 48, 48]
    assert small.confidence is None
    assert apart(small.points * 120 / 48 + (165, 60, 0), mesh.points) < 0.04 * mesh.box.width


def test_a_mesh_in_a_given_box_is_that_of_its_face(landmarker, portrait):
    picture = read(portrait)
    (mesh,) = landmarker.find(picture)
    wide = np.hstack([picture, picture, picture])
    assert landmarker.find(wide) == []
    given = landmarker.mesh(wide, Box(178 + 512, 63, 90, 114))
    assert apart(given.points - (512, 0, 0), mesh.points) < 0.02 * mesh.box.width
    assert landmarker.mesh(picture, Box(20, 380, 90, 90)) is None


def test_a_box_among_faces_has_its_own_face(landmarker, portrait):
    face = read(portrait)[60:190, 170:280]
    pair = np.hstack([face, face[:, ::-1]])
    for left in (0, 110):
        mesh = landmarker.mesh(pair, Box(left, 0, 110, 130))
        assert left < mesh.points[:, 0].mean() < left + 110


def test_finds_of_one_face_become_their_mean_weighted_by_their_scores():
    numbers, scores = np.zeros((896, 16), np.float32), np.full(896, -100, np.float32)
    # Cells 0 and 1 are the same place, the upper left; the last one is the lower right. Boxes of 32 pixels.
    numbers[[0, 1, 895], 2:4] = 32
    numbers[1, 0] = 8
    scores[[0, 1, 895]] = np.log([0.6 / 0.4, 0.9 / 0.1, 0.7 / 0.3])
    (first, first_score), (second, second_score) = blazeface.detections(numbers, scores)
    assert (first_score, second_score) == pytest.approx((0.9, 0.7))
    middle = np.array([4 + 8 * 0.9 / 1.5, 4])
    np.testing.assert_allclose(first[:2] * 128, [middle - 16, middle + 16], atol=1e-3)
    np.testing.assert_allclose(second[:2] * 128, [[104, 104], [136, 136]], atol=1e-3)
    np.testing.assert_allclose(second[2:] * 128, np.full((6, 2), 120), atol=1e-3)
    assert list(blazeface.detections(numbers, np.full(896, -1, np.float32))) == []


def test_a_region_is_cut_without_a_shift(gradient):
    exact = gradient[12:28, 14:30].astype(np.float32) / 255
    np.testing.assert_allclose(_cut(gradient, _Region(22, 20, 16), 16, cv2.BORDER_CONSTANT), exact, atol=1e-6)
    clockwise = _cut(gradient, _Region(22, 20, 16, np.pi / 2), 16, cv2.BORDER_CONSTANT)
    np.testing.assert_allclose(clockwise, np.rot90(exact), atol=1e-6)
    halved = _cut(
        np.kron(gradient, np.ones((8, 8, 1), np.uint8)), _Region(22 * 8, 20 * 8, 128), 16, cv2.BORDER_CONSTANT
    )
    np.testing.assert_allclose(halved, exact, atol=0.012)


def test_where_blazeface_sees_nothing_two_looks_find_the_mesh(landmarker, portrait, monkeypatch):
    picture = read(portrait)
    (mesh,) = landmarker.find(picture)
    monkeypatch.setattr(landmarker, "_search", lambda *_: [])
    blind = landmarker.mesh(picture, Box(171, 65, 104, 104))
    assert apart(blind.points, mesh.points) < 0.03 * mesh.box.width


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 500), (48, 48), (300, 300), (10, 40_000)])
def test_no_face_is_no_mesh(landmarker, detector, shape):
    for picture in (
        np.full((*shape, 3), 128, np.uint8),
        np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8),
    ):
        assert landmarker.find(picture) == []
        assert landmarker.mesh(picture) is None
        assert detector.detect(picture) == []


@pytest.mark.parametrize("box", [Box(-100, 0, 50, 50), Box(600, 600, 50, 50), Box(10, 10, 0, 0), Box(10, 10, 0.1, 0.1)])
def test_a_box_outside_or_without_size_has_no_mesh(landmarker, portrait, box):
    assert landmarker.mesh(read(portrait), box) is None


def test_the_detector_gives_blazefaces_box_and_five_points(detector, landmarker, portrait):
    picture = read(portrait)
    (found,) = detector.detect(picture, longest=224)
    (mesh,) = landmarker.find(picture)
    assert (detector.name, detector.notice) == ("mediapipe", None)
    assert (found.box, found.confidence) == (mesh.box, mesh.confidence)
    eye_left, eye_right, nose, mouth_left, mouth_right = found.landmarks
    assert eye_left[0] < nose[0] < eye_right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert eye_left[1] < nose[1] < mouth_left[1]


def test_one_landmarker_serves_many_threads(landmarker, portrait):
    picture = read(portrait)
    pictures = [picture[: 300 + 20 * i, : 320 + 16 * i] for i in range(6)] * 2
    alone = [landmarker.find(one)[0].points for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        for one, expected in zip(pool.map(landmarker.find, pictures), alone, strict=True):
            np.testing.assert_array_equal(one[0].points, expected)


def test_loading_says_nothing_and_loads_no_second_opencv_or_tensorflow(landmarker, shared):
    program = (
        "import os, sys; from pathlib import Path; from mien.detection.mediapipe import Landmarker\n"
        f"Landmarker(Path({str(shared / 'models' / LANDMARKER.name)!r}))\n"
        "os.write(2, b'still there')\n"
        "assert not {'tensorflow', 'mediapipe', 'torch', 'jax'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "still there", 0)


def damaged(path, kind):
    whole = path.read_bytes()
    if kind == "nothing":
        path.write_bytes(b"nothing")
    elif kind == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "altered":
        path.write_bytes(whole[:100_000] + b"\xff" * 1000 + whole[101_000:])
    else:
        networks = {"no network": b"TFL3 no network", "empty": b""}
        with zipfile.ZipFile(path, "w") as task:
            if kind in networks:
                task.writestr("face_detector.tflite", networks[kind])


@pytest.mark.parametrize("kind", ["nothing", "cut off", "altered", "no network", "empty", "another zip"])
def test_a_damaged_file_is_a_detector_error(landmarker, shared, tmp_path, kind):
    path = tmp_path / "broken.task"
    shutil.copyfile(shared / "models" / LANDMARKER.name, path)
    path.chmod(0o644)
    damaged(path, kind)
    with pytest.raises(DetectorError, match=r"cannot load .*broken\.task: .*fetch it anew"):
        Landmarker(path)


def test_a_file_that_is_not_there(landmarker, tmp_path):
    with pytest.raises(DetectorError, match=r"cannot load .*absent\.task: .*No such file"):
        Landmarker(tmp_path / "absent.task")
    with pytest.raises(
        DownloadError, match=r"face_landmarker\.task is not in .*MIEN_OFFLINE.*storage\.googleapis\.com"
    ):
        build("mediapipe")


def test_without_litert_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.delitem(sys.modules, "ai_edge_litert.interpreter", raising=False)
    with pytest.raises(MissingExtraError, match=r"ai_edge_litert.*pip install 'mien\[landmarks\]'"):
        build("mediapipe")


def test_the_page_runs_as_it_stands_and_shows_the_recorded_figures(landmarker, shared):
    page = (ROOT / "docs" / "faces.md").read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", page, re.DOTALL).groups()
    environment = {**os.environ, "MIEN_CACHE": str(shared / "models")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.stdout, done.stderr) == (printed, "")
    script = runpy.run_path(str(ROOT / "benchmarks" / "detectors.py"))
    record = json.loads((ROOT / "benchmarks" / "detectors.json").read_text(encoding="utf-8"))
    assert script["table"](record) in page
    assert script["sentence"](record) in page
