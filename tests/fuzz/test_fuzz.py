"""Five hundred of the cases that ``make fuzz`` runs by the ten thousand."""

from pathlib import Path

import pytest
from targets import TARGETS

import fuzz

CASES = 500


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_only_errors_of_mien_come_out(name, tmp_path):
    assert fuzz.run(name, round(CASES * TARGETS[name].share), 1, tmp_path / "case.bin") is None


def test_a_crash_is_seen(tmp_path, monkeypatch):
    (tmp_path / "targets.py").write_text(
        "import os\nfrom types import SimpleNamespace\n"
        "def enter(data):\n    if data != b'whole file':\n        os.abort()\n"
        "TARGETS = {'x': SimpleNamespace(seeds=lambda: [b'whole file'], enter=enter, share=1)}\n"
    )
    (tmp_path / "fuzz.py").write_text(Path(fuzz.__file__).read_text())
    monkeypatch.setattr(fuzz, "__file__", str(tmp_path / "fuzz.py"))
    monkeypatch.setattr(fuzz, "HERE", tmp_path)
    wrong = fuzz.run("x", 5, 0, tmp_path / "case.bin")
    assert "ended with code -6" in wrong
    assert (tmp_path / "case.bin").exists()
