"""What the README shows is what mien does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_prints_what_stands_below_it(shared, tmp_path, monkeypatch):
    code, printed = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", TEXT, re.DOTALL).groups()
    shutil.copy(shared / "models" / "face_detection_yunet_2026may.onnx", tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


@pytest.mark.slow
def test_every_verb_and_option_it_names_exists():
    blocks = "".join(TEXT.split("```")[1::2])
    commands = {line.split("#")[0].strip() for line in re.findall(r"^mien .*$", blocks, re.MULTILINE)}
    assert len(commands) > 8
    for command in commands:
        words = command.split()[1:]
        verbs = words[: 3 if words[:2] == ["data", "import"] else 2 if words[0] in {"data", "models"} else 1]
        if words == ["models"]:
            verbs = words
        options = [word for word in words if word.startswith("-")]
        mien = Path(sys.executable).with_name("mien")
        helped = subprocess.run(
            [mien, *verbs, "--help"], capture_output=True, text=True, check=False, env={"COLUMNS": "200"}
        )
        assert helped.returncode == 0, (command, helped.stderr)
        for option in options:
            assert option in helped.stdout, command


@pytest.mark.parametrize("target", re.findall(r"\]\(((?!http)[^)#]+)\)", TEXT))
def test_its_links_lead_somewhere(target):
    assert (ROOT / target).exists()


def test_the_model_file_page_runs_as_it_stands():
    page = (ROOT / "docs" / "model-file.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    scores, agrees = done.stdout.splitlines()
    assert "'happy': " in scores
    assert agrees == "True"
