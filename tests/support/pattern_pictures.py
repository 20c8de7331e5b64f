"""Pictures of stripes whose width is the label: what small networks learn in seconds, without any real face."""

from pathlib import Path

import numpy as np

from mien.data.writer import TableInfo
from mien.expressions import BASIC_SEVEN, FERPLUS_VOTES, canonical
from support.made_table import write_table


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
    rows = []
    for split, count in counts.items():
        for index in range(count):
            label = index % 7
            votes = [0] * 7 + [10, 0, 0] if index == 7 else votes_for(label)
            row = (pattern(label, rng), label, split, votes)
            rows += [row, row] if split == "train" and index == 0 else [row]
    write_table(path, TableInfo("patterns", "fer2013", BASIC_SEVEN), rows)
    return path
