"""No verb writes over a file that it reads, under whatever name: path, hard link or symbolic link."""

import shutil

import pytest

from mien import cli, files
from mien.errors import WriteError


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["mien", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


def same(path):
    return path


def hard(path):
    link = path.with_name(f"hard-{path.name}")
    link.hardlink_to(path)
    return link


def soft(path):
    link = path.with_name(f"soft-{path.name}")
    link.symlink_to(path)
    return link


@pytest.fixture(params=[same, hard, soft])
def name(request):
    """Another name of a file, or the same."""
    return request.param


def test_what_is_read_is_known_under_all_its_names(tmp_path, name):
    read = tmp_path / "read.csv"
    read.write_bytes(b"precious")
    files.keep_inputs([read, tmp_path, "absent", "a\0b", None], tmp_path / "new.csv", None)
    with pytest.raises(WriteError, match=r"cannot write .*: it is .*read\.csv, one of the files that are read"):
        files.keep_inputs([tmp_path, read], name(read))


def test_two_empty_names_are_not_one_file(tmp_path):
    for file in ("one", "other"):
        (tmp_path / file).write_bytes(b"same content")
    files.keep_inputs([tmp_path / "one"], tmp_path / "other")


@pytest.mark.parametrize(
    "words",
    [
        ("data", "import", "parquet", "{in}", "-o", "{out}"),
        ("data", "import", "fer2013", "{in}", "-o", "{out}"),
        ("data", "clean", "{in}", "-o", "{out}"),
        ("data", "pool", "{in}", "{in}", "-o", "{out}"),
        ("export", "default", "--data", "{in}", "-o", "{out}"),
        ("export", "run", "--data", "{in}", "-o", "{out}"),
        ("evaluate", "default", "--data", "{in}", "--predictions", "{out}"),
        ("sheet", "default", "--data", "{in}", "-o", "{out}"),
        ("models", "card", "default", "--data", "{in}", "-o", "{out}"),
        ("matrix", "default", "--data", "{in}", "-o", "{out}"),
        ("matrix", "default", "--data", "{in}", "--plot", "{out}"),
        ("ensemble", "fast", "default", "--data", "{in}", "-o", "{in}-out", "--pack", "{out}"),
        ("evaluate", "default", "--data", "{in}", "--by", "brightness", "--plot", "{out}"),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_a_table_is_not_written_over_by_what_is_made_of_it(patterns_path, tmp_path, monkeypatch, capsys, words, name):
    table = tmp_path / "table.parquet"
    shutil.copy(patterns_path, table)
    target = name(table)
    code, err = run(monkeypatch, capsys, *(word.format(**{"in": table, "out": target}) for word in words))
    assert (code, table.read_bytes()) == (2, patterns_path.read_bytes())
    assert f"cannot write {target}: it is {table}, one of the files that are read" in err


def test_a_list_beside_a_cleaned_table_is_not_its_source(patterns_path, tmp_path, monkeypatch, capsys):
    table = tmp_path / "clean.left-out.csv"
    shutil.copy(patterns_path, table)
    code, err = run(monkeypatch, capsys, "data", "clean", table, "-o", tmp_path / "clean.parquet")
    assert (code, table.read_bytes()) == (2, patterns_path.read_bytes())
    assert "one of the files that are read" in err


@pytest.mark.parametrize("option", ["-o", "--summary"])
def test_a_table_of_predictions_is_not_a_picture(portrait, tmp_path, monkeypatch, capsys, option):
    picture = tmp_path / "photo.jpg"
    shutil.copy(portrait, picture)
    (tmp_path / "out.json").hardlink_to(picture)
    for source in (picture, tmp_path, tmp_path / "*.jpg"):
        code, err = run(monkeypatch, capsys, "predict", source, option, tmp_path / "out.json", "--detector", "haar")
        assert (code, picture.read_bytes()) == (2, portrait.read_bytes())
        assert "one of the files that are read" in err


def test_a_copy_is_not_put_over_a_source_of_another_name(portrait, tmp_path, monkeypatch, capsys):
    photos, drawn = tmp_path / "photos", tmp_path / "drawn"
    photos.mkdir()
    drawn.mkdir()
    shutil.copy(portrait, photos / "photo.jpg")
    (drawn / "photo-mien.jpg").hardlink_to(photos / "photo.jpg")
    words = ("predict", photos, "--annotate", drawn, "--detector", "none", "--csv")
    code, err = run(monkeypatch, capsys, *words)
    assert code == 0, err
    assert (photos / "photo.jpg").read_bytes() == (drawn / "photo-mien.jpg").read_bytes() == portrait.read_bytes()
    assert (drawn / "photo-mien-2.jpg").exists()


def test_a_job_does_not_write_over_its_sources(portrait, tmp_path, monkeypatch, capsys):
    job, picture = tmp_path / "job", tmp_path / "photo.jpg"
    job.mkdir()
    shutil.copy(portrait, picture)
    (job / "failures.csv").hardlink_to(picture)
    pytest.importorskip("ray", reason="pip install 'mien[batch]'")
    code, err = run(monkeypatch, capsys, "batch", picture, "-o", job)
    assert (code, picture.read_bytes()) == (2, portrait.read_bytes())
    assert "one of the files that are read" in err
