import torch

from mien.train.losses import soft_cross_entropy, summed
from mien.train.recipe import Head

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
ONE_HOT = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_on_one_hot_targets_it_is_cross_entropy():
    expected = torch.nn.functional.cross_entropy(LOGITS, torch.tensor([0, 1, 2]))
    assert torch.allclose(soft_cross_entropy(LOGITS, ONE_HOT), expected)


def test_label_smoothing_is_that_of_torch():
    expected = torch.nn.functional.cross_entropy(LOGITS, torch.tensor([0, 1, 2]), label_smoothing=0.1)
    assert torch.allclose(soft_cross_entropy(LOGITS, ONE_HOT, 0.1), expected)


def test_faces_without_a_label_do_not_count():
    masked = ONE_HOT.clone()
    masked[2] = 0
    expected = torch.nn.functional.cross_entropy(LOGITS[:2], torch.tensor([0, 1]), label_smoothing=0.1)
    assert torch.allclose(soft_cross_entropy(LOGITS, masked, 0.1), expected)
    assert soft_cross_entropy(LOGITS, torch.zeros(3, 3)) == 0


def test_votes_pull_towards_their_shares():
    votes = torch.tensor([[0.5, 0.5, 0.0]])
    balanced = soft_cross_entropy(torch.tensor([[1.0, 1.0, -9.0]]), votes)
    certain = soft_cross_entropy(torch.tensor([[9.0, -9.0, -9.0]]), votes)
    assert balanced < certain


def test_heads_are_summed_with_their_weights():
    logits = {"a": LOGITS, "b": LOGITS}
    targets = {"a": ONE_HOT, "b": ONE_HOT.flip(0)}
    one = summed(logits, targets, [Head(label_set="a")])
    both = summed(logits, targets, [Head(label_set="a"), Head(label_set="b", weight=2.0)])
    assert torch.allclose(both, one + 2 * summed(logits, targets, [Head(label_set="b")]))
