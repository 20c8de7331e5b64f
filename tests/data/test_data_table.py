"""A table fetches its pictures from its file: in any order, in constant memory, decoded to memory or to a file."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import pictures as storage
from mien.data import writer as writing
from mien.data.table import Table, read
from mien.data.writer import TableInfo, TableWriter, pixel_digest
from mien.errors import DataError, WriteError


def picture(row: int) -> np.ndarray:
    return np.random.default_rng(row).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def write(path: Path, count: int = 23) -> Path:
    with TableWriter(path, TableInfo("made", "made", ("a", "b"))) as writer:
        for row in range(count):
            pixels = picture(row)
            writer.add(
                image=cv2.imencode(".png", pixels[..., ::-1])[1].tobytes(),
                path=f"{row}.png",
                label=row % 2,
                split=("train", "validation", "test")[row % 3],
                row=row,
                group=row,
                digest=pixel_digest(pixels),
            )
    return path


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """23 pictures in six row groups, of which only one is held."""
    monkeypatch.setattr(writing, "_GROUP_ROWS", 4)
    monkeypatch.setattr(storage, "_HELD", 0)
    monkeypatch.setattr(storage, "_OUT_OF_ORDER", 5)
    return read(write(tmp_path / "t.parquet"))


@pytest.mark.parametrize("order", [np.arange(23), np.arange(23)[::-1], np.array([3, 20, 3, 3, 0, 11, 20, 21, 22, 1])])
def test_pictures_come_in_the_order_of_the_rows(table: Table, order: np.ndarray) -> None:
    taken = table.take(order)
    assert [path for _, _, path in taken.encoded()] == [f"{row}.png" for row in order]
    assert taken.rows.tolist() == order.tolist()
    assert (taken.pictures() == np.stack([picture(row) for row in order])).all()
    assert [row for row, _, _ in taken.take(np.arange(len(order)) % 2 == 1).encoded()] == order[1::2].tolist()


def test_each_row_group_is_read_once_in_a_pass(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    read_groups: list[int] = []
    groups = table._pictures._groups
    load = groups._load
    monkeypatch.setattr(groups, "_load", lambda group: read_groups.append(group) or load(group))
    table.take(np.random.default_rng(0).permutation(23)).pictures()
    assert read_groups == [0, 1, 2, 3, 4, 5]
    read_groups.clear()
    list(table.take(np.array([1, 2, 21])).encoded())
    assert read_groups == [0, 5]


def test_small_tables_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read(write(tmp_path / "t.parquet"))
    loads: list[int] = []
    groups = table._pictures._groups
    load = groups._load
    monkeypatch.setattr(groups, "_load", lambda group: loads.append(group) or load(group))
    for _ in range(3):
        table.split("test").pictures()
    assert loads == [0]


def test_a_row_group_ends_where_its_pictures_get_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_GROUP_BYTES", 500)
    table = read(write(tmp_path / "t.parquet"))
    assert len(table._pictures._groups.starts) > 5
    assert (table.pictures()[22] == picture(22)).all()


def test_the_whole_table_can_be_had_as_arrow(table: Table) -> None:
    arrow = table.arrow
    assert arrow.column_names == ["image", "label", "split", "row", "votes", "group", "digest", "soft", "reason"]
    again = Table(arrow, table.info)
    assert again.fingerprint == table.fingerprint
    assert (again.take(np.array([7, 2])).pictures() == table.take(np.array([7, 2])).pictures()).all()
    assert arrow["image"][3].as_py()["path"] == "3.png"


def test_a_table_goes_to_other_processes_without_its_pictures(table: Table) -> None:
    table.pictures()
    sent = pickle.dumps(table)
    assert len(sent) < 12_000
    assert (pickle.loads(sent).pictures() == table.pictures()).all()
    assert (pickle.loads(pickle.dumps(Table(table.arrow, table.info))).pictures() == table.pictures()).all()


def test_a_file_that_was_changed_is_not_mixed_with_the_old_one(table: Table, tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", 30)
    with pytest.raises(DataError, match=r"t\.parquet was changed while it was in use"):
        table.pictures()
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(DataError, match="cannot be read any more"):
        table.pictures()


def test_other_splits_of_the_same_pictures(table: Table) -> None:
    changed = table.with_splits(np.array(["train"] * 23), replace(table.info, notes=("changed",)))
    assert set(changed.splits.tolist()) == {"train"}
    assert changed.info.notes == ("changed",)
    assert (changed.pictures() == table.pictures()).all()
    assert changed.fingerprint != table.fingerprint
    assert table.splits[1] == "validation"


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("size", [None, 4])
def test_mapped_pictures_are_the_same_bit_by_bit(table: Table, tmp_path: Path, size: int | None, grey: bool) -> None:
    shuffled = table.take(np.random.default_rng(0).permutation(23))
    mapped = shuffled.pictures(size, grey=grey, mapped=tmp_path / "new" / "folder")
    assert isinstance(mapped, np.memmap)
    assert (mapped == shuffled.pictures(size, grey=grey)).all()
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 0


def test_a_mapped_file_is_taken_again(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table.pictures(4, mapped=tmp_path / "m")
    monkeypatch.setattr(storage, "decode", None)
    again = read(tmp_path / "t.parquet").pictures(4, mapped=tmp_path / "m")
    assert (again == first).all()
    relabelled = table.with_splits(np.array(["train"] * 23), table.info)
    assert (relabelled.pictures(4, mapped=tmp_path / "m") == first).all()
    assert len(list((tmp_path / "m").iterdir())) == 1


def test_other_pictures_sizes_and_colours_have_files_of_their_own(table: Table, tmp_path: Path) -> None:
    table.pictures(4, mapped=tmp_path / "m")
    table.pictures(5, mapped=tmp_path / "m")
    table.pictures(4, grey=True, mapped=tmp_path / "m")
    table.take(np.arange(22)).pictures(4, mapped=tmp_path / "m")
    backwards = table.take(np.arange(23)[::-1])
    assert (backwards.pictures(4, mapped=tmp_path / "m") == backwards.pictures(4)).all()
    assert len(list((tmp_path / "m").iterdir())) == 5


def test_a_mapped_file_that_was_cut_off_is_made_again(table: Table, tmp_path: Path) -> None:
    whole = np.array(table.pictures(4, mapped=tmp_path / "m"))
    (file,) = (tmp_path / "m").iterdir()
    for content in (file.read_bytes()[:-1], file.read_bytes()[:40], b""):
        file.write_bytes(content)
        assert (table.pictures(4, mapped=tmp_path / "m") == whole).all()


def test_an_error_leaves_no_mapped_file(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = storage.decode
    calls: list[int] = []

    def damaged(data: bytes) -> np.ndarray:
        calls.append(1)
        return decode(data if len(calls) < 10 else data[:50])

    monkeypatch.setattr(storage, "decode", damaged)
    with pytest.raises(DataError, match=r"row 9 \(9\.png\): damaged"):
        table.pictures(4, mapped=tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match=r"cannot write .*file.*: "):
        table.pictures(4, mapped=tmp_path / "file")


def test_a_full_disk_is_an_error(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.MappedWriter, "__setitem__", full)
    with pytest.raises(WriteError, match=r"cannot write .*\.npy: No space left on device"):
        table.pictures(4, mapped=tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


def test_no_rows_no_pictures(table: Table) -> None:
    with pytest.raises(DataError, match="has no rows"):
        table.take(np.zeros(23, bool)).pictures()
    assert list(table.take(np.zeros(23, bool)).encoded()) == []


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from mien.data import table
from mien.data.writer import TableInfo, TableWriter

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

file, mapped = Path(sys.argv[1]), Path(sys.argv[2])
before = peak()
data = table.read(file)
data.fingerprint
opened = peak()
total = sum(len(encoded) for part in (data, data.split("train")) for _, encoded, _ in part.encoded())
iterated = peak()
pixels = data.pictures(int(sys.argv[3]), mapped=mapped)
print(before, opened, iterated, peak(), pixels.nbytes / 2**20, total / 2**20)
"""


def measure(file: Path, mapped: Path, size: int) -> tuple[float, ...]:
    """Peak memory in MiB: after imports, read, iterated, decoded; MiB of pixels and of pictures iterated over."""
    run = [sys.executable, "-c", textwrap.dedent(MEASURE), str(file), str(mapped), str(size)]
    return tuple(map(float, subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_a_table_larger_than_what_is_held_takes_constant_memory(tmp_path: Path) -> None:
    """600 MiB of pictures that cannot be compressed: opened, split, iterated and decoded in a fraction of that."""
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    encoded = cv2.imencode(".png", noise)[1].tobytes()
    with TableWriter(tmp_path / "t.parquet", TableInfo("large", "large", ("a", "b"))) as writer:
        for row in range(800):
            # Bytes behind a PNG's end are ignored; different ones keep the file from storing it only once.
            image = encoded + np.random.default_rng(row).bytes(2000)
            split = "train" if row % 2 else "validation"
            writer.add(image=image, path="", label=row % 2, split=split, row=row, group=row, digest=str(row))
    before, opened, iterated, decoded, pixels, total = measure(tmp_path / "t.parquet", tmp_path / "m", 512)
    assert total > 900
    assert pixels == 600
    assert opened - before < 100
    assert iterated - before < 450
    assert decoded - before < 450


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_on_fer2013(shared: Path, tmp_path: Path) -> None:
    from mien.data.fer2013 import import_fer2013

    import_fer2013(shared / "data" / "fer2013.parquet", tmp_path / "t.parquet")
    before, opened, iterated, decoded, pixels, _ = measure(tmp_path / "t.parquet", tmp_path / "m", 96)
    assert pixels == pytest.approx(35_887 * 96 * 96 * 3 / 2**20)
    assert opened - before < 120
    assert iterated - before < 400
    assert decoded - before < 450
