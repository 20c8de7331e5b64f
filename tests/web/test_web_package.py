"""The npm package as npm packs it, beside the published runtime, under Node."""

import json
import shutil
import subprocess
import tarfile
from functools import partial

import numpy as np
import pytest

from mien import models
from mien.recognizer import Recognizer
from mien.sources.images import read
from support.node import encoded

PROGRAM = """
import { readFileSync } from "node:fs";
import { createRecognizer, toCsv } from "mien";
const [model, detector, image] = JSON.parse(readFileSync(0, "utf8"));
const reader = await createRecognizer({ model: readFileSync(model), detector: readFileSync(detector) });
const picture = { ...image, data: new Uint8Array(Buffer.from(image.data, "base64")) };
const frame = await reader.predict(picture, { source: "portrait" });
const stream = reader.stream({ source: "clip" });
const frames = [await stream.predict(picture, 0), await stream.predict(picture, 0.1)];
console.log(JSON.stringify({ frame, frames, table: toCsv([frame], reader.labels), golden: await reader.check() }));
await reader.close();
"""


@pytest.fixture(scope="module")
def installed(site, node, tmp_path_factory):
    """A folder with both packages installed."""
    from mien.download import fetch
    from mien.web import runtime
    from mien.web import site as builder

    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    source = str(builder.PACKAGE_FOLDER)
    done = subprocess.run(
        [npm, "pack", "--json", "--ignore-scripts", source], cwd=folder, capture_output=True, text=True, check=True
    )
    (packed,) = json.loads(done.stdout)
    for archive, name in ((folder / packed["filename"], "mien"), (fetch(runtime.PACKAGE), "onnxruntime-web")):
        with tarfile.open(archive) as file:
            file.extractall(folder / "unpacked", filter="data")
        (folder / "node_modules").mkdir(exist_ok=True)
        (folder / "unpacked" / "package").rename(folder / "node_modules" / name)
    (folder / "program.mjs").write_text(PROGRAM, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_packed_package_reads_a_face_under_node(installed, node, portrait, yunet_file, monkeypatch, tmp_path):
    names = {path.name for path in (installed / "node_modules" / "mien").iterdir()}
    assert names == {"index.js", "index.d.ts", "lib", "package.json", "README.md"}
    shutil.copy(yunet_file, tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    given = json.dumps([str(models.find("fast")), str(yunet_file), encoded(read(portrait))])
    done = subprocess.run(
        [node.program, "program.mjs"], cwd=installed, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    recognizer = Recognizer("fast", "yunet", threads=1)
    recognizer.detector.detect = partial(recognizer.detector.detect, longest=800)
    wanted = recognizer.predict(portrait).to_dict()
    assert found["golden"] <= 1e-5
    assert found["frame"]["source"] == "portrait"
    (face,), (expected,) = found["frame"]["faces"], wanted["faces"]
    assert (face["box"], face["expression"]) == (expected["box"], expected["expression"])
    for name, scores in expected["outputs"].items():
        assert face["outputs"][name] == pytest.approx(scores, abs=2e-3)
    assert [frame["faces"][0]["track"] for frame in found["frames"]] == [1, 1]
    assert np.isclose(sum(found["frames"][1]["faces"][0]["smoothed"].values()), 1, atol=1e-3)
    assert found["table"].startswith("source,frame,time,face,track,x,y,")


@pytest.mark.slow
def test_the_types_fit_the_code(installed, node, tmp_path):
    npm = shutil.which("npm")
    done = subprocess.run(
        [str(npm), "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "typescript@5.9.3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    compiler = tmp_path / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        pytest.skip(f"typescript cannot be had from npm: {done.stderr.strip().splitlines()[-1:]}")
    (installed / "use.mts").write_text(
        "import { createRecognizer, toRows, type Frame } from 'mien';\n"
        "const reader = await createRecognizer({ model: 'm.onnx', detector: 'none', errorRate: 0.1 });\n"
        "const frame: Frame = await reader.predict(new Blob([]), { source: 'a' });\n"
        "const box: [number, number, number, number] = frame.faces[0].box;\n"
        "const rows: Record<string, string | number | null>[] = toRows(frame);\n"
        "// @ts-expect-error: there is no such option\n"
        "await createRecognizer({ model: 'm.onnx', detector: 'none', speed: 1 });\n"
        "export { box, rows };\n",
        encoding="utf-8",
    )
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    done = subprocess.run(
        [node.program, str(compiler), *options, "--moduleDetection", "force", "use.mts"],
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
