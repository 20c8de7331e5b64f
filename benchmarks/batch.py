"""How much faster two workers of ``mien batch`` are than one, and what a core reads in a second.

    python benchmarks/batch.py docs/astronaut.jpg [--pictures 600] [--rounds 3] [--record benchmarks/batch.json]

Copies of the picture, 1024 px on the longest side, JPEG, go through YuNet and the default model; each worker has one
core and one thread. One and two workers take turns; figures are medians over the rounds. Loading the model counts, the
start of Ray (a few seconds, once a job) does not.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

import recording
from PIL import Image

from mien import batch

WORKERS = (1, 2)


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    load = [round(one, 1) for one in os.getloadavg()]
    rates: dict[int, list[float]] = {count: [] for count in WORKERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        folder.mkdir()
        with Image.open(asked.picture) as image:
            scale = 1024 / max(image.size)
            large = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
        for number in range(asked.pictures):
            large.save(folder / f"{number:05}.jpg", quality=88)
        sources = batch.list_sources([str(folder)])
        job = batch.Job(shard=max(asked.pictures // 20, 1))
        for turn in range(asked.rounds):
            for count in WORKERS:
                *_, done = batch.run(sources, Path(name, f"job-{turn}-{count}"), job, workers=count)
                assert isinstance(done, batch.Done)
                assert done.faces == asked.pictures
                rates[count].append(done.pictures / done.seconds)
                print(f"{count} workers: {rates[count][-1]:.1f} pictures/s", flush=True)
    found = {
        "pictures": asked.pictures,
        "pictures_per_second": {str(count): round(statistics.median(taken), 1) for count, taken in rates.items()},
        "two_against_one": round(statistics.median(b / a for a, b in zip(rates[1], rates[2], strict=True)), 2),
        "machine": {"cores": os.cpu_count(), "load_average": load},
    }
    recording.show(found, asked.record)


if __name__ == "__main__":
    main()
