"""Ctrl-C while a verb works: exit code 130, and nothing of Python shows."""

import os
import signal
import time

import pytest

from mien import __main__, batch, cli, files, models
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


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_stopped_batch_says_what_is_kept(error, code, tmp_path, monkeypatch, capsys):
    def stopped(*_, **__):
        yield 1, 2
        raise error

    monkeypatch.setattr(batch, "run", stopped)
    monkeypatch.setattr(batch, "list_sources", list)
    monkeypatch.setattr("sys.argv", ["mien", "batch", "photos", "-o", str(tmp_path / "job")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    said = f"mien: stopped: finished shards are kept in {tmp_path / 'job'}, the same command continues\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "words", [["evaluate"], ["export"], ["batch", "-o", "job"], ["data", "import", "folder", "-o", "x"]]
)
def test_a_name_that_is_too_long_for_a_file_is_one_line(words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    more = ["--data", "x" * 400] if words[0] in ("evaluate", "export") else []
    monkeypatch.setattr("sys.argv", ["mien", *words, "x" * 400, *more])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith("mien: ")
    assert "x" * 100 not in line


def test_sigterm_closes_what_is_open_and_is_told_by_the_exit_code(tmp_path, monkeypatch):
    def ended(*_, **__):
        with files.scratch(tmp_path / "x"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    monkeypatch.setattr(table, "read", ended)
    monkeypatch.setattr("sys.argv", ["mien", "data", "describe", "faces.parquet"])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 143
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (MemoryError(), 2, "not enough memory"),
        (ImportError("cv2.so: failed to map segment"), 2, "failed to map segment"),
    ],
)
def test_what_happens_while_libraries_are_loaded_is_no_traceback(error, code, said, monkeypatch, capsys):
    def fail():
        raise error

    monkeypatch.setattr(cli, "main", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        __main__.run()
    assert ended.value.code == code
    assert said in capsys.readouterr().err
