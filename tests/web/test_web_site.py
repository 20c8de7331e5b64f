"""What ``mien app`` writes, with a stand-in for the runtime's package."""

import base64
import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from mien import cli, models
from mien.download import Asset
from mien.errors import DownloadError, MienError
from mien.web import runtime, site


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with stand-ins for YuNet's file and the runtime's package, and no network."""
    folder = tmp_path / "cache"
    folder.mkdir()

    def put(name, data):
        (folder / name).write_bytes(data)
        return Asset(name, f"https://example.invalid/{name}", hashlib.sha256(data).hexdigest(), len(data))

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in runtime.FILES:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"code"))
    package = buffer.getvalue()
    monkeypatch.setattr(runtime, "PACKAGE", put("runtime.tgz", package))
    integrity = base64.b64encode(hashlib.sha512(package).digest()).decode()
    monkeypatch.setattr(runtime, "INTEGRITY", f"sha512-{integrity}")
    monkeypatch.setattr(site, "YUNET", put("yunet.onnx", b"network"))
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    return folder


def listed(folder):
    text = (folder / "sw.js").read_text(encoding="utf-8")
    return json.loads(re.search(r"const FILES = (\[.*?\]);\n", text, re.DOTALL)[1]), text


def test_the_service_worker_lists_every_file_with_its_digest(cache, tmp_path):
    out = tmp_path / "deep" / "app"
    site.build(out)
    files, text = listed(out)
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {name for name, _, _ in files} | {"sw.js"} == there
    for name, size, integrity in files:
        data = (out / name).read_bytes()
        assert len(data) == size
        assert integrity == f"sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode()}"
    assert re.search(r'const VERSION = "[0-9a-f]{16}";', text)


def test_every_address_in_the_page_is_a_file_and_none_is_elsewhere(cache, tmp_path):
    out = tmp_path / "app"
    site.build(out)
    page = (out / "index.html").read_text(encoding="utf-8")
    manifest = json.loads((out / "manifest.webmanifest").read_text(encoding="utf-8"))
    found = re.findall(r'(?:href|src|data-model|data-detector)="([^"#]+)"', page)
    found += [icon["src"] for icon in manifest["icons"]]
    assert len(found) > 8
    for path in found:
        assert (out / path).is_file(), path
    for path in [*out.glob("*.js"), *out.glob("mien/**/*.js")]:
        for target in re.findall(r'(?:import|from) "(\.[^"]+)"', path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), (path, target)
    for icon in manifest["icons"][1:]:
        width, height = map(int, icon["sizes"].split("x"))
        with Image.open(out / icon["src"]) as image:
            assert image.size == (width, height)


def test_the_policy_names_no_other_origin():
    page = (site.PACKAGE_FOLDER / "page" / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert rules["connect-src"] == "'self'"
    assert set(" ".join(rules.values()).split()) <= {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}


def test_the_same_input_gives_the_same_bytes_and_another_model_another_version(cache, tmp_path):
    one, two, other = (site.content(name) for name in ("fast", "fast", "default"))
    assert one == two
    assert one["sw.js"] != other["sw.js"]
    assert other["models/default.onnx"] == models.find("default").read_bytes()
    assert b'data-model="models/default.onnx"' in other["index.html"]


def test_an_earlier_app_is_replaced_and_anything_else_is_left_alone(cache, tmp_path):
    out = tmp_path / "app"
    site.build(out, "default")
    (out / "stray.txt").write_text("x", encoding="utf-8")
    site.build(out, "fast")
    assert not (out / "stray.txt").exists()
    assert {path.name for path in (out / "models").iterdir()} == {"fast.onnx", "yunet.onnx"}
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(MienError, match="holds something else"):
        site.build(other)
    assert [path.name for path in other.iterdir()] == ["letter.txt"]
    assert {path.name for path in tmp_path.iterdir()} == {"app", "other", "cache"}, "nothing half is left"


def test_the_command_says_what_it_wrote(cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mien", "app", "-o", str(tmp_path / "app")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    files, _ = listed(tmp_path / "app")
    assert f"{len(files) + 1} files" in capsys.readouterr().out


def test_without_a_network_one_line_says_what_to_put_where(cache, tmp_path, monkeypatch, capsys):
    (cache / "runtime.tgz").unlink()
    monkeypatch.setattr(sys, "argv", ["mien", "app", "-o", str(tmp_path / "app")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "https://example.invalid/runtime.tgz" in told
    assert str(cache) in told
    assert not (tmp_path / "app").exists()


def test_another_package_than_the_registry_states_is_refused(cache, monkeypatch):
    monkeypatch.setattr(runtime, "INTEGRITY", "sha512-" + "A" * 86 + "==")
    with pytest.raises(DownloadError, match="is not the package"):
        runtime.files()


def test_the_package_names_the_version_that_the_app_is_built_with():
    package = json.loads((site.PACKAGE_FOLDER / "package.json").read_text(encoding="utf-8"))
    assert package["dependencies"]["onnxruntime-web"] == runtime.VERSION
    assert runtime.VERSION in runtime.PACKAGE.url
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{package["version"]}"' in project


def test_the_page_of_documents_has_the_recorded_weights():
    root = Path(__file__).parents[2]
    recorded = json.loads((root / "benchmarks" / "app.json").read_text(encoding="utf-8"))
    fast, other = recorded["weight fast"], recorded["weight default"]
    rows = {
        "everything, `fast`": fast["all"],
        "everything, `default`": other["all"],
        "the runtime's WebAssembly": fast["vendor/ort-wasm-simd-threaded.wasm"],
        "`fast.onnx`": fast["models/fast.onnx"],
        "YuNet": fast["models/face_detection_yunet_2026may.onnx"],
        "before the page is seen": fast["first_paint"],
    }
    page = (root / "docs" / "app.md").read_text(encoding="utf-8")
    for name, sizes in rows.items():
        told = re.search(rf"^\| {re.escape(name)} \| (.*) \|$", page, re.MULTILINE)[1].split(" | ")
        digits = 3 if sizes["bytes"] < 1e5 else 2
        assert told == [f"{sizes[form] / 1e6:.{digits}f}" for form in ("bytes", "gzip", "brotli")], name


def test_an_app_that_a_killed_process_took_away_is_put_back(cache, tmp_path, monkeypatch):
    out = tmp_path / "app"
    site.build(out)
    left = tmp_path / ".app-0-left"
    left.mkdir()
    shutil.move(out, left / "old")
    monkeypatch.setattr(site, "content", lambda model: (_ for _ in ()).throw(MienError("no network")))
    with pytest.raises(MienError, match="no network"):
        site.build(out)
    assert (out / "index.html").exists()
