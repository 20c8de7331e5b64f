"""A tiny run, trained once, and run folders with untrained networks for what needs no training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mien.data.table import Table
from mien.export import package
from mien.models import Model
from mien.networks.build import build
from mien.recipes import loader
from mien.recipes.schema import Recipe
from mien.runs import RunFolder
from mien.train import run
from support.tiny_recipe import SPEC


@pytest.fixture(scope="session")
def finished(patterns, tmp_path_factory) -> RunFolder:
    """Two epochs on the pattern pictures."""
    return run.train(SPEC, patterns, tmp_path_factory.mktemp("export") / "run")


@pytest.fixture(scope="session")
def fused(finished, patterns, tmp_path_factory) -> Model:
    """The model file of that run."""
    return package.package(finished, patterns, tmp_path_factory.mktemp("fused") / "tiny.onnx")


@pytest.fixture(scope="session")
def heads_only(finished, patterns, tmp_path_factory) -> Model:
    """The same as files were before there was a fusion."""
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(package, "fusible", lambda *_: False)
        return package.package(finished, patterns, tmp_path_factory.mktemp("heads") / "tiny.onnx")


@pytest.fixture
def untrained(tmp_path) -> Callable[[Recipe, Table], RunFolder]:
    """Makes the folder of a run that never ran: random weights, everything else in place."""

    def make(spec: Recipe, table: Table) -> RunFolder:
        folder = RunFolder(Path(tmp_path) / "untrained")
        folder.create()
        folder.write(folder.recipe, loader.dump(spec).encode())
        labels = {head.label_set: table.label_sets[head.label_set] for head in spec.heads}
        facts = {"state": "finished", "data": table.fingerprint, "labels": labels, "seed": 0, "parameters": 1}
        folder.write(folder.run, json.dumps(facts | {"seconds": 1, "environment": {}}).encode())
        torch.manual_seed(0)
        network = build(spec, {name: len(names) for name, names in labels.items()})
        folder.save(folder.best, {"network": network.state_dict(), "epoch": 1, "selection": 0.0})
        return folder

    return make
