"""The built app in a real Chromium: the same answers as Python, nothing leaves, it works without a network."""

import base64
import csv
import gzip
import io
import json
import runpy
import shutil
import subprocess
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien import models
from mien.detection.yunet import YuNet
from mien.recognizer import Recognizer
from mien.results import COLUMNS
from mien.sources.images import read
from support.browser import open_app, read_photo, wait_text
from support.node import encoded, text
from support.site_server import SiteServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

# Loads the package in the page itself, beside the app's own worker.
LOAD = """
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const load = async (detector) => {
  const { createRecognizer } = await import("./mien/index.js");
  const runtime = await import("./vendor/ort.wasm.bundle.min.mjs");
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmPaths = { wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", document.baseURI).href };
  const { model, detector: yunet } = document.documentElement.dataset;
  return createRecognizer({ model, detector: detector ?? yunet, runtime });
};
"""


def run(page, body, given=None):
    """A function body in the page, with ``given``."""
    return page.evaluate(f"async (given) => {{ {LOAD} {body} }}", given)


@pytest.fixture(scope="module")
def page(browser, server):
    context = browser.context(permissions=["camera"])
    yield open_app(context, server.address)
    context.close()


def test_it_starts_without_a_complaint_and_fetches_large_files_once(page, server):
    assert page.text_content("#status") == "Ready, also without a network."
    assert page.told == []
    assert page.is_hidden("#problem")
    paths = [path for _, path, _ in server.requests]
    for large in ("/models/fast.onnx", "/vendor/ort-wasm-simd-threaded.wasm", "/vendor/ort.wasm.bundle.min.mjs"):
        assert paths.count(large) == 1


def test_its_weight_stays_within_the_limits(page, server, site):
    measured = runpy.run_path(str(ROOT / "benchmarks" / "app.py"))
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) <= 5.2e6
    first = {*measured["FIRST"], *measured["FIRST_PACKAGE"]}
    assert sum((site / name).stat().st_size for name in first) <= 60_000
    paths = [path.lstrip("/") or "index.html" for _, path, _ in server.requests]
    # When the icon is fetched is the browser's choice.
    assert first - {"icons/icon.svg"} <= set(paths[: paths.index("sw.js")]) <= first


def test_the_golden_crop_and_200_faces_get_pythons_probabilities(page, shared):
    import pyarrow.parquet as parquet

    usage = [("usage", "=", "PublicTest")]
    faces = parquet.read_table(shared / "data" / "fer2013.parquet", columns=["image"], filters=usage)["image"]
    rows = np.random.default_rng(0).choice(len(faces), 200, replace=False)
    crops = np.stack([read(faces[int(row)].as_py()) for row in rows])
    assert crops.shape == (200, 48, 48, 3)
    wanted = models.load("fast", threads=1).score(crops)
    golden, found = run(
        page,
        "const reader = await load('none'); const scores = await reader.score(bytes(given));"
        "return [await reader.check(), Object.fromEntries(Object.entries(scores).map(([k, v]) => [k, [...v]]))];",
        text(crops),
    )
    assert golden <= 1e-5
    assert set(found) == set(wanted)
    for name, expected in wanted.items():
        scores = np.array(found[name]).reshape(expected.shape)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        np.testing.assert_array_equal(scores.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize(
    ("size", "longest"), [((512, 512), 320), ((512, 512), 800), ((700, 500), 320), ((90, 90), 320)]
)
def test_faces_are_found_where_python_finds_them(page, portrait, yunet_file, size, longest):
    picture = cv2.resize(read(portrait)[:300, 60:400], size, interpolation=cv2.INTER_AREA)
    wanted = YuNet(yunet_file).detect(picture, longest=longest)
    found = run(
        page,
        "const { width, height, data } = given.image; const reader = await load();"
        "return reader.detect({ width, height, data: bytes(data) }, { longest: given.longest });",
        {"image": encoded(picture), "longest": longest},
    )
    assert len(wanted) == 1
    rows = [[*one["box"].values(), *np.ravel(one["landmarks"]), one["confidence"]] for one in found]
    expected = [
        [one.box.x, one.box.y, one.box.width, one.box.height, *np.ravel(one.landmarks), one.confidence]
        for one in wanted
    ]
    np.testing.assert_allclose(rows, expected, atol=0.01)


def test_a_photo_gives_the_names_and_numbers_of_python(page, portrait, yunet_file, tmp_path, monkeypatch):
    shutil.copy(yunet_file, tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    recognizer = Recognizer("fast", "yunet", threads=1)
    recognizer.detector.detect = partial(recognizer.detector.detect, longest=800)
    wanted = recognizer.predict(portrait).to_dict()
    pixels = encoded(read(portrait))
    found = run(
        page,
        "const { width, height, data } = given; const reader = await load();"
        "return reader.predict({ width, height, data: bytes(data) });",
        pixels,
    )
    assert set(wanted) <= set(found) <= {*wanted, "prior"}
    assert {**wanted, "source": None, "faces": 0, "prior": 0} == {**found, "faces": 0, "prior": 0}
    (face,), (expected,) = found["faces"], wanted["faces"]
    assert list(face) == list(expected)
    for key in ("box", "expression", "track", "smoothed", "smoothed_expression"):
        assert face[key] == expected[key]
    np.testing.assert_allclose(face["landmarks"], expected["landmarks"], atol=0.11)
    assert face["quality"] == pytest.approx(expected["quality"], abs=2e-3)
    for name, scores in expected["outputs"].items():
        assert face["outputs"][name] == pytest.approx(scores, abs=2e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_their_exif_says(page, gradient, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    Image.fromarray(cv2.resize(gradient, (120, 80))).save(path, exif=exif, quality=95, subsampling=0)
    found = run(
        page,
        "const { read } = await import('./mien/lib/images.js'); const picture = await read(new Blob([bytes(given)]));"
        "return [picture.width, picture.height, btoa(String.fromCharCode(...picture.data))];",
        text(path.read_bytes()),
    )
    wanted = read(path)
    assert found[:2] == [wanted.shape[1], wanted.shape[0]]
    pixels = np.frombuffer(base64.b64decode(found[2]), np.uint8).reshape(wanted.shape).astype(int)
    assert np.abs(pixels - wanted).max() <= 3


def test_a_photo_is_read_shown_and_said(page, portrait):
    assert read_photo(page, portrait) == "astronaut.jpg: 1 face."
    assert "Face 1: happy" in page.text_content("#faces caption")
    assert page.text_content("#said") == "Face 1: happy"
    drawn = page.evaluate(
        "() => { const c = document.getElementById('boxes');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return [c.width, c.height, d.some((value) => value > 0)]; }"
    )
    assert drawn == [512, 512, True]


def test_a_file_that_is_no_picture_is_a_sentence_and_the_next_one_works(page, portrait, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    page.set_input_files("#photo-file", str(bad))
    assert "cannot read the picture" in wait_text(page, "problem", "bad.jpg")
    assert read_photo(page, portrait) == "astronaut.jpg: 1 face."
    assert page.is_hidden("#problem")


def test_nothing_leaves_the_device(page, server, portrait):
    asked = []
    page.context.on("request", lambda request: asked.append((request.method, request.url)))
    before = len(server.requests)
    read_photo(page, portrait)
    page.click("#camera")
    wait_text(page, "history-title", r": [1-9]\d* s")
    page.click("#camera")
    assert len(server.requests) == before
    assert [url for _, url in asked if not url.startswith("blob:")] == []

    try_it = (
        "async (where) => { try { await fetch(where, { method: 'POST', body: 'x' }); return 'sent'; }"
        "catch { return 'refused'; } }"
    )
    (worker,) = page.workers
    for place in (page, worker):
        for where in ("https://example.com/", f"http://mien.test:{server.port}/", f"{server.address}take"):
            assert place.evaluate(try_it, where) == "refused"
    assert len(server.requests) == before


def test_the_pages_policy_alone_keeps_the_worker_from_other_addresses(browser, server):
    context = browser.context(service_workers="block")
    page = open_app(context, server.address)
    wait_text(page, "status", "^Ready.$")
    before = len(server.requests)
    send = (
        "async (where) => { try { await fetch(where, { mode: 'no-cors' }); return 'sent'; }"
        "catch { return 'refused'; } }"
    )
    for place in (page, page.workers[0]):
        assert place.evaluate(send, f"http://mien.test:{server.port}/elsewhere") == "refused"
        assert place.evaluate(send, server.address) == "sent", "or the test refuses itself"
    assert "/elsewhere" not in [path for _, path, _ in server.requests[before:]]
    context.close()


def test_it_works_with_the_server_gone(browser, site, portrait):
    running = SiteServer(site)
    context = browser.context()
    open_app(context, running.address).close()
    asked = len(running.requests)
    second = open_app(context, running.address)
    again = [path for _, path, _ in running.requests[asked:]]
    assert set(again) <= {"/sw.js"}, "the second visit may ask whether there is a new version, and nothing else"
    second.close()
    running.close()
    third = open_app(context, running.address)
    assert third.text_content("#status") == "Ready, also without a network."
    assert read_photo(third, portrait) == "astronaut.jpg: 1 face."
    context.close()


def test_a_new_version_replaces_the_old_one(browser, site, tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    running = SiteServer(folder)
    context = browser.context()
    open_app(context, running.address).close()
    worker = folder / "sw.js"
    worker.write_text(worker.read_text(encoding="utf-8").replace('VERSION = "', 'VERSION = "new'), encoding="utf-8")
    page = open_app(context, running.address)
    page.wait_for_function("async () => (await caches.keys()).length === 2")
    page.close()
    page = open_app(context, running.address)
    page.wait_for_function("async () => { const k = await caches.keys(); return k.length === 1 && / new/.test(k[0]); }")
    context.close()
    running.close()


def test_a_file_that_is_not_the_built_one_is_not_kept(browser, site, portrait, tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    (folder / "licenses.txt").write_text("altered", encoding="utf-8")
    running = SiteServer(folder)
    context = browser.context()
    page = open_app(context, running.address)
    assert "could not be kept" in page.text_content("#problem")
    wait_text(page, "status", "^Ready.$")
    assert read_photo(page, portrait) == "astronaut.jpg: 1 face."
    context.close()
    running.close()


def test_a_denied_camera_is_said_and_photos_still_work(browser, server, portrait):
    context = browser.context()
    page = open_app(context, server.address)
    session = context.new_cdp_session(page)
    session.send("Browser.setPermission", {"permission": {"name": "camera"}, "setting": "denied"})
    page.click("#camera")
    assert "was not allowed" in wait_text(page, "problem", ".")
    assert read_photo(page, portrait) == "astronaut.jpg: 1 face."
    context.close()


def test_without_a_camera_that_is_said(chromium, server):
    with chromium() as bare:
        page = open_app(bare.context(permissions=["camera"]), server.address)
        page.click("#camera")
        assert "No camera was found" in wait_text(page, "problem", ".")


def test_an_insecure_address_has_no_camera_but_reads_photos(browser, server, portrait):
    context = browser.context()
    page = open_app(context, f"http://mien.test:{server.port}/")
    assert page.text_content("#status") == "Ready."
    page.click("#camera")
    assert "secure address" in wait_text(page, "problem", ".")
    assert read_photo(page, portrait) == "astronaut.jpg: 1 face."
    context.close()


def test_a_browser_without_simd_is_told_so(browser, server):
    context = browser.context()
    context.add_init_script("WebAssembly.validate = () => false")
    page = open_app(context, server.address)
    assert "SIMD" in page.text_content("#problem")
    assert page.is_disabled("#camera")
    context.close()


def test_a_lack_of_memory_is_told(chromium, server):
    with chromium("--js-flags=--wasm-max-mem-pages=64") as small:
        page = open_app(small.context(), server.address)
        assert "not enough memory" in page.text_content("#problem")


def test_a_worker_that_breaks_down_is_started_again(browser, server, portrait):
    context = browser.context()
    page = open_app(context, server.address)
    page.workers[0].evaluate("() => { setTimeout(() => { throw new Error('out'); }); }")
    assert "has been started again" in wait_text(page, "problem", ".")
    wait_text(page, "status", "Ready")
    assert read_photo(page, portrait) == "astronaut.jpg: 1 face."
    context.close()


def test_a_worker_that_cannot_start_is_told_once(browser, server):
    context = browser.context(service_workers="block")
    context.route("**/worker.js", lambda route: route.fulfill(status=404))
    page = open_app(context, server.address)
    wait_text(page, "problem", "cannot be started")
    assert page.is_disabled("#camera")
    assert len(page.workers) == 0
    context.close()


def test_the_other_camera_is_not_a_mirror(chromium, server):
    with chromium("--use-fake-device-for-media-stream=device-count=2") as two:
        page = open_app(two.context(permissions=["camera"]), server.address)
        page.click("#camera")
        wait_text(page, "status", "Reading the camera")
        mirrored = "() => document.getElementById('frame').hasAttribute('data-mirrored')"
        assert page.evaluate(mirrored)
        page.click("#flip")
        page.wait_for_function("() => !document.getElementById('frame').hasAttribute('data-mirrored')")
        wait_text(page, "status", "Reading the camera")
        assert not page.evaluate(mirrored)


@pytest.fixture(scope="module")
def face_camera(chromium, tmp_path_factory):
    """Chromium whose camera shows the portrait, moving."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed")
    from support.moving_portrait import write_moving_portrait

    path = write_moving_portrait(ffmpeg, tmp_path_factory.mktemp("camera") / "face.y4m")
    arguments = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={path}")
    with chromium(*arguments) as running:
        yield running


def test_the_camera_is_followed_saved_and_stopped_when_nobody_looks(face_camera, server, tmp_path):
    context = face_camera.context(permissions=["camera"], accept_downloads=True)
    page = open_app(context, server.address)
    page.click("#camera")
    wait_text(page, "kept", r"^([3-9]\d|\d{3,}) pictures")
    assert "Face 1: happy" in wait_text(page, "faces", "happy")
    assert "Face 1 (" in wait_text(page, "shares", "happy")

    page.evaluate("() => { globalThis.held = document.getElementById('video').srcObject.getTracks(); }")
    hide = (
        "(hidden) => { Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.evaluate(hide, True)
    assert page.evaluate("() => globalThis.held.every((track) => track.readyState === 'ended')")
    assert "camera is off" in page.text_content("#status")
    count = page.text_content("#kept")
    page.evaluate(hide, False)
    wait_text(page, "status", "Reading the camera")
    page.wait_for_function("(count) => document.getElementById('kept').textContent !== count", arg=count)
    page.click("#camera")

    saved = {}
    for button in ("csv", "json"):
        with page.expect_download() as download:
            page.click(f"#{button}")
        saved[button] = (tmp_path / button, download.value.save_as(tmp_path / button))[0].read_text(encoding="utf-8")
    frames = json.loads(saved["json"])
    rows = list(csv.reader(io.StringIO(saved["csv"])))
    labels = models.read_card("fast").outputs["probabilities"].labels
    assert rows[0] == [*COLUMNS, *labels]
    assert len(rows) - 1 == sum(max(len(frame["faces"]), 1) for frame in frames)
    numbers = [frame["frame"] for frame in frames]
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers)), "one that came when nobody looked is missing"
    times = [frame["time"] for frame in frames]
    assert times == sorted(times)
    seen = [face for frame in frames for face in frame["faces"]]
    assert len(seen) > 10
    assert {face["track"] for face in seen} <= {1, 2}, "one person; a second number at most after the pause"
    assert all(frame["source"] == "camera:0" for frame in frames)
    assert page.told == []
    context.close()


def test_a_video_file_is_followed_to_its_end(browser, server, tmp_path):
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed")
    from support.moving_portrait import write_moving_portrait

    clip = write_moving_portrait(ffmpeg, tmp_path / "clip.webm", seconds=2)
    context = browser.context()
    page = open_app(context, server.address)
    page.set_input_files("#video-file", str(clip))
    wait_text(page, "status", "clip.webm: finished")
    assert "Since the video was opened" in page.text_content("#history-title")
    assert "happy" in page.text_content("#shares")
    context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """axe-core's program text, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@4.14.1"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    path = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip(f"axe-core cannot be had from npm: {done.stderr.strip().splitlines()[-1:]}")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (844, 390), (320, 640), (1280, 800)])
def test_nobody_is_shut_out(browser, server, portrait, axe, scheme, size):
    context = browser.context(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    page = open_app(context, server.address)
    page.evaluate(axe)

    def violations():
        found = page.evaluate("async () => (await axe.run()).violations.map((v) => [v.id, v.nodes.map((n) => n.html)])")
        wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        return found, max(wide, 0)

    assert violations() == ([], 0)
    read_photo(page, portrait)
    page.click("summary")
    page.evaluate(
        "() => { const p = document.getElementById('problem'); p.hidden = false; p.textContent = 'A problem.'; }"
    )
    assert violations() == ([], 0)
    context.close()


def test_everything_is_reached_by_keyboard(page):
    page.evaluate("() => document.activeElement.blur()")
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.tagName"))
    assert {"camera", "photo-file", "video-file", "csv", "json", "clear", "SUMMARY"} <= reached


def test_no_motion_where_none_is_wanted(browser, server, portrait):
    context = browser.context(reduced_motion="reduce")
    page = open_app(context, server.address)
    read_photo(page, portrait)
    moving = "() => getComputedStyle(document.querySelector('.faces td'), '::before').transitionDuration"
    assert page.evaluate(moving) == "0s"
    context.close()
