import pytest
import torch
import torch.nn.functional as F

from mien.recipes.schema import Head
from mien.train.losses import Loss, chosen

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
ONE_HOT = torch.eye(3)
VOTES = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
SKEWED = torch.eye(3)[[0] * 6 + [1] * 3 + [2]]
LOSSES = [
    Head(label_set="a"),
    Head(label_set="a", label_smoothing=0.2),
    Head(label_set="a", loss="focal"),
    Head(label_set="a", loss="sigmoid"),
    Head(label_set="a", loss="sigmoid", label_smoothing=0.2),
    Head(label_set="a", class_weights="balanced"),
]


def loss(logits: torch.Tensor, rows: torch.Tensor, training: torch.Tensor = SKEWED, **options) -> torch.Tensor:
    """The loss of one batch that is the whole step, for a head with these options."""
    head = Head(label_set="a", **options)
    return Loss([head], {"a": training})({"a": logits}, {"a": rows}, {"a": rows.sum()})


def name(head: Head) -> str:
    return " ".join(f"{key}={value}" for key, value in head if key != "label_set" and key in head.model_fields_set)


def test_on_one_hot_targets_it_is_cross_entropy():
    expected = F.cross_entropy(LOGITS, torch.tensor([0, 1, 2]))
    assert torch.allclose(loss(LOGITS, ONE_HOT), expected)


def test_label_smoothing_is_that_of_torch():
    expected = F.cross_entropy(LOGITS, torch.tensor([0, 1, 2]), label_smoothing=0.1)
    assert torch.allclose(loss(LOGITS, ONE_HOT, label_smoothing=0.1), expected)
    assert not torch.allclose(loss(LOGITS, ONE_HOT), expected)


def test_the_default_models_loss_is_bit_for_bit_what_it_was():
    """Before there were other losses: cross-entropy, divided by the sum of the targets."""
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(128, 8, generator=generator), torch.rand(128, 8, generator=generator).softmax(dim=1)
    targets[::7] = 0
    old, new = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    labelled = targets.sum(dim=1)
    smoothed = targets * (1 - 0.1) + labelled.unsqueeze(1) * 0.1 / targets.shape[1]
    expected = -(smoothed * torch.log_softmax(old, dim=1)).sum(dim=1)
    (expected.sum() / labelled.sum().clamp(min=1)).backward()
    head = Head(label_set="a", label_smoothing=0.1)
    Loss([head], {"a": targets})({"a": new}, {"a": targets}, {"a": labelled.sum()}).backward()
    assert old.grad is not None
    assert new.grad is not None
    assert torch.equal(new.grad, old.grad)


@pytest.mark.parametrize("head", LOSSES, ids=name)
def test_a_face_without_a_label_contributes_nothing_nor_does_its_gradient(head):
    logits = LOGITS.clone().requires_grad_()
    targets = ONE_HOT.clone()
    targets[2] = 0
    total = Loss([head], {"a": SKEWED})({"a": logits}, {"a": targets}, {"a": torch.tensor(2)})
    total.backward()
    two = Loss([head], {"a": SKEWED})({"a": LOGITS[:2]}, {"a": ONE_HOT[:2]}, {"a": torch.tensor(2)})
    assert torch.allclose(total, two)
    assert logits.grad is not None
    assert (logits.grad[:2] != 0).all()
    assert (logits.grad[2] == 0).all()


@pytest.mark.parametrize("head", LOSSES, ids=name)
def test_a_batch_without_labels_is_zero(head):
    none = {"a": torch.zeros(3, 3)}
    assert Loss([head], {"a": SKEWED})({"a": LOGITS}, none, {"a": torch.tensor(0)}) == 0


@pytest.mark.parametrize("head", LOSSES, ids=name)
def test_a_permuted_label_order_changes_the_loss(head):
    criterion, labelled = Loss([head], {"a": SKEWED}), {"a": torch.tensor(3)}
    right = criterion({"a": LOGITS}, {"a": ONE_HOT}, labelled)
    permuted = criterion({"a": LOGITS}, {"a": ONE_HOT[:, [1, 2, 0]]}, labelled)
    assert permuted > right + 0.1


@pytest.mark.parametrize("head", LOSSES, ids=name)
def test_the_loss_to_a_blend_is_the_blend_of_the_losses(head):
    criterion, labelled = Loss([head], {"a": SKEWED}), {"a": torch.tensor(1)}
    one, other = (criterion({"a": LOGITS}, {"a": rows}, labelled) for rows in (ONE_HOT, VOTES))
    blend = criterion({"a": LOGITS}, {"a": 0.3 * ONE_HOT + 0.7 * VOTES}, labelled)
    assert torch.allclose(blend, 0.3 * one + 0.7 * other)
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("head", LOSSES, ids=name)
def test_two_processes_add_up_to_the_gradients_of_one(head):
    whole, parts = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    targets = VOTES.clone()
    targets[1] = 0
    criterion, labelled = Loss([head], {"a": SKEWED}), {"a": torch.tensor(2)}
    criterion({"a": whole}, {"a": targets}, labelled).backward()
    for rows in ([0, 1], [2]):
        criterion({"a": parts[rows]}, {"a": targets[rows]}, labelled).backward()
    assert whole.grad is not None
    assert parts.grad is not None
    assert torch.allclose(whole.grad, parts.grad, atol=1e-7)


@pytest.mark.parametrize("head", LOSSES, ids=name)
def test_half_precision_logits_lose_nothing_more(head):
    criterion, labelled = Loss([head], {"a": SKEWED}), {"a": torch.tensor(3)}
    rough = (LOGITS * 1.37).bfloat16()
    assert torch.equal(
        criterion({"a": rough}, {"a": VOTES}, labelled), criterion({"a": rough.float()}, {"a": VOTES}, labelled)
    )


def test_votes_pull_towards_their_shares():
    votes = torch.tensor([[0.5, 0.5, 0.0]])
    between = loss(torch.tensor([[1.0, 1.0, -9.0]]), votes)
    certain = loss(torch.tensor([[9.0, -9.0, -9.0]]), votes)
    assert between < certain


def test_majority_is_one_hot_of_the_most_likely_label_and_the_first_of_equals():
    head = Head(label_set="a", targets="majority")
    rows = torch.cat([VOTES, torch.zeros(1, 3)])
    out = chosen([head, Head(label_set="b")], {"a": rows, "b": rows})
    assert out["a"].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert torch.equal(out["b"], rows)
    assert out["a"].dtype == rows.dtype


def test_majority_learns_the_majority():
    rows = chosen([Head(label_set="a", targets="majority")], {"a": VOTES})["a"]
    expected = F.cross_entropy(LOGITS, torch.tensor([0, 1, 0]))
    assert torch.allclose(loss(LOGITS, rows, rows, targets="majority"), expected)
    assert not torch.allclose(loss(LOGITS, VOTES), expected)


def test_majority_of_targets_that_were_not_chosen_is_refused():
    with pytest.raises(ValueError, match=r"'a' are not one-hot: pass them through losses\.chosen"):
        Loss([Head(label_set="a", targets="majority")], {"a": VOTES})


@pytest.mark.parametrize("targets", [ONE_HOT, VOTES], ids=["one-hot", "votes"])
def test_focal_without_gamma_is_cross_entropy(targets):
    assert torch.allclose(loss(LOGITS, targets, loss="focal", focal_gamma=0), loss(LOGITS, targets))


def test_focal_is_the_formula_and_spares_what_is_easy():
    easy, hard = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[-1.0, 0.0, 0.0]])
    target = torch.tensor([[1.0, 0.0, 0.0]])
    p = easy.softmax(dim=1)[0, 0]
    assert torch.allclose(loss(easy, target, loss="focal"), -((1 - p) ** 2) * p.log())
    kept = {label: loss(x, target, loss="focal") / loss(x, target) for label, x in (("easy", easy), ("hard", hard))}
    assert kept["easy"] < 0.02
    assert 0.5 < kept["hard"] < 1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_finite_gradients_where_a_label_is_certain(gamma):
    logits = torch.tensor([[200.0, 0.0, -200.0]], requires_grad=True)
    loss(logits, torch.tensor([[0.5, 0.5, 0.0]]), loss="focal", focal_gamma=gamma).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("targets", [ONE_HOT, VOTES], ids=["one-hot", "votes"])
def test_sigmoid_is_torchs_binary_cross_entropy_of_each_label(targets):
    assert torch.allclose(loss(LOGITS, targets, loss="sigmoid"), torch.nn.BCEWithLogitsLoss()(LOGITS, targets))
    smoothed = torch.nn.BCEWithLogitsLoss()(LOGITS, targets * 0.9 + 0.1 / 3)
    assert torch.allclose(loss(LOGITS, targets, loss="sigmoid", label_smoothing=0.1), smoothed)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "sigmoid"])
def test_balanced_labels_pull_equally_and_the_mean_weight_is_one(kind):
    """With the same logits for all faces, each label's faces together make the same loss."""
    same = torch.zeros(10, 3)
    parts = []
    for label in range(3):
        rows = SKEWED * (SKEWED.argmax(dim=1) == label).unsqueeze(1)
        head = Head(label_set="a", loss=kind, class_weights="balanced")
        parts.append(Loss([head], {"a": SKEWED})({"a": same}, {"a": rows}, {"a": torch.tensor(10)}))
    plain = loss(same, SKEWED, loss=kind)
    assert torch.allclose(torch.stack(parts), plain.expand(3) / 3)
    assert torch.allclose(loss(same, SKEWED, loss=kind, class_weights="balanced"), plain)


def test_balanced_weights_are_those_of_torch():
    weight = 10 / (3 * torch.tensor([6.0, 3.0, 1.0]))
    expected = F.cross_entropy(LOGITS, torch.tensor([0, 1, 2]), weight=weight, reduction="sum") / 3
    assert torch.allclose(loss(LOGITS, ONE_HOT, class_weights="balanced"), expected)


def test_a_label_that_does_not_occur_weighs_nothing():
    rows = torch.eye(3)[[0, 0, 1]]
    assert loss(LOGITS, rows, training=rows, class_weights="balanced").isfinite()


def test_heads_are_summed_with_their_weights():
    logits, targets = {"a": LOGITS, "b": LOGITS}, {"a": ONE_HOT, "b": ONE_HOT.flip(0)}
    labelled = {"a": torch.tensor(3), "b": torch.tensor(3)}

    def total(*heads: Head) -> torch.Tensor:
        return Loss(heads, targets)(logits, targets, labelled)

    one, other = Head(label_set="a"), Head(label_set="b", loss="sigmoid")
    both = total(one, other.model_copy(update={"weight": 2.0}))
    assert torch.allclose(both, total(one) + 2 * total(other))
