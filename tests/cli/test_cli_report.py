"""mien report, compare and sheet as a user runs them, in processes of their own."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from support.command_line import RECIPE, mien
from support.kept_looks import OPTIONS as LOOK
from support.pattern_pictures import pattern

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory, patterns_path) -> Path:
    """Two runs of one recipe."""
    path = tmp_path_factory.mktemp("report")
    (path / "tiny.yaml").write_text(RECIPE)
    for seed in (1, 2):
        mien("train", "tiny.yaml", "--data", patterns_path, "--set", f"seed={seed}", "-o", f"seed{seed}", cwd=path)
    return path


def test_one_page_for_each_run(folder, patterns_path):
    done = mien("report", "seed1", "seed2", "--data", patterns_path, "--no-views", cwd=folder)
    assert done.stdout.split() == ["seed1/report/report.html", "seed2/report/report.html"]
    for name in done.stdout.split():
        text = (folder / name).read_text(encoding="utf-8")
        assert "mean ± standard deviation" in text
        assert "the test split was not scored" in text
    assert not (folder / "seed1" / "predictions" / "test.parquet").exists()


def test_the_test_split_only_when_asked_for_and_elsewhere(folder, patterns_path):
    ask = ("report", "seed1", "--data", patterns_path, "--test", "-o", "elsewhere")
    assert "--ledger FILE --why" in mien(*ask, cwd=folder, code=2).stderr
    assert not (folder / "seed1" / "predictions" / "test.parquet").exists()
    mien(*ask, "--ledger", "page.csv", "--why", "the page", cwd=folder)
    looks = (folder / "page.csv").read_text().splitlines()
    assert all(line.endswith(",report: the page") for line in looks[1:])
    assert len(looks) > 3, "of the file, and of each view"
    assert "--overwrite" in mien(*ask, cwd=folder, code=2).stderr
    mien(*ask, "--overwrite", cwd=folder)  # all is stored: no further look
    assert (folder / "page.csv").read_text().splitlines() == looks
    assert "scored the test split" in (folder / "elsewhere" / "report.html").read_text(encoding="utf-8")
    assert (folder / "seed1" / "predictions" / "test.parquet").exists()


def test_compare_ranks_runs_tables_and_models(folder, patterns_path):
    ask = ("compare", "seed1", "seed2/model.onnx", "default", "--data", patterns_path)
    text = mien(*ask, "--markdown", cwd=folder).stdout
    assert "**patterns, validation, fer2013 labels**" in text
    rows = [line.split("|")[1:-1] for line in text.split("fer2013 labels**")[1].strip().splitlines()]
    assert len({len(row) for row in rows}) == 1
    top1 = [float(row[2]) for row in rows[2:]]
    assert top1 == sorted(top1, reverse=True)
    assert [row[9].strip() == "best" for row in rows[2:]] == [True, False, False]
    drawn = mien(*ask, cwd=folder).stdout  # 80 columns, since it is no terminal
    assert "p (Holm)" in drawn
    assert "seed2/model.onnx" in drawn
    assert f"{top1[0]:.2f}" in drawn


def test_an_ensemble_is_chosen_on_validation_and_compared_like_a_run(folder, patterns_path):
    ask = ("ensemble", "seed1", "seed2", "default", "--data", patterns_path, "--test", "-o", "both")
    said = mien(*ask, "--ledger", "looks.csv", "--why", "to test it", cwd=folder).stdout
    looks = (folder / "looks.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in looks[-2:]] == ["ensemble of 3"] * 2, "after its members, which were scored"
    assert all(line.endswith(",to test it") for line in looks[1:])
    assert "leave it out" in mien(*ask[:-3], "--ledger", "looks.csv", "--why", "no test", cwd=folder, code=2).stderr
    unkept = (*ask[:-1], "other", "--ledger", "absent/looks.csv", "--why", "to test it")
    assert "cannot write the ledger" in mien(*unkept, cwd=folder, code=2).stderr
    assert not (folder / "other" / "test.parquet").exists()
    assert "validation, fer2013, n = 35: top-1" in said
    assert "test, ferplus" in said
    chosen = json.loads((folder / "both" / "ensemble.json").read_text())
    assert sum(chosen["ferplus"]["weights"].values()) == pytest.approx(1)
    compared = ("compare", "both/test.parquet", "seed1", "--split", "test", "--data", patterns_path, "--markdown")
    assert "both/test.parquet" in mien(*compared, cwd=folder).stdout  # all stored: without a further look
    assert "given twice" in mien("ensemble", "seed1", "seed1", cwd=folder, code=2).stderr


def test_faults_are_one_line(folder, patterns_path):
    mien("evaluate", "default", "--data", patterns_path, "--predictions", "v.parquet", cwd=folder)
    ask = ("evaluate", "default", "--data", patterns_path, "--split", "test", "--predictions", "t.parquet")
    mien(*ask, *LOOK, cwd=folder)
    for arguments, words in [
        (("report", "absent", "--data", patterns_path), "no finished run"),
        (("report", "seed1", "seed1", "--data", patterns_path), "twice"),
        (("report", "seed1", "--data", "absent.parquet", "--overwrite"), "does not exist"),
        (("compare", "seed1", "--data", patterns_path), "at least two"),
        (("compare", "v.parquet", "t.parquet"), "--split test"),
        (("compare", "seed1", "nonsense", "--data", patterns_path), "no model 'nonsense'"),
        (("sheet", "nonsense", "--data", patterns_path), "no model 'nonsense'"),
    ]:
        stderr = mien(*arguments, cwd=folder, code=2).stderr
        assert words in stderr
        assert len(stderr.strip().splitlines()) == 1


def test_a_sheet_of_unseen_class_folders(folder):
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):  # the layout of MMA
        for number, label in enumerate(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")):
            place = folder / "MMA" / split / label
            place.mkdir(parents=True)
            for copy in range(5):
                cv2.imwrite(str(place / f"{copy}.png"), pattern(number, rng))
    mien("data", "import", "folder", "MMA", "-o", "mma.parquet", cwd=folder)
    ask = ("sheet", "seed1/model.onnx", "--data", "mma.parquet", "--split", "test", "--faces", 14, *LOOK)
    out = mien(*ask, "-o", "out/sheet.png", cwd=folder).stdout
    assert "n = 35: top-1" in out
    assert "95 % interval" in out
    first = (folder / "out" / "sheet.png").read_bytes()
    mien(*ask, "-o", "again.png", cwd=folder)
    mien(*ask, "-o", "other.png", "--seed", 1, cwd=folder)
    assert (folder / "again.png").read_bytes() == first != (folder / "other.png").read_bytes()
    assert "no output 'x'" in mien(*ask, "--head", "x", cwd=folder, code=2).stderr
    score = ("evaluate", "default", "--data", "mma.parquet", "--split", "test", *LOOK)
    figures = json.loads(mien(*score, "--json", cwd=folder).stdout)["figures"]
    answered = [(f["output"], f["label_set"], f["n"]) for f in figures]
    assert answered == [("probabilities", "expressions", 35), ("probabilities_fer2013", "fer2013", 35)]


def moods(folder, *labels):
    for label in labels:
        place = folder / "-".join(labels) / label
        place.mkdir(parents=True)
        for number in range(6):
            cv2.imwrite(str(place / f"{number}.png"), np.full((48, 48), 20 * number, np.uint8) + len(label))
    mien("data", "import", "folder", "-".join(labels), "-o", "moods.parquet", "--labels", ",".join(labels), cwd=folder)


def test_a_table_of_fewer_labels_is_measured_by_name(folder):
    moods(folder, "sad", "happy")
    score = ("evaluate", "default", "--data", "moods.parquet", "--split", "train")
    figures = json.loads(mien(*score, "--json", cwd=folder).stdout)["figures"]
    assert [f["label_set"] for f in figures] == ["sad-happy"] * 3
    assert "not those on other labels" in mien(*score, "--record", cwd=folder, code=2).stderr


def test_a_table_of_other_labels_is_refused_by_name(folder):
    moods(folder, "bored", "glad")
    assert "does not know bored" in mien("sheet", "default", "--data", "moods.parquet", cwd=folder, code=2).stderr
