"""``mien export`` and what it says."""

import pytest
from typer.testing import CliRunner

from mien import models
from mien.cli import app
from mien.errors import ExportError


@pytest.mark.slow
def test_views_and_precision_reach_the_file_and_the_gate_is_told(finished, patterns_path, tmp_path, monkeypatch):
    from mien.export import gates

    monkeypatch.setattr(gates, "AGREEMENT", 0.9)
    monkeypatch.setattr(gates, "ACCURACY_LOSS", 5)
    out = tmp_path / "small.onnx"
    ask = ["export", str(finished.path), "--data", str(patterns_path), "-o", str(out), "--views", "flip"]
    done = CliRunner().invoke(app, [*ask, "--precision", "fp16", "--name", "mine"], catch_exceptions=False)
    assert done.stdout.strip() == str(out)
    assert "agreement with the 32-bit file on 70 faces (validation and test)" in done.stderr
    card = models.read_card(out)
    made = card.training["export"]
    assert (card.name, made["views"], made["precision"]) == ("mine", "flip", "fp16")


def test_a_window_size_without_windows_is_an_error(finished, patterns_path):
    ask = ["export", str(finished.path), "--data", str(patterns_path), "--views", "flip", "--crop", "40"]
    with pytest.raises(ExportError, match="--views ten-crop"):
        CliRunner().invoke(app, ask, catch_exceptions=False)
