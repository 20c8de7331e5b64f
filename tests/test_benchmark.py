import time

import numpy as np
import pytest

from mien import benchmark
from mien.recognizer import Recognizer
from support.stub_model import StubModel


@pytest.fixture
def recognizer():
    model = StubModel()
    model.card.golden_crop = lambda: np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    return Recognizer(model, "haar")


def test_every_step_takes_time_and_rates_follow_from_times(recognizer):
    found = benchmark.measure(recognizer, rounds=3)
    assert (found.width, found.height) == (1280, 720)
    times = (found.decode, found.detect, found.follow, found.crop, found.score, found.score_batch)
    assert all(value > 0 for value in times)
    assert found.faces_per_second == pytest.approx(1000 / found.score_batch)
    assert 64 in recognizer.model.batches
    assert 1 in recognizer.model.batches
    assert set(found.to_dict()) == set(benchmark.Speed.__dataclass_fields__)


def test_a_slower_model_shows(recognizer):
    quick = recognizer.model.score

    def slow(crops):
        time.sleep(0.05)
        return quick(crops)

    recognizer.model.score = slow
    assert benchmark.measure(recognizer, rounds=3).score > 50
