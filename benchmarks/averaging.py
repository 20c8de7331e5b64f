"""What seeds differ by, and what the mean of runs' weights says beside the mean of their answers, on validation.

    python benchmarks/averaging.py fer2013.parquet runs/fast-distilled runs/fast-distilled-2 runs/fast-distilled-3

Runs of one recipe that started from the same weights and differ by their seed. Fine-tuned networks are often near
enough for the mean of their weights to beat each of them at the cost of one (Wortsman et al. 2022, "Model soups");
the mean of their answers costs as much as all. Batch norm is measured anew for the mean of weights. Top-1 on PublicTest
in percent, 32 bit, before calibration; recorded in benchmarks/averaging.json. The test split is never read.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import recording
import torch
from torch.optim.swa_utils import update_bn

from mien.data import table as tables
from mien.networks import build
from mien.recipes import loader as recipes
from mien.recipes.commands import differences
from mien.runs import RunFolder
from mien.train import faces
from mien.train.scoring import score

RECORD = Path(__file__).with_suffix(".json")
_FACES, _BATCH = 8_192, 256


def table(record: dict[str, Any]) -> str:
    """The record as rows of Markdown."""
    sets = list(record["top1"]["mean of the weights"])
    rows: list[Sequence[str]] = []
    for name, figures in record["top1"].items():
        rows.append((name, *(f"{figures[one]:.2f}" for one in sets)))
        if name == record["runs"][-1]:
            spread = ([record["top1"][run][one] for run in record["runs"]] for one in sets)
            cells = (f"{statistics.mean(s):.2f} ± {statistics.stdev(s):.2f}" for s in spread)
            rows.append(("mean and standard deviation of the runs", *cells))
    return recording.markdown(("", *sets), rows)


def measure(data: Path, folders: list[str]) -> dict[str, Any]:
    """Every run, the mean of their weights, and the mean of their answers.

    Raises:
        SystemExit: the runs are of different recipes.
    """
    runs = [RunFolder(folder) for folder in folders]
    spec, *others = [recipes.load_network(run.recipe) for run in runs]
    for other in others:
        changed = differences(spec.model_dump(mode="json"), other.model_dump(mode="json"))
        if [change for change in changed if not change.startswith("seed=")]:
            raise SystemExit(f"these runs differ by more than their seed: {', '.join(changed)}")
    applied = faces.as_trained(tables.read(data), spec)
    train, validation = (faces.load(applied, split, spec, torch.device("cpu")) for split in ("train", "validation"))

    def top1(answers: dict[str, torch.Tensor]) -> dict[str, float]:
        found = {}
        for name, said in answers.items():
            truth = validation.truth[name]
            known = truth >= 0
            found[name] = round(100 * float((said.argmax(dim=1) == truth)[known].float().mean()), 2)
        return found

    members = [build.restore(run) for run in runs]
    said = [score(member, validation.pixels) for member in members]
    mean = copy.deepcopy(members[0])
    states = [member.state_dict() for member in members]
    mean.load_state_dict({k: torch.stack([s[k].float() for s in states]).mean(0).to(v) for k, v in states[0].items()})
    chosen = torch.linspace(0, len(train.pixels) - 1, min(len(train.pixels), _FACES)).long()
    as_averaged = top1(score(mean, validation.pixels))
    update_bn((train.pixels[part].float() / 255 for part in chosen.split(_BATCH)), mean)
    together = {name: torch.stack([torch.softmax(one[name], dim=1) for one in said]).mean(0) for name in said[0]}
    return {
        "runs": folders,
        "top1": dict(zip(folders, map(top1, said), strict=True))
        | {
            "mean of the weights": top1(score(mean, validation.pixels)),
            "mean of the weights, batch norm averaged too": as_averaged,
            "mean of the answers": top1(together),
        },
    }


def main() -> None:
    """Measure the named runs, or print the record."""
    parser = recording.parser(__doc__, data=False, record=False)
    parser.add_argument("runs", nargs="*")
    asked = parser.parse_args()
    if asked.data:
        recording.write(RECORD, measure(asked.data, asked.runs))
    print(table(recording.read(RECORD)))


if __name__ == "__main__":
    main()
