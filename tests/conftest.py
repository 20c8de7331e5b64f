"""Fixtures for all tests: where the real data lies, and a small table that can be learned."""

from pathlib import Path

import numpy as np
import pytest

from mien.data import table as tables
from mien.data.table import Table
from support.pattern_pictures import write_patterns

RECIPE = """
name: tiny
description: "stripes & <b>bars</b>"
seed: 1
heads: [{label_set: ferplus}, {label_set: fer2013}]
network: {widths: [8, 16], depths: [1, 1]}
precision: 32-true
stages:
  - {epochs: 2, learning_rate: 0.05, batch_size: 20, augmentation: {flip: true, shift: 0.05}}
  - {epochs: 2, learning_rate: 0.02, batch_size: 20}
"""

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with FER2013 and the face models; tests that need it skip where it is absent."""
    if not (SHARED / "data" / "fer2013.parquet").exists():
        pytest.skip(f"real data is not at {SHARED.name}/ beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def patterns_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table file of 140 training, 35 validation and 35 test pictures that a network learns in seconds."""
    counts = {"train": 140, "validation": 35, "test": 35}
    return write_patterns(tmp_path_factory.mktemp("patterns") / "patterns.parquet", counts)


@pytest.fixture(scope="session")
def patterns(patterns_path: Path) -> Table:
    """The table of ``patterns_path``, read."""
    return tables.read(patterns_path)


@pytest.fixture
def portrait() -> Path:
    """A public-domain photo with one face, 512x512; see docs/PICTURES.md."""
    return Path(__file__).resolve().parents[1] / "docs" / "astronaut.jpg"


@pytest.fixture
def gradient() -> np.ndarray:
    """RGB uint8 (40, 60, 3), smooth, with no symmetry that could hide a flip or a swapped channel."""
    rows, columns = np.mgrid[0:40, 0:60]
    return np.stack([rows * 6, columns * 4, (rows + columns) * 2], axis=2).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_runs(patterns, tmp_path_factory) -> list[Path]:
    """Run folders ``one`` and ``two``: seeds 1 and 2."""
    from mien.export import package
    from mien.recipes import loader
    from mien.train import run

    folder = tmp_path_factory.mktemp("runs")
    for seed, name in ((1, "one"), (2, "two")):
        finished = run.train(loader.parse(RECIPE, overrides=[f"seed={seed}"]), patterns, folder / name)
        package.package(finished, patterns, finished.model)
    return [folder / "one", folder / "two"]
