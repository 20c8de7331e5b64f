"""Ray starts processes of its own for each job, so there are few tests, and each shows much."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import dataset as pyarrow_dataset

from mien import batch, cli, files
from mien.errors import MienError, PictureError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'mien[batch]'")

PORTRAIT = Path(__file__).resolve().parents[1] / "docs" / "astronaut.jpg"
# Ray leaves sockets and processes to be collected; that is not ours to mend.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures, one of them damaged, in a folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    with Image.open(PORTRAIT) as image:
        small = image.resize((256, 256))
    for number in range(11):
        small.save(folder / f"{number:02}.png")
    (folder / "damaged.jpg").write_text("no picture")
    return folder


def rows_of(folder):
    """Every row of the parts as tuples, sorted."""
    table = pyarrow_dataset.dataset(sorted(folder.glob("part-*.parquet"))).to_table()
    return sorted((row["source"], row["face"] or 0, row["expression"] or "", row["happy"]) for row in table.to_pylist())


def finish(*arguments, **options):
    return list(batch.run(*arguments, **options))[-1]


def test_a_job_goes_on_after_its_workers_were_killed(pictures, tmp_path, monkeypatch):
    sources = batch.list_sources([str(pictures)])
    job = batch.Job(detector="haar", shard=3)
    whole = finish(sources, tmp_path / "whole", job, workers=1)
    assert (whole.shards, whole.read, whole.pictures, whole.faces, whole.failed, whole.failures) == (4, 4, 12, 11, 1, 1)
    expected = rows_of(tmp_path / "whole")
    assert len(expected) == 12
    with (tmp_path / "whole" / "failures.csv").open(newline="") as file:
        (failure,) = csv.DictReader(file)
    assert failure["source"] == str(pictures / "damaged.jpg")
    assert "not a picture" in failure["error"]

    killed, told = [], []
    for news in batch.run(sources, tmp_path / "killed", job, workers=1):
        told.append(news)
        killed = killed or kill_workers()
    assert killed, "no worker was found to kill, so this test shows nothing"
    assert told[:-1] == [(number, 4) for number in (1, 2, 3, 4)]
    assert rows_of(tmp_path / "killed") == expected

    # Called again there is nothing to do; with a shard missing, that shard alone is read.
    again = finish(sources, tmp_path / "killed", job)
    assert (again.read, again.failed, again.failures) == (0, 0, 1)
    (tmp_path / "killed" / "part-000001.parquet").unlink()
    assert finish(sources, tmp_path / "killed", job, workers=1).read == 1
    assert rows_of(tmp_path / "killed") == expected


def kill_workers():
    """Kill the processes that read shards, as the kernel does when memory runs out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name = path.read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::") and b"MapWorker" in name:
            os.kill(int(path.parent.name), signal.SIGKILL)
            found.append(name)
    time.sleep(0.5)
    return found


def test_the_detector_that_steps_in_is_noted_once(pictures, tmp_path, monkeypatch, capfd):
    words = ("batch", str(pictures), "--shard", "6", "--workers", "1", "-o", str(tmp_path / "job"))
    monkeypatch.setattr("sys.argv", ["mien", *words])
    with pytest.raises(SystemExit):
        cli.main()
    notes = [line for line in capfd.readouterr().err.splitlines() if "Viola-Jones" in line]
    assert len(notes) == 1
    assert notes[0].startswith("mien: note: faces are looked for with the built-in Viola-Jones detector")


def test_another_job_is_refused_the_folder(pictures, tmp_path):
    sources = batch.list_sources([str(pictures)])
    folder = tmp_path / "job"
    folder.mkdir()
    batch._claim(folder, batch.Job(), sources)
    batch._claim(folder, batch.Job(), sources)
    for job, listed in ((batch.Job(shard=7), sources), (batch.Job(), sources[1:])):
        with pytest.raises(MienError, match="another job"):
            batch._claim(folder, job, listed)
    (folder / "job.json").write_text("{")
    with pytest.raises(MienError, match="damaged"):
        batch._claim(folder, batch.Job(), sources)


def test_folders_are_listed_and_other_words_kept(pictures, tmp_path):
    shutil.copy(PORTRAIT, tmp_path / "one.jpg")
    found = batch.list_sources([str(pictures), str(tmp_path / "one.jpg"), "https://example.org/a.jpg"])
    assert found == [*map(str, sorted(pictures.iterdir())), str(tmp_path / "one.jpg"), "https://example.org/a.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="nothing to read"):
        batch.list_sources([str(tmp_path / "empty")])


def test_a_cluster_that_is_not_there_is_said(pictures, tmp_path):
    with pytest.raises(MienError, match="Ray cannot be started at"):
        finish(batch.list_sources([str(pictures)]), tmp_path / "job", batch.Job(), address="127.0.0.1:1")
    assert json.loads((tmp_path / "job" / "job.json").read_text())["sources"] == 12


def test_a_worker_searches_as_the_job_says():
    recognizers = {search: batch._alone(batch.Job(detector="none", search=search)) for search in ("auto", "quick")}
    assert recognizers["auto"]._longest(moving=False) is None
    assert recognizers["quick"]._longest(moving=False) == 800


def test_a_job_that_another_process_does_is_left_to_it(pictures, tmp_path):
    with files.alone(tmp_path / "job"), pytest.raises(MienError, match=rf"job: process {os.getpid()} on .* is writing"):
        finish(batch.list_sources([str(pictures)]), tmp_path / "job", batch.Job())


@pytest.mark.parametrize(("read", "failed", "code"), [(0, 0, 1), (1, 0, 1), (4, 9, 2)])
def test_failures_of_earlier_runs_are_told_by_the_exit_code(tmp_path, monkeypatch, capsys, read, failed, code):
    done = batch.Done(4, read, 9 if read else 0, 0, failed, 1, 1.0, 1)
    monkeypatch.setattr(batch, "run", lambda *_, **__: iter([done]))
    monkeypatch.setattr("sys.argv", ["mien", "batch", str(PORTRAIT), "-o", str(tmp_path / "job")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
