"""What holds for every verb: panels, versions, options under their old names."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import mien
from mien import download, models
from mien.cli import app, verbs
from mien.errors import DetectorError, DownloadError
from mien.recipes import loader

runner = CliRunner()


def invoke(*words, code=0, **env):
    done = runner.invoke(app, list(words), env={"COLUMNS": "200", **env})
    assert done.exit_code == code, done.output
    return done


def test_the_help_shows_every_verb_once_under_its_panel():
    shown = invoke("-h").stdout
    assert shown == invoke("--help").stdout
    panels = re.split(r"╭─ (\w+) ─+╮", shown)[1:]
    found = {
        title: re.findall(r"^│ (\w+)  ", body, re.MULTILINE)
        for title, body in zip(panels[::2], panels[1::2], strict=True)
    }
    assert list(found) == ["Options", *verbs.PANELS]
    held = list(typer.main.get_command(app).commands)
    assert sorted(name for panel in verbs.PANELS for name in found[panel]) == sorted(held)
    for panel, names in verbs.PANELS.items():
        assert found[panel] == [name for name in names if name in held]


def test_the_list_of_verbs_says_what_each_verb_says():
    commands = typer.main.get_command(app).commands
    for panel, lines in verbs.PANELS.items():
        for name, line in lines.items():
            assert commands[name].help.split("\n\n")[0] == line
            assert commands[name].rich_help_panel == panel


def test_the_help_imports_no_verb_and_nothing_heavy():
    program = "import sys; from mien.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"numpy", "onnxruntime", "cv2", "PIL", "mien.cli.predict", "mien.models"}


def test_every_verb_has_help_under_h():
    for name in typer.main.get_command(app).commands:
        assert f"{name} [OPTIONS]" in invoke(name, "-h").stdout


def test_the_version_is_the_packages():
    assert invoke("--version").stdout == f"mien {mien.__version__}\n"


def parsed(verb, *words):
    command = typer.main.get_command(app).commands[verb]
    return command.make_context(verb, list(words)).params


@pytest.mark.parametrize(
    ("verb", "old", "new", "note"),
    [
        (
            "train",
            ["fast", "--data", "t", "--out", "x"],
            ["fast", "--data", "t", "--output", "x"],
            "--out is now --output",
        ),
        ("export", ["run", "--data", "t", "--out=x"], ["run", "--data", "t", "-o", "x"], "--out is now --output"),
        ("predict", ["a.mp4", "--every", "3"], ["a.mp4", "--stride", "3"], "--every is now --stride"),
        ("batch", ["a", "-o", "b", "--every=3"], ["a", "-o", "b", "--stride=3"], "--every is now --stride"),
        (
            "sheet",
            ["m", "--data", "t", "--output", "probabilities_ferplus"],
            ["m", "--data", "t", "--head", "probabilities_ferplus"],
            "--output is now --head",
        ),
    ],
)
def test_old_names_mean_the_new_ones_and_say_so(verb, old, new, note, capsys):
    expected = parsed(verb, *new)
    assert capsys.readouterr().err == ""
    assert parsed(verb, *old) == expected
    assert capsys.readouterr().err == f"mien: note: {note}; the old name goes with the next release\n"


def test_a_file_and_an_argument_are_no_old_names(capsys):
    assert str(parsed("sheet", "m", "--data", "t", "--output", "probabilities.png")["out"]) == "probabilities.png"
    assert list(parsed("predict", "--", "--every")["sources"]) == ["--every"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", list(models.installed()))
def test_models_show_is_short_and_full_and_json_hold_the_rest(name):
    card = models.read_card(name)
    short, full = invoke("models", "show", name).stdout, invoke("models", "show", name, "--full").stdout
    assert len(short.splitlines()) <= 25 < len(full.splitlines())
    for output in card.outputs.values():
        assert f"{output.metrics['test']['top1']} % right" in short
    assert card.intended_use in short
    assert "golden" in full
    assert invoke("models", "show", name, "--json").stdout == card.to_json() + "\n"


def test_files_are_fetched_ahead_and_listed_as_sha256sum_does(monkeypatch, tmp_path):
    from mien.detection import mediapipe, yunet

    contents = {"yunet": b"one", "mediapipe": b"two"}
    for module, name, asset in ((yunet, "YUNET", "yunet"), (mediapipe, "LANDMARKER", "mediapipe")):
        digest = hashlib.sha256(contents[asset]).hexdigest()
        monkeypatch.setattr(module, name, download.Asset(asset, f"https://localhost/{asset}", digest, 3))
    monkeypatch.setattr(download, "_download", lambda asset, timeout: contents[asset.name])
    told = invoke("models", "fetch", MIEN_CACHE=str(tmp_path), MIEN_OFFLINE="").stdout
    lines = [line.split("  ") for line in told.splitlines()]
    assert [path for _, path in lines] == [str(tmp_path / "yunet"), str(tmp_path / "mediapipe")]
    assert all(hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest for digest, path in lines)
    again = runner.invoke(app, ["models", "fetch", "yunet"], env={"MIEN_CACHE": str(tmp_path), "MIEN_OFFLINE": "1"})
    assert again.stdout.splitlines() == told.splitlines()[:1]
    missing = runner.invoke(app, ["models", "fetch"], env={"MIEN_CACHE": str(tmp_path / "b"), "MIEN_OFFLINE": "1"})
    assert isinstance(missing.exception, DownloadError)
    assert isinstance(runner.invoke(app, ["models", "fetch", "dlib"]).exception, DetectorError)


def test_recipes_take_a_line_each():
    lines = invoke("recipes", "list").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == list(loader.names())
    assert all(len(line) <= 120 for line in lines)
