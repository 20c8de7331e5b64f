"""What the README and the pages of docs show is what mien does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mien.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *(ROOT / "docs" / f"{name}.md" for name in ("index", "reading", "training", "figures", "output"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    return [code for found, code in BLOCK.findall(page.read_text(encoding="utf-8")) if found == kind]


@pytest.fixture
def folder(shared, portrait, tmp_path, monkeypatch):
    """Where code of the pages runs: as in a clone, but nothing is written into this one."""
    (tmp_path / "docs").mkdir()
    shutil.copy(portrait, tmp_path / "docs")
    shutil.copy(shared / "models" / "face_detection_yunet_2026may.onnx", tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_examples_run_and_print_what_stands_below_them(page, folder):
    text = page.read_text(encoding="utf-8")
    for code in blocks(page, "python"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
        assert done.returncode == 0, done.stderr
        below = re.match(r"```\s+```\n(.*?)```", text[text.index(code) + len(code) :], re.DOTALL)
        if below:
            assert done.stdout == below[1]
    if page == README:
        assert (folder / "astronaut-faces.jpg").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_verb_and_option_it_names_exists(page):
    for line in "".join(blocks(page, "")).splitlines():
        command = line.partition("#")[0].partition("&&")[0].strip()
        if not command.startswith("mien "):
            continue
        words, verb = command.split()[1:], typer.main.get_command(app)
        while words and words[0] in getattr(verb, "commands", {}):
            verb = verb.commands[words.pop(0)]
        assert verb.name != "mien", command
        known = {name for parameter in verb.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if re.match("--?[a-z]", word)} <= known, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(((?!http)[^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], anchor


def test_every_page_is_in_the_index():
    linked = re.findall(r"\]\(([^)#]*)\)", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(page for page in pages if page != "index.md") == sorted(name for name in linked if name[-3:] == ".md")


def test_the_readme_is_short():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    assert max(len(line) for _, code in BLOCK.findall(text) for line in code.splitlines()) <= 88


def test_the_model_file_page_runs_as_it_stands():
    page = (ROOT / "docs" / "model-file.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    scores, agrees = done.stdout.splitlines()
    assert "'happy': " in scores
    assert agrees == "True"
