"""Two finished runs of one recipe on the pattern pictures: trained and exported once for all tests that need them."""

from pathlib import Path

import pytest

from mien.export import package
from mien.train import recipe, run

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


@pytest.fixture(scope="session")
def tiny_runs(patterns, tmp_path_factory) -> list[Path]:
    """Run folders ``one`` and ``two``: seeds 1 and 2."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in ((1, "one"), (2, "two")):
        finished = run.train(recipe.parse(RECIPE, overrides=[f"seed={seed}"]), patterns, folder / name)
        package.package(finished, patterns, finished.model)
    return [folder / "one", folder / "two"]
