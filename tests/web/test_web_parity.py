"""The JavaScript package computes what Python computes."""

import csv
import io
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import models
from mien.detection import quality
from mien.detection.base import Detection
from mien.detection.framing import FER2013_FRAMING, crop, resize
from mien.models.card import attach, detach
from mien.outputs.tables import Csv
from mien.results import Box, Face, Frame, Quality
from mien.tracking.follower import Follower
from mien.tracking.smoothing import Smoother
from mien.tracking.tracker import Tracker, assign
from support.node import encoded, pixels, text

WEB = Path(models.__file__).parents[1] / "web"
SIZES = [
    ((48, 64), (24, 32)),
    ((48, 64), (17, 31)),
    ((80, 100), (20, 25)),
    ((81, 99), (27, 33)),
    ((240, 320), (229, 300)),
    ((200, 301), (200, 100)),
    ((20, 20), (48, 48)),
    ((60, 47), (48, 48)),
    ((17, 13), (251, 192)),
    ((40, 50), (20, 60)),
    ((1, 1), (48, 48)),
    ((48, 48), (48, 48)),
]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pictures_are_resized_as_opencv_does(node):
    cases = [{"way": "resize", "image": encoded(noise(*size)), "height": to[0], "width": to[1]} for size, to in SIZES]
    for (size, to), answer in zip(SIZES, node.values(cases), strict=True):
        wanted = resize(noise(*size), to[1], to[0])
        assert np.abs(pixels(answer, *to) - wanted).max() <= 1, (size, to)


def test_crops_are_those_of_python(node, portrait):
    picture = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)[::2, ::2]
    rng = np.random.default_rng(3)
    boxes = [Box(*rng.uniform(-30, 200, 2), *rng.uniform(15, 160, 2)) for _ in range(30)]
    boxes += [Box(10.5, 20.5, 33, 33), Box(0, 0, 48, 48), Box(-20, -20, 300, 300)]
    framing = FER2013_FRAMING["yunet"]
    given = {"way": "crop", "image": encoded(picture), "framing": framing.to_dict(), "width": 48, "height": 48}
    cases = [given | {"box": {"x": b.x, "y": b.y, "width": b.width, "height": b.height}} for b in boxes]
    for box, answer in zip(boxes, node.values(cases), strict=True):
        assert np.abs(pixels(answer, 48, 48) - crop(picture, box, framing, 48, 48)).max() <= 1, box


def test_a_face_outside_the_picture_is_an_error_here_too(node):
    given = {"way": "crop", "image": encoded(noise(40, 60)), "framing": {"scale": 1, "dx": 0, "dy": 0}}
    cases = [
        given | {"box": dict(zip(("x", "y", "width", "height"), box, strict=True)), "width": 48, "height": 48}
        for box in ((100, 0, 20, 20), (0, -50, 20, 20), (5, 5, 0.2, 0.2))
    ]
    assert all("outside the picture of 60x40" in answer["error"] for answer in node(cases))


@pytest.mark.parametrize("name", ["fast", "default"])
def test_the_card_is_read_as_python_reads_it(node, name):
    file = models.find(name).read_bytes()
    graph, card = detach(file)
    (found,) = node.values([{"way": "card", "file": text(file)}])
    assert found["graphBytes"] == len(graph)
    assert found["card"]["name"] == card.name
    assert {key: tuple(output["labels"]) for key, output in found["card"]["outputs"].items()} == {
        key: output.labels for key, output in card.outputs.items()
    }


def test_damaged_files_have_no_card(node):
    graph, card = detach(models.find("fast").read_bytes())
    graph = graph[:1000]
    whole = attach(graph, card)
    newer = whole.replace(b'"format": %d' % _format(whole), b'"format": 9')
    faults = {
        "carries no card": graph,
        "not the last thing": whole + b"x",
        "is damaged": whole[:-1],
        "has format 9": newer,
        "incomplete": whole.replace(b'"golden": ', b'"golben": '),
    }
    answers = node([{"way": "card", "file": text(file)} for file in faults.values()])
    for fault, answer in zip(faults, answers, strict=True):
        assert fault in answer["error"]


def _format(file):
    return int(re.search(rb'"format": (\d)', file)[1])


def test_quality_is_measured_the_same(node, portrait):
    picture = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)
    crops = [resize(picture[60:180, 170:290], 48, 48), noise(48, 48), np.full((48, 48, 3), 7, np.uint8)]
    points = ((200.0, 100.0), (240.0, 108.0), (226.0, 130.0), (205.0, 150.0), (235.0, 150.0))
    found = [Detection(Box(178, 63, 90, 114), 0.9, points), Detection(Box(0, 0, 30, 31), 0.9)]
    for one in found:
        box = {"x": one.box.x, "y": one.box.y, "width": one.box.width, "height": one.box.height}
        given = {"way": "quality", "detection": {"box": box, "landmarks": one.landmarks}}
        answers = node.values([given | {"image": encoded(each)} for each in crops])
        for each, answer in zip(crops, answers, strict=True):
            wanted = quality.measure(one, each)
            for key in ("size", "sharpness", "yaw", "roll", "score"):
                assert answer[key] == pytest.approx(getattr(wanted, key), abs=1e-4), key


def test_numbers_are_rounded_as_python_rounds(node):
    values = [0.5, 1.5, 2.5, -0.5, 0.25, 0.35, 0.125, 0.00005, 0.15, 2.675, 1e-9, 0.99995, 12.34565, 7.0, 0.0625]
    cases = [{"way": "round", "values": values, "digits": digits} for digits in (0, 1, 3, 4)]
    for case, found in zip(cases, node.values(cases), strict=True):
        assert found == [round(value, case["digits"]) for value in values]


def made_face(seed, track=None):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(3)).tolist()
    return Face(
        box=Box(*rng.uniform(0, 100, 4).tolist()),
        confidence=float(rng.random()),
        outputs={"probabilities": dict(zip("abc", scores, strict=True)), "other": {"x": 0.25, "y": 0.75}},
        landmarks=tuple(map(tuple, rng.uniform(0, 100, (5, 2)).tolist())),
        quality=Quality(33.25, 0.5, 0.1, -3.25, 0.3),
        track=track,
        smoothed=None if track is None else dict(zip("abc", scores[::-1], strict=True)),
        threshold=0.6,
    )


def test_faces_and_tables_have_the_names_and_numbers_of_python(node):
    faces = [made_face(seed, track) for seed, track in ((0, None), (1, 4), (4, 2))]
    cases = []
    for face in faces:
        plain = {name: getattr(face, name) for name in ("confidence", "landmarks", "track", "threshold")}
        plain["outputs"] = {name: dict(scores) for name, scores in face.outputs.items()}
        plain["smoothed"] = None if face.smoothed is None else dict(face.smoothed)
        plain["box"] = {name: getattr(face.box, name) for name in ("x", "y", "width", "height")}
        plain["quality"] = {name: getattr(face.quality, name) for name in ("size", "sharpness", "yaw", "roll", "score")}
        cases.append({"way": "face", "face": plain})
    found = node.values(cases)
    assert found == [face.to_dict() for face in faces]
    assert {face["expression"] for face in found} > {"unsure"}

    frames = [
        Frame('a,"b".jpg', 640, 480, tuple(faces), "yunet", "fast 2", 3, 0.12345),
        Frame(None, 640, 480, (), "yunet", "fast 2", error="no\npicture"),
    ]
    stream = io.StringIO()
    writer = Csv(stream, ["a", "b", "c"])
    for frame in frames:
        writer.write(frame)
    plain = [frame.to_dict() for frame in frames]
    (table,) = node.values([{"way": "csv", "frames": plain, "labels": ["a", "b", "c"]}])

    def rows(content):
        return [
            [float(cell) if re.fullmatch(r"-?[\d.]+", cell) else cell for cell in row]
            for row in csv.reader(io.StringIO(content))
        ]

    assert rows(table) == rows(stream.getvalue())


def test_assignments_cost_the_same(node):
    rng = np.random.default_rng(7)
    tables = []
    for _ in range(60):
        costs = rng.random(rng.integers(1, 7, 2))
        costs[rng.random(costs.shape) < 0.3] = np.inf
        tables.append(costs)
    cases = [
        {"way": "assign", "costs": [[None if math.isinf(cost) else cost for cost in row] for row in costs.tolist()]}
        for costs in tables
    ]
    for costs, pairs in zip(tables, node.values(cases), strict=True):
        assert [tuple(pair) for pair in pairs] == assign(costs)


def test_smoothing_is_the_same(node):
    answers = [
        {"track": track, "at": at, "scores": {"a": score, "b": 1 - score}}
        for track, at, score in (
            (1, 0.0, 1.0),
            (1, 0.1, 0.2),
            (2, 0.1, 0.5),
            (1, 0.5, 0.0),
            (1, 5.0, 0.9),
            (2, 5.1, 0.1),
        )
    ]
    (found,) = node.values([{"way": "smooth", "seconds": 0.4, "answers": answers}])
    smoother = Smoother(0.4)
    for answer, mixed in zip(answers, found, strict=True):
        assert mixed == pytest.approx(smoother.update(answer["track"], answer["at"], answer["scores"]))


def trace(seed, frames=40):
    """Three faces that walk, cross, hide and jitter, and a detector that misses some: (picture, detections, time)."""
    rng = np.random.default_rng(seed)
    looks = [noise(40, 40, seed * 10 + face) for face in range(3)]
    starts, speeds = rng.uniform((20, 20), (300, 140), (3, 2)), rng.uniform(-6, 6, (3, 2))
    for index in range(frames):
        picture, found = np.full((200, 360, 3), 128, np.uint8), []
        for face in range(3):
            x, y = np.clip(starts[face] + speeds[face] * index, 0, (319, 159)).round().astype(int).tolist()
            picture[y : y + 40, x : x + 40] = looks[face]
            box = Box(*(np.array([x, y, 40, 40]) + rng.normal(0, 1, 4)).tolist())
            if rng.random() > 0.2 and not (face == 1 and 12 < index < 22):
                found.append(Detection(box, 0.9))
        yield picture, found, index / 20


@pytest.mark.parametrize("seed", range(4))
def test_faces_are_tracked_the_same_on_the_same_traces(node, seed):
    tracker, wanted, frames = Tracker(memory=0.3), [], []
    for picture, found, at in trace(seed):
        wanted.append(tracker.update(picture, found, at))
        boxes = [{"box": {"x": f.box.x, "y": f.box.y, "width": f.box.width, "height": f.box.height}} for f in found]
        frames.append({"image": encoded(picture), "found": boxes, "at": at})
    (numbers,) = node.values([{"way": "track", "memory": 0.3, "frames": frames}])
    assert numbers == wanted
    assert max(map(max, filter(None, wanted))) > 3, "a face must come back as a new one, or memory is not tested"


class Bright:
    """Finds bright squares, one in each 300 columns; parity.mjs has the same."""

    name = "bright"
    notice = None

    def detect(self, picture, *, longest=800):
        rows, columns = np.nonzero(picture[..., 0] > 200)
        found = []
        for key in np.unique(columns // 300):
            here = columns // 300 == key
            x, y = columns[here].min(), rows[here].min()
            found.append(Detection(Box(x, y, columns[here].max() - x + 1, rows[here].max() - y + 1), 0.9))
        return found


def test_the_surroundings_of_known_faces_are_searched_as_in_python(node):
    follower, wanted, frames = Follower(Bright(), interval=4), [], []
    for index in range(14):
        picture = np.zeros((240, 900, 3), np.uint8)
        for x, y in [(100 + 3 * index, 80), *[(700, 100 + index)] * (1 < index < 9)]:
            picture[y : y + 40, x : x + 40] = 255
        at = index / 25 + (index > 11)
        wanted.append([[track, one.box.x, one.box.y] for one, track in follower.update(picture, at)])
        frames.append({"image": encoded(picture), "at": at})
    (found,) = node.values([{"way": "follow", "interval": 4, "frames": frames}])
    assert found == wanted
    assert [] not in wanted
    assert len(wanted[2]) < len(wanted[8]) == 2, "the second face must be missed at first, or nothing was left out"


def test_cuts_are_seen_where_python_sees_them(node):
    """Scenes that end, return at once, return late, are moved along, and go dark; a bright square stays in each."""
    scenes = [cv2.resize(noise(6, 30, seed), (900, 240), interpolation=cv2.INTER_CUBIC) // 2 for seed in range(3)]
    order = [0] * 3 + [1] * 2 + [0] * 3 + [2] * 12 + [0] * 3
    follower, wanted, frames = Follower(Bright(), interval=4), [], []
    for index, scene in enumerate(order):
        picture = np.roll(scenes[scene], 2 * index, axis=1) // (2 if index % 5 == 4 else 1)
        picture[80:120, 100:140] = resize(noise(4, 4, 9) // 6 + 205, 40, 40)
        wanted.append([[track, one.box.x, one.box.y] for one, track in follower.update(picture, index / 25)])
        frames.append({"image": encoded(picture), "at": index / 25})
    (found,) = node.values([{"way": "follow", "interval": 4, "frames": frames}])
    assert found == wanted
    tracks = [one[0][0] for one in wanted]
    assert tracks == [1] * 3 + [2] * 2 + [1] * 3 + [3] * 12 + [4] * 3


@pytest.mark.parametrize("size", [(512, 512), (640, 416)])
def test_yunets_numbers_are_read_as_opencv_reads_them(node, shared, portrait, size):
    import onnxruntime

    file = shared / "models" / "face_detection_yunet_2026may.onnx"
    picture = cv2.resize(cv2.imread(str(portrait)), size)
    detector = cv2.FaceDetectorYN.create(str(file), "", size, 0.7, 0.3, 5000)
    wanted = detector.detect(picture)[1]
    session = onnxruntime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]
    values = session.run(None, {session.get_inputs()[0].name: picture.transpose(2, 0, 1)[None].astype(np.float32)})
    outputs = {name: text(np.asarray(value)) for name, value in zip(names, values, strict=True)}
    (found,) = node.values([{"way": "decode", "outputs": outputs, "columns": size[0], "sure": 0.7}])
    rows = [[*face["box"].values(), *np.ravel(face["landmarks"]), face["confidence"]] for face in found]
    assert len(wanted) >= 1
    np.testing.assert_allclose(rows, wanted, atol=0.01)


def test_the_nodes_own_tests_pass(node):
    tests = sorted(str(path) for path in Path(__file__).parent.glob("*.test.mjs"))
    assert tests
    done = subprocess.run(
        [node.program, "--test", *tests], capture_output=True, text=True, check=False, timeout=300, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_name_what_the_package_exports():
    types = (WEB / "index.d.ts").read_text(encoding="utf-8")
    code = (WEB / "index.js").read_text(encoding="utf-8")
    lists = re.findall(r"export \{ ?(.*?) ?\} from", code)
    exported = {name for names in lists for name in names.split(", ")} | set(
        re.findall(r"export (?:async )?function (\w+)", code)
    )
    declared = set(re.findall(r"export (?:function|class|const) (\w+)", types))
    assert exported == declared
    assert shutil.which("node") is None or "createRecognizer" in declared
