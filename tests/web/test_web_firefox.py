"""The built app in a real Firefox, as a second engine: photo, camera, and the probabilities of Python."""

import json

import cv2
import numpy as np
import pytest

from mien import models
from support.firefox import Firefox, find_firefox
from support.node import text
from support.site_server import SiteServer

pytestmark = pytest.mark.slow

SCORE = """(async () => {
  const { createRecognizer } = await import("./mien/index.js");
  const runtime = await import("./vendor/ort.wasm.bundle.min.mjs");
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmPaths = { wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", document.baseURI).href };
  const reader = await createRecognizer({ model: document.documentElement.dataset.model, detector: "none", runtime });
  const scores = await reader.score(Uint8Array.from(atob(CROPS), (letter) => letter.charCodeAt(0)));
  return Object.fromEntries(Object.entries(scores).map(([name, values]) => [name, [...values]]));
})()"""


@pytest.fixture(scope="module")
def firefox(site, tmp_path_factory):
    program = find_firefox()
    if program is None:
        pytest.skip("firefox is not installed")
    pytest.importorskip("websockets", reason="websockets is not installed")
    server = SiteServer(site)
    with Firefox(program, tmp_path_factory.mktemp("profile")) as running:
        running.go(server.address)
        running.server = server
        yield running
    server.close()


def test_it_reads_photo_and_camera_and_asks_for_nothing(firefox, portrait):
    assert firefox.wait_text("status", "^Ready") == "Ready, also without a network."
    before = len(firefox.server.requests)
    firefox.set_files("photo-file", portrait)
    assert firefox.wait_text("status", "^astronaut.jpg: ") == "astronaut.jpg: 1 face."
    assert "Face 1: happy" in firefox.text("faces")
    firefox.evaluate("document.getElementById('camera').click()")
    firefox.wait_text("kept", r"^\d\d+ pictures")
    firefox.evaluate("document.getElementById('camera').click()")
    assert firefox.text("problem") == ""
    assert len(firefox.server.requests) == before


def test_it_computes_what_python_computes(firefox, portrait):
    picture = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)
    crops = np.stack(
        [cv2.resize(picture[y : y + 120, x : x + 120], (48, 48)) for x, y in ((165, 55), (0, 0), (300, 200))]
    )
    wanted = models.load("fast", threads=1).score(crops)
    found = firefox.evaluate(SCORE.replace("CROPS", json.dumps(text(crops))))
    for name, expected in wanted.items():
        np.testing.assert_allclose(np.array(found[name]).reshape(expected.shape), expected, atol=1e-5)
