"""What docs/moving-over.md shows is what mien.compat does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "moving-over.md"
TEXT = PAGE.read_text(encoding="utf-8")
PAIRS = re.findall(r"```python\n(.*?)```\s+becomes\s+```python\n(.*?)```\s+```\n(.*?)```", TEXT, re.DOTALL)


def test_both_packages_are_shown_and_nothing_else():
    assert len(PAIRS) == 2
    assert TEXT.count("```python") == 4


@pytest.mark.parametrize(("before", "after", "printed"), PAIRS, ids=["fer", "deepface"])
def test_one_import_changes_and_the_rest_runs(before, after, printed, monkeypatch, tmp_path):
    ast.parse(before)
    assert before.splitlines()[1:] == after.splitlines()[1:]
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", after], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


@pytest.mark.parametrize("target", re.findall(r"\]\(((?!http)[^)#]+)[^)]*\)", TEXT))
def test_its_links_lead_somewhere(target):
    assert (PAGE.parent / target).exists()
