"""Fixtures for all tests: where the real data lies, and a small table that can be learned."""

from pathlib import Path

import pytest
from pattern_pictures import write_patterns

from mien.data import table as tables
from mien.data.table import Table

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
