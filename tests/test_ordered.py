"""Jobs on threads: order, how far they run ahead, faults, and that no thread is left."""

import itertools
import threading
import time
from functools import partial

import pytest

from mien.ordered import Job, in_order


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not any(thread.name.startswith("mien") for thread in threading.enumerate())


def slow_first(number):
    time.sleep(0.02 if number % 4 == 0 else 0)
    return number


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_though_later_jobs_end_first(workers):
    assert list(in_order([Job(partial(slow_first, n)) for n in range(20)], workers)) == list(range(20))


def test_few_jobs_are_taken_ahead_of_what_is_asked_for():
    taken = []
    jobs = (taken.append(n) or Job(partial(slow_first, n)) for n in itertools.count())
    results = in_order(jobs, 2)
    for place in range(20):
        assert next(results) == place
        assert len(taken) <= place + 2 * 2 + 2
    results.close()


def test_jobs_that_follow_run_one_after_the_other():
    together, most = [], []

    def run(number):
        together.append(number)
        most.append(len(together))
        time.sleep(0.005)
        together.remove(number)
        return number

    assert list(in_order([Job(partial(run, n), follows=True) for n in range(8)], 4)) == list(range(8))
    assert max(most) == 1


def test_after_a_live_job_the_next_waits_until_its_result_is_taken():
    taken = []
    jobs = (taken.append(n) or Job(partial(slow_first, n), live=True) for n in range(5))
    for place in in_order(jobs, 3):
        assert taken == list(range(place + 1))


def test_a_fault_is_raised_in_its_place():
    def fail():
        raise ValueError("broken")

    results = in_order([Job(lambda: 0), Job(fail), Job(lambda: 2)], 2)
    assert next(results) == 0
    with pytest.raises(ValueError, match="broken"):
        next(results)


def test_what_was_taken_before_the_jobs_broke_off_is_not_lost():
    def jobs():
        for number in range(3):
            yield Job(partial(slow_first, number))
        raise OSError("gone")

    results = in_order(jobs(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(results)
