import errno
from pathlib import Path

import pytest

from mien.cli.files import write
from mien.errors import DataError


def test_a_file_is_written_with_the_folders_that_lead_to_it(tmp_path):
    write(tmp_path / "a" / "b" / "c.md", b"new")
    assert (tmp_path / "a" / "b" / "c.md").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.md"]


def test_on_a_full_disk_the_file_stays_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "c.md"
    file.write_bytes(b"old")

    def half(self: Path, content: bytes) -> int:
        with self.open("wb") as out:
            out.write(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(DataError, match=r"cannot write .*c\.md: No space left"):
        write(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    write(Path("/dev/null"), b"gone")
    assert not Path("/dev/null").is_file()
    with pytest.raises(DataError, match="Is a directory"):
        write(tmp_path, b"new")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        write(tmp_path / "file" / "c.md", b"new")
