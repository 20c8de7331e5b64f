import pytest
import torch
from torch import nn

from mien.recipes.schema import Stage
from mien.train import optimize
from mien.train.optimize import is_over, learning_rate, optimizer


def stage(**values):
    return Stage(**{"epochs": 10, "learning_rate": 1.0} | values)


def test_cosine_warms_up_and_falls():
    cosine = stage(final_learning_rate=0.2, warmup_epochs=2)
    assert [learning_rate(cosine, e) for e in (0, 1, 2, 6, 10)] == pytest.approx([0.1, 0.55, 1.0, 0.6, 0.2])


def test_constant_stays():
    assert {learning_rate(stage(schedule="constant"), e) for e in (0, 5, 9.9)} == {1.0}


def test_plateau_falls_only_when_validation_stalls():
    plateau = stage(schedule="plateau", plateau_factor=0.5, plateau_patience=2, final_learning_rate=0.2)
    rates = [learning_rate(plateau, 0, scores) for scores in ([], [1, 2, 3], [3, 2, 1], [3, 2, 1, 0, 0], [3] + [0] * 9)]
    assert rates == [1.0, 1.0, 0.5, 0.25, 0.2]


def test_a_stage_ends_after_its_epochs_or_when_it_has_stalled():
    assert is_over(stage(epochs=2), [0.1, 0.2])
    assert not is_over(stage(), [0.3, 0.2, 0.1])
    patient = stage(early_stop=2)
    assert [is_over(patient, s) for s in ([], [0.3], [0.3, 0.2], [0.3, 0.2, 0.3], [0.3, 0.1, 0.4, 0.2])] == [
        False,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("name", ["nesterov", "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"])
def test_each_optimiser_is_itself_and_moves_only_what_trains(name):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    network[0].requires_grad_(False)
    before = [p.clone() for p in network.parameters()]
    made = optimizer(network, stage(optimizer=name, weight_decay=0.1))
    expected = {"nesterov": "sgd", "rmsprop": "rmsprop"}.get(name, name)
    assert type(made).__name__.lower() == expected
    network(torch.ones(2, 4)).sum().backward()
    made.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert moved == [False, False, True, True]
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]


def test_optimisers_take_different_steps():
    steps = set()
    for name in ("nesterov", "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"):
        torch.manual_seed(0)
        network = nn.Linear(3, 1)
        made = optimizer(network, stage(optimizer=name, weight_decay=0.1, learning_rate=0.1))
        for factor in (1.0, 2.0, 0.5):
            made.zero_grad()
            (factor * network(torch.ones(2, 3)).pow(2).sum()).backward()
            made.step()
        steps.add(round(network.weight[0, 0].item(), 6))
    assert len(steps) == 7


@pytest.mark.parametrize("decay", [0.5, 0.998])
def test_the_moving_average_of_few_steps_is_of_the_last_ones(decay):
    network = torch.nn.Linear(1, 1, bias=False)
    average = optimize.moving_average(network, decay)
    expected = None
    for n in range(60):
        with torch.no_grad():
            network.weight.fill_(n)
        average.update_parameters(network)
        share = min(decay, (1 + n) / (10 + n))
        expected = float(n) if expected is None else share * expected + (1 - share) * n
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert average.module.weight.item() > 50  # at a fixed decay of 0.998 it would be below 4
