"""Where cells run. An engine takes work and gives back outcomes as they come, in any order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from offmap.processes import pool
from offmap.store import Cell

Run = Callable[[Cell], "Outcome"]

CRASHED = "the worker process died (out of memory?)"


@dataclass(frozen=True)
class Outcome:
    """How one cell went: seconds taken, and an error in words if it failed."""

    cell: Cell
    seconds: float
    error: str = ""


def n_cores() -> int:
    """Processors that this process may use (affinity and container limits respected)."""
    from joblib import cpu_count

    return int(cpu_count())


class Local:
    """Processes on this machine.

    Parameters
    ----------
    jobs
        How many cells run at once; each gets its share of the cores as threads. With 1, cells run
        in this process.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = max(1, jobs)

    @property
    def threads(self) -> int:
        """Threads that one cell may use."""
        return max(1, n_cores() // self.jobs)

    def run(
        self,
        work: Run,
        cells: Sequence[Cell],
        start: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> Iterator[Outcome]:
        """Run ``work`` on every cell, after ``start(*arguments)`` once per process.

        A cell whose work raises, or takes its process down, is an outcome with an error; the
        others go on.
        """
        if self.jobs == 1:
            start(*arguments)
            yield from (_attempt(partial(work, cell), cell) for cell in cells)
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
        with pool(jobs, start, arguments) as workers:
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


def _attempt(work: Callable[[], Outcome], cell: Cell) -> Outcome:
    try:
        return work()
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
