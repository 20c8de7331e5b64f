"""Fixtures for all tests: where the real data lies, and a small table that can be learned."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import table as tables
from mien.data.table import Table
from mien.data.writer import TableInfo, TableWriter, pixel_digest
from mien.expressions import BASIC_SEVEN, FERPLUS_VOTES, canonical

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with FER2013 and the face models; tests that need it skip where it is absent."""
    if not (SHARED / "data" / "fer2013.parquet").exists():
        pytest.skip(f"real data is not at {SHARED.name}/ beside the repository")
    return SHARED


def pattern(label: int, rng: np.random.Generator) -> np.ndarray:
    """A grey 48x48 picture that shows its label as stripes of one of seven widths, with noise all over."""
    period = (2, 3, 4, 6, 8, 12, 24)[label]
    stripes = (np.arange(48) + rng.integers(48)) % period < period / 2
    return (rng.integers(40, 110, (48, 48)) + 130 * stripes).astype(np.uint8)


def votes_for(label: int) -> list[int]:
    """Ten FER+ votes: eight for the label, two for neutral or, if it is neutral, for sadness."""
    names = [canonical(name) if name not in {"unknown", "NF"} else name for name in FERPLUS_VOTES]
    votes = [0] * len(names)
    votes[names.index(BASIC_SEVEN[label])] += 8
    votes[names.index("sad" if BASIC_SEVEN[label] == "neutral" else "neutral")] += 2
    return votes


def write_patterns(path: Path, counts: dict[str, int], *, seed: int = 0) -> Path:
    """A table of pattern pictures, labels in turn, contempt voted for once in each split; one training copy."""
    rng = np.random.default_rng(seed)
    row = 0
    with TableWriter(path, TableInfo("patterns", "fer2013", BASIC_SEVEN)) as writer:
        for split, count in counts.items():
            for index in range(count):
                label = index % 7
                pixels = pattern(label, rng)
                votes = [0] * 7 + [10, 0, 0] if index == 7 else votes_for(label)
                for _ in range(2 if split == "train" and index == 0 else 1):
                    writer.add(
                        image=cv2.imencode(".png", pixels)[1].tobytes(),
                        path="",
                        label=label,
                        split=split,
                        row=row,
                        group=row,
                        digest=pixel_digest(pixels),
                        votes=votes,
                    )
                    row += 1
    return path


@pytest.fixture(scope="session")
def patterns_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table file of 140 training, 35 validation and 35 test pictures that a network learns in seconds."""
    counts = {"train": 140, "validation": 35, "test": 35}
    return write_patterns(tmp_path_factory.mktemp("patterns") / "patterns.parquet", counts)


@pytest.fixture(scope="session")
def patterns(patterns_path: Path) -> Table:
    """The table of ``patterns_path``, read."""
    return tables.read(patterns_path)
