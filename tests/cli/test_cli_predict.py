import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import cli, recognizer
from support.command_line import without_closing_line
from support.stub_model import StubModel

PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(recognizer, "load", lambda model, **_: StubModel())


@pytest.fixture
def photos(tmp_path):
    """A folder with a portrait, a picture without a face, and a file that is no picture."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(PORTRAIT, folder / "deep" / "portrait.jpg")
    Image.new("RGB", (200, 150), "gray").save(folder / "blank.png")
    (folder / "text.jpg").write_text("no picture")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``mien predict`` as a user does; returns exit code, stdout and stderr up to its closing line."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["mien", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, without_closing_line(captured.err)

    return call


def test_the_table_has_a_line_for_each_face(run):
    code, out, err = run(PORTRAIT, "--detector", "haar")
    assert (code, err) == (0, "")
    assert "astronaut.jpg" in out.replace("\n", "")
    (face,) = recognizer.Recognizer(detector="haar").predict(PORTRAIT).faces
    assert f"{face.expression} " in out
    assert f"{face.probability:.0%}" in out
    assert f"{face.top(3)[2][0]} {face.top(3)[2][1]:.0%}" in out
    assert " ".join(map(str, face.box.to_list())) in out


def test_top_limits_the_expressions_in_the_table(run):
    _, one, _ = run(PORTRAIT, "--detector", "haar", "--top", 1)
    _, eight, _ = run(PORTRAIT, "--detector", "haar", "--top", 8)
    assert one.count("%") == 1
    assert eight.count("%") == 8
    code, _, err = run(PORTRAIT, "--top", 0)
    assert code == 2
    assert "--top" in err


def test_json_is_one_array_and_nothing_else_is_on_stdout(run, photos):
    code, out, err = run(photos / "blank.png", photos / "deep", "--json")
    frames = json.loads(out)
    assert code == 0
    assert [Path(frame["source"]).name for frame in frames] == ["blank.png", "portrait.jpg"]
    assert frames[0]["faces"] == []
    assert len(frames[1]["faces"]) == 1
    assert set(frames[1]["faces"][0]["outputs"]) == {"probabilities", "probabilities_fer2013"}
    assert err.startswith("mien: note: faces are looked for with the built-in Viola-Jones detector")
    assert len(err.splitlines()) == 1


def test_csv_has_a_line_for_pictures_without_a_face_too(run, photos):
    code, out, _ = run(photos / "blank.png", photos / "deep", "--csv", "--detector", "haar")
    blank, face = csv.DictReader(io.StringIO(out))
    assert code == 0
    assert blank["source"].endswith("blank.png")
    assert blank["face"] == blank["expression"] == ""
    assert face["face"] == "1"
    assert float(face[face["expression"]]) == float(face["probability"])


def test_no_face_is_said_and_is_no_failure(run, photos):
    code, out, err = run(photos / "blank.png", "--detector", "haar")
    assert (code, err) == (0, "")
    assert "no face found" in out


def test_one_bad_file_is_reported_and_the_rest_go_on(run, photos):
    code, out, err = run(photos, photos / "none.jpg", "--json", "--detector", "haar")
    assert code == 1
    frames = json.loads(out)
    assert [Path(frame["source"]).name for frame in frames] == ["blank.png", "portrait.jpg", "text.jpg", "none.jpg"]
    assert [frame["error"] is None for frame in frames] == [True, True, False, False]
    text, none = err.splitlines()
    assert [f"mien: {frame['error']}" for frame in frames[2:]] == [text, none]
    assert text.startswith(f"mien: {photos / 'text.jpg'}: not a picture")
    assert none == f"mien: {photos / 'none.jpg'}: no such file"


def test_when_all_fail_the_exit_code_is_2(run, photos, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    code, out, err = run(photos / "text.jpg", empty, "--detector", "haar")
    assert (code, out) == (2, "")
    assert f"mien: {empty}: no pictures in this folder" in err.splitlines()
    code, out, _ = run(photos / "text.jpg", empty, "--detector", "haar", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 2
    assert [row["source"] for row in rows] == [str(photos / "text.jpg"), str(empty)]
    assert all(row["error"] and not row["face"] for row in rows)


def test_wrong_use_is_one_line_without_traceback(run):
    code, out, err = run(PORTRAIT, "--detector", "dlib")
    assert (code, out) == (2, "")
    assert err == "mien: no face detector is called 'dlib', only auto, yunet, haar, mediapipe, mtcnn, none\n"
    code, out, err = run(PORTRAIT, "--json", "--csv")
    assert (code, out) == (2, "")
    assert "exclude each other" in err
    code, _, err = run(PORTRAIT, "--detector", "yunet")
    assert code == 2
    assert "MIEN_OFFLINE" in err


def test_annotated_copies_never_replace_a_source_or_each_other(run, photos):
    shutil.copy(PORTRAIT, photos / "portrait.png")  # same stem as deep/portrait.jpg
    shutil.copy(PORTRAIT, photos / "portrait-mien.jpg")  # named as a copy of it would be
    (photos / "text.jpg").unlink()
    before = {file: file.read_bytes() for file in photos.rglob("*.*")}
    code, _, err = run(photos, "--annotate", photos, "--detector", "haar")
    assert code == 0
    assert {file: file.read_bytes() for file in before} == before
    made = sorted(file.name for file in photos.rglob("*.*") if file not in before)
    assert made == ["blank-mien.jpg", "portrait-mien-2.jpg", "portrait-mien-3.jpg", "portrait-mien-mien.jpg"]
    assert len(err.splitlines()) == 4
    with Image.open(photos / "portrait-mien-2.jpg") as drawn, Image.open(PORTRAIT) as source:
        assert drawn.size == source.size
        assert np.abs(np.asarray(drawn, int) - np.asarray(source, int)).max() > 100


def test_a_folder_that_cannot_be_made_stops_at_once(run, photos):
    code, out, err = run(PORTRAIT, "--annotate", photos / "blank.png" / "x", "--detector", "haar")
    assert (code, out) == (2, "")
    assert "cannot make the folder" in err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are always valid text here")
@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)])
def test_names_that_are_no_text_are_escaped(run, tmp_path, form):
    file = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (60, 60)).save(file)
    code, out, _ = run(file, "--detector", "haar", *form)
    assert code == 0
    assert "caf\\udce9.png" in out.replace("\n", "")


def test_names_with_brackets_are_printed_as_they_are(run, tmp_path):
    file = tmp_path / "[bold]a[red].png"
    Image.new("RGB", (60, 60)).save(file)
    code, out, _ = run(file, "--detector", "haar")
    assert code == 0
    assert "[bold]a[red].png" in out.replace("\n", "")


def test_files_of_a_folder_that_are_left_out_are_counted(run, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("a.png", "b.ppm"):
        Image.new("RGB", (48, 48)).save(folder / name)
    for name in ("c.xyz", "d.xyz", "e.txt", ".hidden"):
        (folder / name).touch()
    code, out, err = run(folder, "--detector", "none", "--csv")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert "note: 3 files left out: 2 .xyz, 1 .txt" in err


def test_a_jpeg_without_its_last_bytes_is_noted(run, tmp_path):
    file = tmp_path / "short.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:-30])
    code, out, err = run(
        file, "--detector", "none", "--json", "-o", tmp_path / "out.csv", "--html", tmp_path / "a.html"
    )
    assert code == 0
    assert f"note: {file}: cut off: its last bytes are missing" in err
    note = json.loads(out)[0]["note"]
    assert note.startswith("cut off: its last bytes are missing")
    assert [row["note"] for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines())] == [note]
    assert note in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_detector_that_steps_in_is_noted_once(run, photos):
    code, _, err = run(photos / "blank.png", photos / "blank.png")
    assert code == 0
    assert err.count("Viola-Jones detector") == 1
    (line,) = err.splitlines()
    assert line.startswith("mien: note: faces are looked for with the built-in Viola-Jones detector")
    assert "mien models fetch yunet" in line


def test_search_says_how_thoroughly_faces_are_looked_for(run, monkeypatch, photos):
    class Sizes:
        name, notice = "yunet", None

        def detect(self, picture, *, longest=None):
            sizes.append(longest)
            return []

    monkeypatch.setattr(recognizer, "build", lambda name, threads=None: Sizes())
    for options, expected in (((), None), (("--search", "full"), None), (("--search", "quick"), 800)):
        sizes = []
        code, _, err = run(photos / "blank.png", *options)
        assert (code, err, sizes) == (0, "", [expected])
    code, _, err = run(photos / "blank.png", "--search", "slow")
    assert code == 2
    assert "no search is called 'slow', only auto, full, quick" in err


def test_a_gallery_is_written_and_hidden_faces_are_hidden_in_copies(run, photos, tmp_path):
    page, plain, hidden = tmp_path / "page.html", tmp_path / "plain", tmp_path / "hidden"
    code, _, err = run(photos / "deep", "--html", page, "--annotate", plain, "--detector", "haar")
    assert code == 0
    assert f"mien: gallery: {page}" in err
    assert page.read_text(encoding="utf-8").count("<figure") == 1
    run(photos / "deep", "--annotate", hidden, "--hide-faces", "--detector", "haar")
    (box,) = (face.box for face in recognizer.Recognizer(detector="haar").predict(PORTRAIT).faces)
    middle = np.s_[round(box.y + 20) : round(box.y + 70), round(box.x + 20) : round(box.x + 70)]
    edges = [
        np.abs(np.diff(np.asarray(Image.open(folder / "portrait-mien.jpg").convert("L"), int)[middle], axis=1)).mean()
        for folder in (plain, hidden)
    ]
    assert edges[1] < edges[0] / 1.5
    code, _, err = run(PORTRAIT, "--hide-faces")
    assert code == 2
    assert "--annotate or --html" in err
