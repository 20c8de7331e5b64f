"""Jobs on several threads whose results come in the order of the jobs, few of them ahead of what is taken."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Job(Generic[T]):
    """Something to run.

    Attributes:
        run: what gives the result.
        follows: run it after the ones before it that follow, not beside them.
        live: do not take the next job before its result is taken.
    """

    run: Callable[[], T]
    follows: bool = False
    live: bool = False


def in_order(jobs: Iterable[Job[T]], workers: int) -> Iterator[T]:
    """Run jobs on several threads; their results come in order.

    What a job raises is raised where its result would come. Where ``jobs`` itself raises, or Ctrl-C interrupts, the
    results of the jobs taken before come first. No thread is left behind, wherever the caller stops.

    Args:
        jobs: taken as they are needed, at most about twice as many ahead as there are workers.
        workers: threads for jobs that follow nothing; 1: all jobs run in the caller's thread.

    >>> list(in_order([Job(lambda: 1), Job(lambda: 2)], workers=2))
    [1, 2]
    """
    if workers == 1:
        yield from (job.run() for job in jobs)
        return
    running: deque[Future[T]] = deque()
    beside = ThreadPoolExecutor(workers, "mien-search")
    behind = ThreadPoolExecutor(1, "mien-follow")  # what follows runs one after the other

    def take() -> T:
        result = running[0].result()  # it stays in the queue where Ctrl-C ends the wait
        running.popleft()
        return result

    try:
        try:
            for job in jobs:
                running.append((behind if job.follows else beside).submit(job.run))
                while running and (job.live or len(running) > 2 * workers or running[0].done()):
                    yield take()
        except BaseException as error:
            failed = running and running[0].done() and running[0].exception() is error
            if failed or isinstance(error, GeneratorExit):
                raise
            while running:  # what was taken before the source broke off is not lost
                yield take()
            raise
        while running:
            yield take()
    finally:
        for pool in (beside, behind):
            pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
