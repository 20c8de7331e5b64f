"""docs/fine-tuning.md: every command of the page, in its order, on made-up pictures of three made-up labels."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import models
from support.pattern_pictures import pattern

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LABELS = ("bored", "engaged", "sleepy")
# So that the page's runs take seconds: fewer epochs than the recipes ask for.
SHORT = ["--set", "stages.0.epochs=4", "--set", "stages.1.epochs=2"]


def commands() -> list[list[str]]:
    """The lines of the page's code blocks and its inline commands that are mien's."""
    text = (ROOT / "docs" / "fine-tuning.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("mien ")]
    inline = re.findall(r"`(mien [^`]* -[^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [shlex.split(line) for line in lines + inline]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what the page's reader has: pictures by label, a photo, and a ResNet50 of torchvision's."""
    import torch
    from torchvision.models import resnet50

    folder = tmp_path_factory.mktemp("fine-tuning")
    rng = np.random.default_rng(0)
    for number, label in enumerate(LABELS):
        (folder / "my-faces" / label).mkdir(parents=True)
        for index in range(20):
            picture = cv2.resize(pattern(2 * number, rng), (96, 96))
            cv2.imwrite(str(folder / "my-faces" / label / f"{index:03d}.png"), picture)
    shutil.copy(ROOT / "docs" / "astronaut.jpg", folder / "photo.jpg")
    torch.save(resnet50(weights=None).state_dict(), folder / "resnet50.pth")
    return folder


def test_every_command_of_the_page_runs_and_the_model_learns(place, tmp_path):
    asked = commands()
    assert len(asked) >= 14
    environment = os.environ | {"MIEN_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "MIEN_CACHE": str(tmp_path)}
    for words in asked:
        offline_hub = words[:3] == ["mien", "train", "paper-imagenet"] and not any("weights" in w for w in words)
        more = SHORT if words[1] in {"train", "tune"} else []
        command = [str(Path(sys.executable).with_name("mien")), *words[1:], *more]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        said = f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in said
        if offline_hub:  # without a network the command says which file to fetch, and where to put it
            assert done.returncode == 2, said
            assert "resnet50.tv_in1k" in done.stderr
            assert str(tmp_path) in done.stderr
        else:
            assert done.returncode == 0, said
    card = models.read_card(place / "runs" / "fine-tune" / "model.onnx")
    assert card.outputs["probabilities"].labels == LABELS
    assert card.outputs["probabilities"].metrics["validation"]["top1"] > 60
    assert models.read_card(place / "small.onnx").training["export"]["precision"] == "int8"
