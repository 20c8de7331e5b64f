import torch

from mien.train import recipe
from mien.train.networks import Classifier, parameters

SPEC = recipe.Network(stem=(8,), widths=(8, 16), depths=(1, 2), dropout=0.5)


def test_each_head_has_its_labels_and_any_size_goes_in():
    network = Classifier(SPEC, {"ferplus": 8, "fer2013": 7}).eval()
    for size in (40, 48, 64):
        out = network(torch.rand(3, 1, size, size))
        assert {name: rows.shape for name, rows in out.items()} == {"ferplus": (3, 8), "fer2013": (3, 7)}


def test_parameters_of_the_plain_network_of_the_literature():
    # By hand: stem, six blocks of two 3x3 convolutions, two 1x1 shortcuts, batch norms and both heads.
    widths = (40, 80, 160)
    conv = 9 * (1 * 40 + 4 * 40 * 40 + 40 * 80 + 3 * 80 * 80 + 80 * 160 + 3 * 160 * 160) + 40 * 80 + 80 * 160
    norm = 2 * (40 + sum(4 * width for width in widths) + 80 + 160)
    heads = 160 * 15 + 15
    network = Classifier(recipe.Network(widths=widths), {"ferplus": 8, "fer2013": 7})
    assert parameters(network) == conv + norm + heads


def test_dropout_acts_in_training_only():
    network, faces = Classifier(SPEC, {"a": 4}), torch.rand(4, 1, 48, 48)
    network.backbone.eval()
    assert not torch.equal(network(faces)["a"], network(faces)["a"])
    network.eval()
    assert torch.equal(network(faces)["a"], network(faces)["a"])
