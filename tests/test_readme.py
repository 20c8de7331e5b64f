"""What the README and the pages of docs show is what mien does."""

import json
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
#: Generated from the help by docs/conf.py, which is not committed.
GENERATED = "reference/command-line.md"
PAGES = [README, *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not page.match(GENERATED))]
#: Pages whose code other tests run: they need files that are made there, or another package's code stands beside.
OTHERS = ("model-file", "moving-over")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    return [code for found, code in BLOCK.findall(page.read_text(encoding="utf-8")) if found == kind]


@pytest.fixture
def folder(shared, portrait, tmp_path, monkeypatch):
    """Where code of the pages runs: as in a clone, but nothing is written into this one."""
    (tmp_path / "docs").mkdir()
    shutil.copy(portrait, tmp_path / "docs")
    for name in ("face_detection_yunet_2026may.onnx", "face_landmarker.task"):
        shutil.copy(shared / "models" / name, tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p, "python") and p.stem not in OTHERS], ids=lambda page: page.stem
)
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
    pages = [str(page.relative_to(ROOT / "docs")) for page in PAGES if page != README]
    assert sorted(page for page in pages if page != "index.md") == sorted(name for name in linked if name[-3:] == ".md")


def test_the_notebook_runs(folder):
    """Cell after cell, as a kernel does; the last value of a cell is shown."""
    cells = json.loads((ROOT / "docs" / "start.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("happy 0.99")
    assert (folder / "astronaut-faces.jpg").exists()


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link_or_a_request_to_others(tmp_path):
    """Of a copy, since the page of the command line is generated beside the others."""
    pages = shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("predictions"))
    for name in re.findall(r"\]\((\.\./[^)#]*)", "".join(page.read_text(encoding="utf-8") for page in PAGES)):
        if (found := (ROOT / "docs" / name).resolve()).is_file() and found.is_relative_to(ROOT):
            copy = tmp_path / found.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, copy)
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(pages), str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:link|script|img|iframe)[^>]*(?:href|src)=\"(?:https?:)?//", text), page
    told = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert "Read the expressions of the faces in pictures, videos and cameras." in told


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
