"""Where cells run. An engine takes work and gives back outcomes as they come, in any order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from offmap.store import Cell

Run = Callable[[Cell], "Outcome"]

# How often a cell may take its worker process down (out of memory, say) before it is given up.
_MAX_CRASHES = 2


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
        How many cells run at once; each gets its share of the cores as threads.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = max(1, jobs)

    @property
    def threads(self) -> int:
        """Threads that one cell may use."""
        return max(1, n_cores() // self.jobs)

    def run(
        self, work: Run, cells: Sequence[Cell], start: Callable[..., None], arguments: tuple[Any, ...]
    ) -> Iterator[Outcome]:
        """Run ``work`` on every cell, after ``start(*arguments)`` once per process."""
        if self.jobs == 1:
            start(*arguments)
            yield from map(work, cells)
            return
        waiting = deque(cells)
        crashes: dict[Cell, int] = {}
        while waiting:
            yield from self._run_pool(work, waiting, crashes, start, arguments)

    def _run_pool(
        self,
        work: Run,
        waiting: deque[Cell],
        crashes: dict[Cell, int],
        start: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> Iterator[Outcome]:
        """Run cells until none waits or the pool breaks; cells in flight then wait again."""
        # After a crash, one cell at a time: then it is known which one does it.
        at_once = 1 if any(cell in crashes for cell in waiting) else self.jobs
        threads = str(self.threads)
        os.environ.setdefault("OMP_NUM_THREADS", threads)  # inherited by the spawned processes
        pool = ProcessPoolExecutor(
            at_once, mp_context=get_context("spawn"), initializer=start, initargs=arguments
        )
        flying: dict[Future[Outcome], Cell] = {}
        try:
            while waiting or flying:
                while waiting and len(flying) < at_once:
                    cell = waiting.popleft()
                    flying[pool.submit(work, cell)] = cell
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    del flying[future]
                    yield outcome
        except BrokenProcessPool:
            yield from self._after_crash(list(flying.values()), waiting, crashes)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _after_crash(
        cells: list[Cell], waiting: deque[Cell], crashes: dict[Cell, int]
    ) -> Iterator[Outcome]:
        for cell in cells:
            crashes[cell] = crashes.get(cell, 0) + 1
            if crashes[cell] >= _MAX_CRASHES:
                yield Outcome(cell, 0.0, "the worker process died (out of memory?)")
            else:
                waiting.appendleft(cell)
