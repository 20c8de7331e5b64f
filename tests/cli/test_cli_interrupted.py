"""Ctrl-C while a verb works: exit code 130, and nothing of Python shows."""

import pytest

from mien import batch, cli, models
from mien.data import table


@pytest.mark.parametrize(
    ("arguments", "broken"),
    [
        (("evaluate", "default", "--data", "faces.parquet"), (table, "read")),
        (("sheet", "default", "--data", "faces.parquet"), (table, "read")),
        (("explain", "default", "--data", "faces.parquet"), (table, "read")),
        (("matrix", "default", "--data", "faces.parquet"), (table, "read")),
        (("compare", "a", "b", "--data", "faces.parquet"), (table, "read")),
        (("export", "runs/a", "--data", "faces.parquet"), (table, "read")),
        (("report", "runs/a", "--data", "faces.parquet"), (table, "read")),
        (("data", "describe", "faces.parquet"), (table, "read")),
        (("batch", "photos", "-o", "job"), (batch, "list_sources")),
        (("models", "card", "default", "--data", "faces.parquet", "-o", "x.md"), (models, "load")),
    ],
)
def test_control_c_is_told_by_the_exit_code(arguments, broken, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(*broken, interrupted)
    monkeypatch.setattr("sys.argv", ["mien", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert "Traceback" not in capsys.readouterr().err
