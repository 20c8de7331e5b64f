"""Millions of pictures on all cores of a machine or a cluster, by Ray Data, into shards of Parquet.

A job is a list of sources cut into shards. Each shard is read by one worker (one process, one core, one model) and is
there whole or not at all, so a killed worker or a stopped job loses the shards in work and nothing else: call it again
and it goes on. Owns the job, its folder and its workers. Refuses to know how pictures are read: workers run
:class:`mien.Recognizer`.

    DIR/job.json              what the job is; another job is refused the folder
    DIR/part-000000.parquet   the rows of a shard, as ``mien predict -o`` writes them
    DIR/failures.csv          what could not be read, and why; written at the end
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien import files
from mien.batch_guard import guarded
from mien.batch_ray import start
from mien.detection.detectors import build
from mien.errors import MienError, MienWarning, PictureError, require
from mien.models import read_card
from mien.outputs.tables import Parquet
from mien.recognizer import Recognizer
from mien.sources import formats
from mien.sources.listing import find_pictures
from mien.sources.sources import ReadOptions, source_frames
from mien.tracking.options import TrackingOptions

_FORMAT = 1


@dataclass(frozen=True)
class Job:
    """What is done to every source.

    Attributes:
        model: an installed model or the path of a file, which every worker must see; None: the default.
        detector, align, min_size, error_rate, prior, search: as :class:`mien.Recognizer` takes them.
        every: of videos, take only every N-th frame.
        smooth: seconds that probabilities are averaged over in videos.
        shard: sources in a shard; a video or an archive counts as one.
    """

    model: str | None = None
    detector: str = "auto"
    align: bool = False
    min_size: float = 0.0
    error_rate: float | None = None
    every: int = 1
    smooth: float = 0.4
    shard: int = 500
    prior: str | None = None
    search: str = "auto"


@dataclass(frozen=True)
class Done:
    """What a run did.

    Attributes:
        shards: of the whole job; ``read`` of them in this run, the others before.
        pictures, faces, failed: of this run.
        failures: pictures of the whole job that could not be read, as failures.csv lists them.
        seconds: from the start of the first worker to the end of the last, loading the model included; Ray's own start
            is not.
        workers: how many there were.
    """

    shards: int
    read: int
    pictures: int
    faces: int
    failed: int
    failures: int
    seconds: float
    workers: int

    @property
    def pictures_per_second_and_core(self) -> float:
        """Pictures a second of one worker, which has one core; 0 where nothing was left to do."""
        return self.pictures / (self.seconds * self.workers) if self.seconds else 0.0


def list_sources(words: Sequence[str]) -> list[str]:
    """Every file that the words mean, folders resolved; other words (archives, addresses) stay what they are.

    Raises:
        PictureError: a folder cannot be listed, or nothing is there.
    """
    found: list[str] = []
    for word in words:
        if Path(word).is_dir():
            found += map(str, find_pictures(Path(word), formats.PICTURES | formats.VIDEOS))
        else:
            found.append(word)
    if not found:
        raise PictureError(f"{', '.join(words)}: nothing to read there")
    return found


def run(
    sources: Sequence[str], folder: Path, job: Job, *, address: str | None = None, workers: int | None = None
) -> Iterator[tuple[int, int] | Done]:
    """Do a job, or what is left of it.

    Args:
        sources: as :func:`list_sources` gives them; on a cluster every worker must see them under these names.
        folder: the job's, made if it is not there; on a cluster, on a disk that all machines share.
        job: what to do.
        address: of a Ray cluster, "auto" for the one this machine belongs to; None: this machine.
        workers: how many; None: one per core.

    Yields:
        (shards done, shards of the job) after each shard, at last a :class:`Done`.

    Warns:
        MienWarning: a worker looks for faces with another detector than the best, and why.

    Raises:
        MissingExtraError: Ray is not installed.
        MienError: the folder belongs to another job, is being written by another process or cannot be written, or Ray
            failed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray tells its maker about each cluster
    require("ray", "batch")
    with files.alone(folder), guarded():
        yield from _run(sources, folder, job, address, workers)


def _run(
    sources: Sequence[str], folder: Path, job: Job, address: str | None, workers: int | None
) -> Iterator[tuple[int, int] | Done]:
    ray, data = require("ray", "batch"), require("ray.data", "batch")
    shards = [list(sources[start : start + job.shard]) for start in range(0, len(sources), job.shard)]
    files.keep_inputs(sources, *_files_of(folder))
    _claim(folder, job, sources)
    left = [number for number in range(len(shards)) if not _part(folder, number).exists()]
    pictures = faces = failed = 0
    seconds, count, noted = 0.0, 0, False
    if left:
        start(ray, address, workers)
        began = time.monotonic()
        try:
            count = workers or max(round(ray.cluster_resources().get("CPU", 1)), 1)
            count = min(count, len(left))
            context = data.DataContext.get_current()
            context.enable_progress_bars = context.print_on_execution_start = False
            told = {"job": json.dumps(asdict(job)), "folder": str(folder.absolute())}
            items = [told | {"number": number, "sources": json.dumps(shards[number])} for number in left]
            pool = data.ActorPoolStrategy(size=count)
            rows = data.from_items(items, override_num_blocks=len(left)).map(ReadShard, compute=pool, num_cpus=1)
            done = len(shards) - len(left)
            for row in rows.iter_rows():
                if row["error"]:
                    raise MienError(f"the job stopped: {row['error']}; call it again to continue")
                pictures, faces, failed = (
                    pictures + row["pictures"],
                    faces + row["faces"],
                    failed + row["failed"],
                )
                if row["notice"] and not noted:
                    noted = True
                    warnings.warn(row["notice"], MienWarning, stacklevel=2)
                done += 1
                yield done, len(shards)
            seconds = time.monotonic() - began
        except ray.exceptions.RayError as error:
            raise MienError(f"the job stopped: {_cause(error)}; call it again to continue") from error
        finally:
            ray.shutdown()
            files.sweep(folder)  # of the workers that were ended in the middle of a shard
    failures = _write_failures(folder, len(shards))
    yield Done(len(shards), len(left), pictures, faces, failed, failures, seconds, count)


class ReadShard:
    """A worker: reads shards one after the other with one thread.

    What it needs comes with each shard: Ray cannot restart a killed worker whose constructor had arguments.
    """

    def __init__(self) -> None:
        self._recognizer: Recognizer | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Read a shard and write its part; returns its number and counts, or why it could not be written.

        What went wrong is returned, not raised: Ray would put its own words around it.
        """
        try:
            return self._read(row) | {"error": ""}
        except (MienError, OSError) as error:
            return {"number": row["number"], "pictures": 0, "faces": 0, "failed": 0, "notice": "", "error": str(error)}

    def _read(self, row: dict[str, Any]) -> dict[str, Any]:
        job = Job(**json.loads(row["job"]))
        recognizer = self._recognizer = self._recognizer or _alone(job)
        labels = list(next(iter(recognizer.model.card.outputs.values())).labels)
        pictures = faces = failed = 0
        part = Parquet(_part(Path(row["folder"]), int(row["number"])), labels)
        found = source_frames(json.loads(row["sources"]), ReadOptions(every=job.every))
        try:
            for _, frame in recognizer.read(found, TrackingOptions(smooth=job.smooth)):
                part.write(frame)
                pictures, faces, failed = pictures + 1, faces + len(frame.faces), failed + (frame.error is not None)
        except BaseException:
            part.discard()
            raise
        part.close()
        counts = {"pictures": pictures, "faces": faces, "failed": failed}
        return {"number": row["number"], **counts, "notice": recognizer.notice or ""}


def _alone(job: Job) -> Recognizer:
    """A recognizer that takes one core."""
    import cv2

    cv2.setNumThreads(1)
    return Recognizer(
        job.model,
        build(job.detector, threads=1),
        threads=1,
        align=job.align,
        min_size=job.min_size,
        error_rate=job.error_rate,
        prior=job.prior,
        search=job.search,
    )


def _claim(folder: Path, job: Job, sources: Sequence[str]) -> None:
    """Write what the job is, or see that the folder belongs to the same one."""
    listed = hashlib.sha256("\n".join(sources).encode("utf-8", "surrogateescape")).hexdigest()
    model = read_card(job.model).graph_sha256
    mine = {"format": _FORMAT, "job": asdict(job), "model_sha256": model, "sources": len(sources), "list": listed}
    path = folder / "job.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if json.loads(path.read_text(encoding="utf-8")) != mine:
                raise MienError(f"{folder} holds another job, of other sources or options: choose another folder")
            return
        files.write(path, json.dumps(mine, indent=1) + "\n")
    except OSError as error:
        raise MienError(f"cannot write {folder}: {error.strerror or error}") from error
    except ValueError as error:
        raise MienError(f"{path} is damaged: remove the folder, or choose another") from error


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06}.parquet"


def _files_of(folder: Path) -> list[Path]:
    """What a job writes and that is there already."""
    return [folder / "job.json", folder / "failures.csv", *folder.glob("part-*.parquet")]


def _write_failures(folder: Path, shards: int) -> int:
    """List what could not be read; returns how many."""
    count = 0
    parquet = require("pyarrow.parquet", "batch")
    with (
        files.AtomicFile(folder / "failures.csv") as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("source", "frame", "error"))
        for number in range(shards):
            table = parquet.read_table(
                _part(folder, number), columns=["source", "frame", "error"], filters=[("error", "!=", "")]
            )
            lines.writerows([row["source"], row["frame"], row["error"]] for row in table.to_pylist())
            count += table.num_rows
    return count


def _cause(error: BaseException) -> str:
    """The innermost reason, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
