"""What commands say beside their result: notes, bars and closing lines, and the options that govern them."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mien import cli, recognizer
from mien.cli import app, notices
from support.bright_patches import Patches
from support.numbered_frames import write_video
from support.stub_model import StubModel

runner = CliRunner()


def leaves(command, path=()):
    """The commands that do something, each with its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    else:
        for name, one in inner.items():
            yield from leaves(one, (*path, name))


def test_every_command_can_be_quiet_and_verbose_and_asked_for_help():
    found = dict(leaves(typer.main.get_command(app)))
    assert {("predict",), ("data", "import", "folder"), ("models", "fetch")} <= set(found)
    for words, command in found.items():
        names = [name for parameter in command.params for name in parameter.opts]
        assert len(names) == len(set(names)), words
        assert {"-q", "--quiet", "-v", "--verbose"} <= set(names), words
    assert "--quiet" in runner.invoke(app, ["data", "import", "folder", "-h"], env={"COLUMNS": "200"}).stdout


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(recognizer, "load", lambda model, **_: StubModel())
    monkeypatch.setattr(recognizer, "build", lambda name, threads=None: Patches())


@pytest.fixture
def pictures(portrait, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(portrait.read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "page.txt").write_text("left out")
    return folder


def ended(monkeypatch, capsys, *words):
    """Exit code, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["mien", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, *capsys.readouterr()


@pytest.mark.usefixtures("offline")
def test_a_closing_line_counts_what_was_read_and_names_what_was_written(pictures, tmp_path, monkeypatch, capsys):
    table, sums = tmp_path / "out.csv", tmp_path / "sums.json"
    code, out, err = ended(monkeypatch, capsys, "predict", pictures, "-o", table, "--summary", sums)
    lines = err.splitlines()
    assert (code, out) == (1, "")
    assert re.fullmatch(
        rf"mien: done: 3 pictures, \d+ faces?, 1 failed in \d+\.\d s; written: {table}, {sums}", lines[-1]
    )
    assert any("1 file left out" in line for line in lines)
    assert len(table.read_text().splitlines()) > 2


@pytest.mark.usefixtures("offline")
def test_frames_of_a_video_are_called_so(tmp_path, monkeypatch, capsys):
    clip = write_video(tmp_path / "clip.avi", 5, code="MJPG", size=(160, 160), rate=20)
    _, _, err = ended(monkeypatch, capsys, "predict", clip)
    assert re.fullmatch(r"mien: done: 5 frames, \d+ faces in \d+\.\d s\n", err)


@pytest.mark.usefixtures("offline")
def test_a_single_picture_needs_no_closing_line(portrait, monkeypatch, capsys):
    assert ended(monkeypatch, capsys, "predict", portrait)[2] == ""


@pytest.mark.usefixtures("offline")
def test_quiet_leaves_errors_and_the_result(pictures, tmp_path, monkeypatch, capsys):
    loud = ended(monkeypatch, capsys, "predict", pictures, "--csv")
    code, out, err = ended(monkeypatch, capsys, "predict", pictures, "--csv", "-q")
    assert (code, out) == loud[:2]
    (line,) = err.splitlines()
    assert "broken.png" in line
    assert "note:" in loud[2]
    assert "done:" in loud[2]
    code, _, err = ended(monkeypatch, capsys, "predict", pictures, "--csv")  # the next one is as loud as before
    assert "done:" in err


def test_verbose_shows_where_an_error_came_from(monkeypatch, capsys):
    ask = ("evaluate", "absent", "--data", "absent.parquet")
    code, _, plain = ended(monkeypatch, capsys, *ask)
    verbose = ended(monkeypatch, capsys, *ask, "--verbose")[2]
    assert code == 2
    assert len(plain.splitlines()) == 1
    assert verbose.startswith("Traceback (most recent call last)")
    assert verbose.endswith(plain)
    assert "Traceback" not in ended(monkeypatch, capsys, *ask)[2]


@pytest.mark.usefixtures("offline")
def test_what_does_not_print_in_names_is_escaped_in_what_is_said_and_in_the_table(
    portrait, tmp_path, monkeypatch, capsys
):
    (tmp_path / "a\nb\x1b[31m.png").write_bytes(b"no picture")
    (tmp_path / "c\nd\x1b[31m.jpg").write_bytes(portrait.read_bytes())
    monkeypatch.setenv("COLUMNS", "400")
    code, out, err = ended(monkeypatch, capsys, "predict", tmp_path)
    assert code == 1
    assert "\x1b" not in out + err
    assert "c\\nd\\x1b[31m.jpg" in out
    assert "a\\nb\\x1b[31m.png: not a picture" in err
    assert all(line.startswith("mien: ") for line in err.splitlines())


def test_a_group_that_is_a_command_itself_can_be_quiet_too(monkeypatch, capsys):
    for words in (("models", "-q"), ("models", "-q", "-v"), ("models",)):
        code, out, err = ended(monkeypatch, capsys, *words)
        assert (code, err) == (0, "")
        assert "default" in out
    write = ("models", "show", "absent")
    assert "Traceback" in ended(monkeypatch, capsys, "models", "-v", *write[1:])[2]
    assert "Traceback" not in ended(monkeypatch, capsys, *write)[2]


def test_an_error_of_the_whole_command_is_escaped(monkeypatch, capsys):
    _, _, err = ended(monkeypatch, capsys, "evaluate", "fast", "--data", "absent\x1b[31m.parquet")
    assert "\\x1b[31m" in err
    assert "\x1b" not in err


@pytest.mark.usefixtures("offline")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is full")
def test_notes_that_cannot_be_written_break_nothing_off(pictures, tmp_path, monkeypatch, capsys):
    table = tmp_path / "out.csv"
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        code, out, _ = ended(monkeypatch, capsys, "predict", pictures, "-o", table)
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert (code, out) == (1, "")
    assert len(table.read_text().splitlines()) > 2


def test_brackets_of_names_are_shown_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr(notices, "_asked", notices._Asked())
    notices.console().print("run[bold]/x[/y]", soft_wrap=True)
    assert capsys.readouterr().err == "run[bold]/x[/y]\n"
    monkeypatch.setattr(notices, "console", lambda: _terminal())
    with notices.doing("default on faces[/y]") as tell:
        tell("fast on faces[/y]")
    with notices.progress("faces[/y]") as tell_more:
        tell_more(1, 2)
    assert "faces[/y]" in capsys.readouterr().err


def on_a_terminal(*words, stdout=None):
    """What mien shows where standard error is a terminal, and standard output too unless it goes elsewhere."""
    master, terminal = pty.openpty()
    command = [str(Path(sys.executable).with_name("mien")), *map(str, words)]
    env = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or terminal, stderr=terminal, env=env)
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # Linux's way to say that nobody writes any more
        pass
    os.close(master)
    process.wait()
    return shown.decode()


@pytest.mark.slow
def test_a_bar_shows_on_a_terminal_and_never_in_what_is_redirected(pictures, tmp_path):
    table = tmp_path / "out.csv"
    ask = ("predict", pictures, "--csv", "--detector", "haar")
    with table.open("wb") as file:
        shown = on_a_terminal(*ask, stdout=file)
    assert "━" in shown
    rows = table.read_text().splitlines()
    assert rows[0].startswith("source,")
    assert len(rows) == 4
    assert "a.jpg" not in shown
    with table.open("wb") as file:
        assert "━" not in on_a_terminal(*ask, "-q", stdout=file)
    assert table.read_text().splitlines() == rows
    both = on_a_terminal("predict", pictures, "--detector", "haar")
    assert "a.jpg" in both
    assert "━" in both


def test_what_is_printed_beside_a_spinner_goes_where_stdout_goes(monkeypatch, capsys):
    monkeypatch.setattr(notices, "on_terminal", lambda: True)
    monkeypatch.setattr(notices, "console", lambda: _terminal())
    with notices.doing("working"):
        print("the result")
    assert capsys.readouterr().out == "the result\n"


def _terminal():
    from rich.console import Console

    return Console(stderr=True, force_terminal=True)


@pytest.mark.slow
def test_the_shell_completes_commands_and_options():
    def completed(*words):
        asked = {"_MIEN_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        command = [str(Path(sys.executable).with_name("mien"))]
        done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("mien", "pre") == ["predict"]
    assert completed("mien", "predict", "--sear") == ["--search"]
    assert completed("mien", "data", "imp") == ["import"]
