"""Weights files of others and of the hub: what is read, and what is said of those that cannot be."""

import pytest
import torch

from mien.errors import TrainingError
from mien.networks import weight_files


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no zip", "list"])
def test_a_file_that_is_no_table_of_weights_is_an_error(tmp_path, content):
    path = tmp_path / "bad.pth"
    if content == "list":
        torch.save([1, 2], path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"bad\.pth"):
        weight_files.read(path)


def test_mien_offline_asks_no_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    with pytest.raises(TrainingError, match="MIEN_OFFLINE forbids fetching"):
        weight_files.from_hub("resnet18.tv_in1k")


def test_hub_weights_offline_name_the_file_and_where_to_put_it(tmp_path, monkeypatch):
    import timm
    from safetensors.torch import save_file

    def offline(*_):
        raise ConnectionError("no network")

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    monkeypatch.setattr(timm.models, "load_state_dict_from_hf", offline)
    with pytest.raises(TrainingError) as caught:
        weight_files.from_hub("resnet18.tv_in1k")
    target = tmp_path / "weights" / "resnet18.tv_in1k.safetensors"
    assert "https://huggingface.co/timm/resnet18.tv_in1k/resolve/main/model.safetensors" in str(caught.value)
    assert str(target) in str(caught.value)
    target.parent.mkdir()
    save_file({"conv1.weight": torch.arange(6.0)}, target)
    assert torch.equal(weight_files.from_hub("resnet18.tv_in1k")["conv1.weight"], torch.arange(6.0))
    with pytest.raises(TrainingError, match=r"no weights .*resnet18"):
        weight_files.from_hub("resnet18.nobody")
