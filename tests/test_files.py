import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from mien import files
from mien.errors import WriteError
from mien.files import AtomicFile, write


@pytest.fixture
def old(tmp_path) -> Path:
    file = tmp_path / "table.csv"
    file.write_bytes(b"old")
    return file


def test_a_file_is_written_with_the_folders_that_lead_to_it(tmp_path):
    write(tmp_path / "a" / "b" / "c.md", "ñ", parents=True)
    assert (tmp_path / "a" / "b" / "c.md").read_bytes() == "ñ".encode()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.md"]


def test_a_file_has_its_name_only_once_it_is_whole(old):
    with AtomicFile(old) as temporary:
        temporary.write_bytes(b"half")
        assert old.read_bytes() == b"old"
        assert temporary.parent == old.parent
        assert temporary.name.startswith("."), "whoever lists the folder passes over it"
        assert temporary.suffix == ".csv", "libraries choose the form by it"
    assert old.read_bytes() == b"half"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_older_file_and_nothing_else(old, error):
    def fail() -> None:
        with AtomicFile(old) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_a_full_disk_is_told_with_file_and_cause_and_leaves_the_older_file(old):
    with pytest.raises(WriteError, match=r"^cannot write .*table\.csv: No space left on device$"), AtomicFile(old):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize(("where", "step"), [(os, "fsync"), (Path, "replace")])
def test_what_fails_at_the_very_end_leaves_the_older_file(old, monkeypatch, where, step):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(where, step, fail)
    with pytest.raises(WriteError, match="Input/output error"):
        write(old, b"new")
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_content_reaches_the_disk_before_the_name(old, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    write(old, b"new")
    assert done[:2] == ["fsync", "replace"]


def test_a_name_in_the_way_of_a_fixed_temporary_one_does_not_matter(old):
    (old.parent / ".table.csv.partial").mkdir()
    write(old, b"new")
    assert old.read_bytes() == b"new"


def test_two_writers_of_one_file_do_not_meet(old):
    both = threading.Barrier(2)

    def work(letter: bytes) -> None:
        with AtomicFile(old) as temporary, temporary.open("wb") as file:
            file.write(letter * 1000)
            both.wait()
            file.write(letter * 1000)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert old.read_bytes() in (b"a" * 2000, b"b" * 2000)
    assert list(old.parent.iterdir()) == [old]


def test_a_second_writer_is_refused_where_that_is_asked_for(old):
    with AtomicFile(old, alone=True):
        with pytest.raises(WriteError, match=rf"table\.csv: process {os.getpid()} on .* is writing it"):
            AtomicFile(old, alone=True)
        write(old.with_name("other.csv"), b"free")
        assert old.read_bytes() == b"old"
    with AtomicFile(old, alone=True) as temporary:
        temporary.write_bytes(b"new")
    assert old.read_bytes() == b"new"
    assert sorted(path.name for path in old.parent.iterdir()) == ["other.csv", "table.csv"]


def killed(folder, code):
    """Run code in a process of its own that kills itself at its end; returns the names it left."""
    source = f"import os\nfrom mien.files import AtomicFile\n{code}\nos.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", source], cwd=folder, check=False)
    assert done.returncode == -9
    files._SWEPT.clear()
    return sorted(path.name for path in folder.iterdir())


def test_a_killed_process_stops_nobody_and_what_it_left_is_removed(old):
    code = "files = [AtomicFile('table.csv', alone=True), AtomicFile('long.name.mp4'), AtomicFile('n')]"
    left = killed(old.parent, code + "\nfiles[0].temporary.write_bytes(b'half')")
    assert len([name for name in left if ".partial" in name]) == 3, left
    assert ".table.csv.lock" in left
    with AtomicFile(old, alone=True) as temporary:
        names = {path.name for path in old.parent.iterdir()}
        assert names == {".table.csv.lock", temporary.name, "table.csv"}
    assert list(old.parent.iterdir()) == [old]


def test_what_others_are_writing_or_what_is_not_ours_is_not_removed(old):
    files._SWEPT.clear()
    foreign = [".table-0123456789abcdef.partial.csv", "table.partial.csv", ".table.partial"]
    for name in foreign:
        old.with_name(name).touch()
    with AtomicFile(old) as temporary:
        files._SWEPT.clear()
        write(old.with_name("other"), b"")
        assert temporary.exists()
    assert {path.name for path in old.parent.iterdir()} == {*foreign, "table.csv", "other"}


def test_a_kept_file_goes_on_where_it_was(old):
    def break_off():
        with AtomicFile(old, kept=True) as partial:
            partial.write_bytes(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_off()
    partial = old.with_name("table.csv.partial")
    assert (old.read_bytes(), partial.read_bytes()) == (b"old", b"half")
    with AtomicFile(old, kept=True) as partial, partial.open("ab") as file:
        file.write(b" and half")
    assert old.read_bytes() == b"half and half"
    assert list(old.parent.iterdir()) == [old]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WriteError, match=r"cannot write .*c\.md: the folder .*absent does not exist"):
        write(tmp_path / "absent" / "c.md", b"new")
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot write .*c\.md: "):
        write(tmp_path / "file" / "c.md", b"new", parents=True)


def test_a_folder_of_that_name_is_refused(tmp_path):
    with pytest.raises(WriteError, match="it is a folder"):
        write(tmp_path, b"new")


def test_a_symbolic_link_is_refused_and_what_it_points_to_stays(old):
    link = old.with_name("link.csv")
    link.symlink_to(old)
    with pytest.raises(WriteError, match=r"link\.csv: it is a symbolic link to .*table\.csv"):
        write(link, b"new")
    assert old.read_bytes() == b"old"
    link.unlink()
    link.symlink_to(old.with_name("absent"))
    with pytest.raises(WriteError, match="symbolic link"):
        write(link, b"new")
    assert not old.with_name("absent").exists()


def test_a_hard_link_elsewhere_keeps_what_it_had(old):
    other = old.with_name("other")
    other.hardlink_to(old)
    write(old, b"new")
    assert other.read_bytes() == b"old"


def test_permissions_are_those_of_a_new_file_or_of_the_one_replaced(old):
    mask = os.umask(0o022)
    try:
        write(old.with_name("new"), b"new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(old.with_name("new").stat().st_mode) == 0o644
    old.chmod(0o400)
    write(old, b"new")
    assert stat.S_IMODE(old.stat().st_mode) == 0o400


def test_the_longest_name_is_no_matter(tmp_path):
    path = tmp_path / ("ü" * 127)
    write(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null here")
def test_devices_are_written_to_and_not_replaced():
    write(Path("/dev/null"), b"gone")
    assert not Path("/dev/null").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_that_takes_nothing_is_told():
    with pytest.raises(WriteError, match="cannot write /dev/full: No space left"):
        write("/dev/full", b"gone")


def test_standard_output_sent_to_a_file_is_added_to(old, monkeypatch):
    monkeypatch.setattr(files, "_is_stream", lambda path: True)
    write(old, b" and new")
    assert old.read_bytes() == b"old and new"


def test_a_pipe_gets_the_bytes(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"through")
    reader.join()
    assert got == [b"through"]
    assert pipe.is_fifo()


def test_a_lock_on_a_full_disk_holds_and_leaves_nothing(old, monkeypatch):
    real = os.write
    monkeypatch.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with files.alone(old), pytest.raises(WriteError, match="is writing it"), files.alone(old):
        pass
    monkeypatch.setattr("os.write", real)
    assert list(old.parent.iterdir()) == [old]


def test_a_lock_whose_taker_is_interrupted_leaves_nothing(old, monkeypatch):
    monkeypatch.setattr("os.ftruncate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), files.alone(old):
        pass
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("beside", [None, "app"])
def test_a_scratch_folder_that_a_killed_process_left_is_removed_and_no_other(tmp_path, monkeypatch, beside):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    where = f"Path({beside!r})" if beside else ""
    code = f"held = files.scratch({where})\nfolder = held.__enter__()\n(folder / 'large').write_bytes(b'x')"
    assert any("-" in name for name in killed(tmp_path, f"from pathlib import Path\nfrom mien import files\n{code}"))
    (tmp_path / "mien-other").mkdir()
    with files.scratch(tmp_path / beside if beside else None) as folder:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, "mien-other"])
        with files.scratch(tmp_path / beside if beside else None) as second:
            assert folder.exists()
            assert second != folder
    assert [path.name for path in tmp_path.iterdir()] == ["mien-other"]
