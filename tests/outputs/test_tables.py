import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from mien import files
from mien.errors import MienError, MissingExtraError
from mien.outputs import resuming, tables
from mien.outputs.summary import Summary
from mien.outputs.tables import File, Parquet
from mien.results import COLUMNS, Box, Face, Frame, Quality

LABELS = ("happy", "sad")


def face(happy=0.75, **more):
    outputs = {"probabilities": {"happy": happy, "sad": 1 - happy}, "other": {"calm": 1.0}}
    quality = Quality(40.0, 0.5, None, None, 0.4)
    return Face(Box(1.4, 2.6, 30, 40), **{"confidence": 0.91237, "outputs": outputs, "quality": quality} | more)


def frame(source, *faces, **more):
    return Frame(source, **{"width": 64, "height": 48, "faces": faces, "detector": "haar", "model": "stub 1"} | more)


def clip(source, count):
    """A video of two persons, the second of which is not always there."""
    for index in range(count):
        smoothed = {"happy": 0.6, "sad": 0.4}
        faces = [face(index / 20, track=1, smoothed=smoothed), face(0.3, track=2)][: 1 + index % 2]
        yield frame(source, *(faces if index % 3 else []), index=index, time=index / 25)


FRAMES = [
    frame("a.jpg", face(), face(0.25)),
    frame("none.jpg"),
    frame("text.jpg", width=0, height=0, error="text.jpg: not a picture, expected JPEG"),
    *clip("clip.mp4", 7),
    frame("clip.mp4", index=7, time=0.28, error="clip.mp4: breaks off"),
    frame('odd, "name"\nof a file.png', face(0.5)),
    frame("größe\u2028日本.png", face(0.5)),
    *clip("second.mp4", 5),
    frame("z.jpg", face(0.125)),
]


def write(path, frames, **options):
    with File(path, LABELS, **options) as file:
        for one in frames:
            file.write(one)
    return path


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------- the forms


def test_csv_holds_every_row_in_the_order_of_its_columns(tmp_path):
    path = write(tmp_path / "out.csv", FRAMES)
    rows = rows_of(path)
    expected = [row for one in FRAMES for row in one.to_rows()]
    assert list(rows[0]) == [*COLUMNS, *LABELS]
    as_text = [{key: "" if row.get(key) is None else str(row[key]) for key in rows[0]} for row in expected]
    assert rows == as_text
    first, second, none, failed = rows[:4]
    assert (first["face"], first["x"], first["y"], first["width"], first["height"]) == ("1", "1", "3", "30", "40")
    assert (first["expression"], first["probability"], first["happy"], first["sad"]) == (
        "happy",
        "0.75",
        "0.75",
        "0.25",
    )
    assert (second["face"], second["expression"]) == ("2", "sad")
    assert none["source"] == "none.jpg"
    assert {value for key, value in none.items() if key != "source"} == {""}
    assert (failed["face"], failed["error"]) == ("", "text.jpg: not a picture, expected JPEG")
    assert b"\r" not in path.read_bytes()


def test_json_forms_hold_every_frame(tmp_path):
    expected = [one.to_dict() for one in FRAMES]
    lines = write(tmp_path / "out.jsonl", FRAMES).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == expected
    assert json.loads(write(tmp_path / "out.json", FRAMES).read_text(encoding="utf-8")) == expected
    assert json.loads(write(tmp_path / "one.JSON", FRAMES[:1]).read_text()) == expected[:1]
    assert json.loads(write(tmp_path / "none.json", []).read_text()) == []
    assert write(tmp_path / "none.jsonl", []).read_text() == ""


def test_parquet_has_a_row_a_face_and_types(tmp_path):
    from pyarrow import parquet

    table = parquet.read_table(write(tmp_path / "out.parquet", FRAMES))
    assert table.column_names == [*COLUMNS, *LABELS]
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    whole, text = (
        ("frame", "face", "track", "x", "y", "width", "height"),
        ("source", "expression", "smoothed", "error", "note"),
    )
    assert {kinds[name] for name in whole} == {"int64"}
    assert {kinds[name] for name in text} == {"string"}
    assert {kind for name, kind in kinds.items() if name not in whole + text} == {"double"}
    empty = dict.fromkeys([*COLUMNS, *LABELS])
    assert table.to_pylist() == [empty | row for one in FRAMES for row in one.to_rows()]


def test_a_parquet_file_of_nothing_has_its_columns(tmp_path):
    from pyarrow import parquet

    table = parquet.read_table(write(tmp_path / "out.parquet", []))
    assert (table.num_rows, table.column_names) == (0, [*COLUMNS, *LABELS])


def test_parquet_is_written_in_groups_of_rows(tmp_path, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr(tables, "_ROWS", 4)
    path = write(tmp_path / "out.parquet", FRAMES)
    assert parquet.ParquetFile(path).num_row_groups > 3
    assert parquet.read_table(path).num_rows == sum(len(one.to_rows()) for one in FRAMES)


def test_names_that_are_no_text_are_escaped_in_every_form(tmp_path):
    one = frame("caf\udce9.png", error="caf\udce9.png: damaged")
    (row,) = rows_of(write(tmp_path / "out.csv", [one]))
    assert (row["source"], row["error"]) == (r"caf\udce9.png", r"caf\udce9.png: damaged")
    assert json.loads(write(tmp_path / "out.jsonl", [one]).read_text())["source"] == "caf\udce9.png"
    from pyarrow import parquet

    (row,) = parquet.read_table(write(tmp_path / "out.parquet", [one])).to_pylist()
    assert (row["source"], row["error"]) == (r"caf\udce9.png", r"caf\udce9.png: damaged")


def test_lines_are_there_as_soon_as_they_are_written(tmp_path):
    for suffix in ("csv", "jsonl"):
        path = tmp_path / f"out.{suffix}"
        with File(path, LABELS) as file:
            for count, one in enumerate(FRAMES[:3], start=1):
                file.write(one)
                assert FRAMES[count - 1].source in (tmp_path / f"{path.name}.partial").read_text()
    stream = io.StringIO()
    tables.Csv(stream, LABELS, header=False).write(FRAMES[0])
    assert stream.getvalue().startswith("a.jpg,")


def test_an_earlier_file_is_replaced(tmp_path):
    for suffix in ("csv", "json", "jsonl"):
        path = write(tmp_path / f"out.{suffix}", FRAMES)
        write(path, FRAMES[:1])
        assert path.read_bytes() == write(tmp_path / f"new.{suffix}", FRAMES[:1]).read_bytes()


# ------------------------------------------------------------------------------- what goes wrong


def test_other_suffixes_are_refused(tmp_path):
    for name in ("out.xlsx", "out", "csv"):
        with pytest.raises(MienError, match=r"a table is written as \.csv, \.json, \.jsonl, \.parquet"):
            File(tmp_path / name, LABELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_a_file_that_cannot_be_made_is_named(tmp_path, suffix):
    path = tmp_path / "none" / f"out{suffix}"
    with pytest.raises(MienError, match=r"cannot write .*the folder .*none does not exist") as caught:
        File(path, LABELS)
    assert str(path) in str(caught.value)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[tables\]'"):
        File(tmp_path / "out.parquet", LABELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_a_full_disk_is_said(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"out{suffix}"
    full = path
    if suffix in (".parquet", ".json"):
        full = tmp_path / "temporary"
        monkeypatch.setattr(files, "_reserve", lambda path: (full, -1))
    full.symlink_to("/dev/full")
    with pytest.raises(MienError, match=f"^cannot write {path}: .*No space left"):
        write(path, FRAMES * 50)
    assert suffix in (".csv", ".jsonl") or not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [2, 4096])
def test_a_disk_that_fills_up_leaves_no_parquet_file(tmp_path, monkeypatch, rows):
    from pyarrow import parquet

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "_ROWS", rows)
    monkeypatch.setattr(parquet.ParquetWriter, "write_table", fail)
    with pytest.raises(MienError, match=r"out\.parquet: No space left on device"):
        write(tmp_path / "out.parquet", FRAMES)
    assert not list(tmp_path.iterdir())


def interrupted(path, frames, error=ValueError):
    """Write frames, then leave the ``with`` statement by an error."""

    def come_to_grief():
        yield from frames
        raise error

    with pytest.raises(error):
        write(path, come_to_grief())


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("error", [ValueError, MienError, KeyboardInterrupt])
def test_half_a_file_that_has_an_end_never_appears(tmp_path, error, suffix, monkeypatch):
    monkeypatch.setattr(tables, "_ROWS", 2)
    path = tmp_path / f"out{suffix}"
    interrupted(path, FRAMES, error)
    assert not list(tmp_path.iterdir())
    before = write(path, FRAMES[:2]).read_bytes()
    interrupted(path, FRAMES, error)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_parquet_file_is_not_there_before_it_is_whole(tmp_path, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr(tables, "_ROWS", 2)
    path = tmp_path / "out.parquet"
    part = Parquet(path, LABELS)
    for one in FRAMES:
        part.write(one)
        assert not path.exists()
    part.close()
    assert parquet.read_table(path).num_rows == sum(len(one.to_rows()) for one in FRAMES)
    assert list(tmp_path.iterdir()) == [path]


def test_other_forms_keep_what_was_written_beside_an_older_file(tmp_path):
    for suffix in (".csv", ".jsonl"):
        path = tmp_path / f"out{suffix}"
        older = write(path, FRAMES[5:6]).read_bytes()
        interrupted(path, FRAMES[:4])
        assert path.read_bytes() == older
        partial = tmp_path / f"out{suffix}.partial"
        assert partial.read_bytes() == write(tmp_path / f"same{suffix}", FRAMES[:4]).read_bytes()
        assert {one.name for one in tmp_path.iterdir()} == {path.name, partial.name, f"same{suffix}"}
        for one in tmp_path.iterdir():
            one.unlink()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_folder_that_is_taken_away_is_no_success(tmp_path, suffix):
    folder = tmp_path / "out"
    folder.mkdir()

    def frames():
        yield FRAMES[0]
        shutil.rmtree(folder)
        yield FRAMES[1]

    with pytest.raises(MienError, match=f"cannot write .*out{suffix}: the folder .*out does not exist"):
        write(folder / f"out{suffix}", frames())


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_two_runs_do_not_write_one_table(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    with File(path, LABELS) as file:
        file.write(FRAMES[0])
        with pytest.raises(MienError, match=rf"out{suffix}: process {os.getpid()} on .* is writing it"):
            File(path, LABELS)
    assert list(tmp_path.iterdir()) == [path]
    write(path, FRAMES[:2])


# -------------------------------------------------------------------------------------- going on


#: Without what is tried again.
WHOLE = [one for one in FRAMES if not (one.error or one.source == "clip.mp4")] + [
    *clip("clip.mp4", 7),
    frame("end.jpg"),
]


def go_on(path, frames=WHOLE):
    """Write what the file lacks of the frames; returns the sources that were passed over."""
    with File(path, LABELS, resume=True) as file:
        for one in frames:
            if one.source not in file.done:
                file.write(one)
    return file.done


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_cut_off_anywhere_is_gone_on_with(tmp_path, monkeypatch, suffix):
    whole = write(tmp_path / f"whole{suffix}", WHOLE).read_bytes()
    path = tmp_path / f"cut{suffix}"
    order = list(dict.fromkeys(one.source for one in WHOLE))
    monkeypatch.setattr(os, "fsync", lambda _: None)
    breaks = [place for place, byte in enumerate(whole) if byte == 10]
    around = {place + by for place in breaks for by in (-1, 0, 1, 2)}
    for size in sorted({*around, *range(0, len(whole), 61), *range(0, 300, 5), len(whole)}):
        path.write_bytes(whole[:size])
        done = go_on(path)
        assert path.read_bytes() == whole, f"cut off after {size} bytes"
        assert done == set(order[: len(done)])
    assert len(done) == len(order) - 1, "the last source is read again, for nothing says that it is whole"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_resuming_keeps_what_was_done(tmp_path, suffix):
    path = write(tmp_path / f"out{suffix}", FRAMES[:5])
    marked = path.read_bytes().replace(b"0.75", b"0.57")
    path.write_bytes(marked)
    assert go_on(path, FRAMES) == {"a.jpg", "none.jpg"}
    assert b"0.57" in path.read_bytes()
    assert path.read_bytes().startswith(marked[: marked.index(b"text.jpg")])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_could_not_be_read_is_tried_again(tmp_path, suffix):
    path = write(tmp_path / f"out{suffix}", FRAMES)
    done = go_on(path, [frame("text.jpg", face()), *clip("clip.mp4", 9), FRAMES[-1]])
    assert done == {one.source for one in FRAMES} - {"text.jpg", "clip.mp4", "z.jpg"}
    text = path.read_text(encoding="utf-8")
    assert "breaks off" not in text
    assert "not a picture" not in text
    mended = [one for one in FRAMES[:-1] if one.source not in ("text.jpg", "clip.mp4")]
    mended += [frame("text.jpg", face()), *clip("clip.mp4", 9), FRAMES[-1]]
    assert text == write(tmp_path / f"mended{suffix}", mended).read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_stays_is_told_picture_by_picture(tmp_path, suffix):
    path, told, all_at_once = write(tmp_path / f"out{suffix}", FRAMES), Summary(), Summary()
    with File(path, LABELS, resume=True, kept=told.add_rows) as file:
        done = file.done
    for one in FRAMES:
        if one.source in done:
            all_at_once.add(one)
    assert told.to_dict() == all_at_once.to_dict()
    assert told.pictures == 9
    assert told.persons


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_is_gone_on_with_only_by_what_made_it(tmp_path, suffix):
    made = {"model": "default 1", "detector": "haar", "prior": [0.5, 0.5]}
    path = write(tmp_path / f"out{suffix}", FRAMES, made=made)
    before = path.read_bytes()
    with pytest.raises(MienError, match=r"made by something else \(model 'default 1', now 'fast 1'\)"):
        File(path, LABELS, resume=True, made=made | {"model": "fast 1"})
    File(path, LABELS, resume=True, made=made).__exit__(ValueError)
    resuming.record(path).write_text("[1, 2]")
    with pytest.raises(MienError, match="nothing says which model and options made it"):
        File(path, LABELS, resume=True, made=made)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_killed_run_is_gone_on_with_from_what_it_left(tmp_path, suffix):
    path = write(tmp_path / f"out{suffix}", WHOLE[:1])
    interrupted(path, WHOLE[:4])
    assert len(go_on(path)) == 3
    assert path.read_bytes() == write(tmp_path / f"whole{suffix}", WHOLE).read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_resuming_nothing_begins(tmp_path, suffix):
    path, whole = tmp_path / f"out{suffix}", write(tmp_path / f"whole{suffix}", WHOLE).read_bytes()
    assert go_on(path) == frozenset()
    assert path.read_bytes() == whole
    path.write_bytes(b"")
    go_on(path)
    assert path.read_bytes() == whole


def test_names_that_are_no_text_are_known_again(tmp_path):
    frames = [frame("caf\udce9.png", face()), frame("b.png", face()), frame("c.png")]
    for suffix in (".csv", ".jsonl"):
        path = write(tmp_path / f"out{suffix}", frames)
        whole = path.read_bytes()
        assert "caf\udce9.png" in go_on(path, frames)
        assert path.read_bytes() == whole


def test_frames_without_a_source_do_not_count_as_done(tmp_path):
    path = write(tmp_path / "out.jsonl", [frame(None), frame("a.png")])
    with File(path, LABELS, resume=True) as file:
        assert "None" not in file.done


def test_a_file_with_other_columns_is_left_alone(tmp_path):
    path = write(tmp_path / "out.csv", FRAMES)
    before = path.read_bytes()
    for content in (before, b"a,b\n1,2\n", b"source,frame,tim\n", b"\n", b"no table"):
        path.write_bytes(content)
        with pytest.raises(MienError, match=r"out\.csv: its columns are not those of this run"):
            File(path, ("happy", "angry"), resume=True)
        assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"no json\n", b"[1]\n", b"{}\n", b"5\n", b'{"source": "a"}\n\xff\n'])
def test_lines_that_are_none_of_ours_are_left_alone(tmp_path, content):
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(MienError, match=r"out\.jsonl: cannot be resumed"):
        File(path, LABELS, resume=True)
    assert path.read_bytes() == content


def test_forms_that_cannot_be_gone_on_with_are_refused(tmp_path):
    for suffix in (".json", ".parquet"):
        with pytest.raises(MienError, match=r"only \.csv and \.jsonl can be resumed"):
            File(tmp_path / f"out{suffix}", LABELS, resume=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_changed_is_named(tmp_path):
    path = write(tmp_path / "out.csv", FRAMES)
    path.chmod(0o444)
    with pytest.raises(MienError, match=r"cannot write .*Permission denied"):
        File(path, LABELS, resume=True)
