from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def portrait() -> Path:
    """A public-domain photo with one face, 512x512; see docs/PICTURES.md."""
    return Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"


@pytest.fixture
def gradient() -> np.ndarray:
    """RGB uint8 (40, 60, 3), smooth, with no symmetry that could hide a flip or a swapped channel."""
    rows, columns = np.mgrid[0:40, 0:60]
    return np.stack([rows * 6, columns * 4, (rows + columns) * 2], axis=2).astype(np.uint8)
