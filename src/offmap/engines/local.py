"""Cells in processes on this machine."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from offmap.engines.base import CRASHED, Outcome, n_cores
from offmap.errors import SettingsError, StudyError
from offmap.processes import pool
from offmap.store import Cell

Run = Callable[[Cell], Outcome]


class Local:
    """Processes on this machine.

    Parameters
    ----------
    jobs
        How many cells run at once; each gets its share of the cores as threads. With 1, cells run
        in this process.
    scheduler
        There is none here: an address is an error.
    """

    def __init__(self, jobs: int, scheduler: str = "") -> None:
        if scheduler:
            raise SettingsError(f"--scheduler {scheduler} is for --engine dask")
        self.jobs = max(1, jobs)

    @property
    def threads(self) -> int:
        """Threads that one cell may use: its share of the cores, at most ``OMP_NUM_THREADS``."""
        most = os.environ.get("OMP_NUM_THREADS", "")
        return max(1, min(n_cores() // self.jobs, int(most) if most.isdigit() else n_cores()))

    def run(
        self,
        work: Run,
        cells: Sequence[Cell],
        start: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> Iterator[Outcome]:
        """Run ``work`` on every cell, after ``start(*arguments)`` once per process.

        A cell whose work raises, or takes its process down, is an outcome with an error; the
        others go on. Only a :class:`StudyError` (nothing can be kept) ends all.
        """
        if self.jobs == 1:
            from threadpoolctl import threadpool_limits

            start(*arguments)
            for cell in cells:
                with threadpool_limits(self.threads):  # of this process: given back every time
                    outcome = _attempt(partial(work, cell), cell)
                yield outcome
            return
        waiting = deque(cells)
        while waiting:
            suspects = yield from self._run_pool(self.jobs, work, waiting, start, arguments)
            # Any of the cells that ran when the pool broke may have done it: each alone, then.
            for cell in suspects:
                alone = deque([cell])
                if (yield from self._run_pool(1, work, alone, start, arguments)):
                    yield Outcome(cell, 0.0, CRASHED)

    def _run_pool(
        self,
        jobs: int,
        work: Run,
        waiting: deque[Cell],
        start: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> Generator[Outcome, None, list[Cell]]:
        """Run cells until none waits or the pool breaks; the value is the cells then in flight."""
        flying: dict[Future[Outcome], Cell] = {}
        with pool(jobs, _limited, (self.threads, start, arguments)) as workers:
            while waiting or flying:
                try:
                    while waiting and len(flying) < jobs:
                        with _environment("OMP_NUM_THREADS", str(self.threads)):
                            flying[workers.submit(work, waiting[0])] = waiting[0]
                        waiting.popleft()
                except BrokenProcessPool:
                    return [*flying.values(), waiting.popleft()]
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                broken = [f for f in done if isinstance(f.exception(), BrokenProcessPool)]
                for future in done.difference(broken):
                    yield _attempt(future.result, flying.pop(future))
                if broken:
                    return list(flying.values())
        return []


def _limited(threads: int, start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Begin a worker process that keeps to its share of the cores."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    start(*arguments)


def _attempt(work: Callable[[], Outcome], cell: Cell) -> Outcome:
    try:
        return work()
    except StudyError:
        raise
    except Exception as error:  # whatever it is, it concerns this cell alone
        return Outcome(cell, 0.0, f"{type(error).__name__}: {error}")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for processes that are started meanwhile, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
