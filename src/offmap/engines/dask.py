"""Cells on a Dask cluster that is there already: a queue's, a cloud's, or a few workers by hand."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
import uuid
from asyncio import CancelledError as AsyncCancelled
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from offmap.engines.base import CRASHED
from offmap.errors import OffmapError, SettingsError
from offmap.registry import missing_extra
from offmap.store import Cell

T = TypeVar("T")
Task = Callable[[Cell, Mapping[str, Any], int], T]
"""Runs one cell, given the shared arrays that it needs and how many threads it may use."""

GPU = "GPU"
"""Name of the resource that workers with a graphics card are started with."""

# What decides a prediction, to the last bit.
_SAME = "offmap numpy scipy pandas scikit-learn lightgbm xgboost xgboost-cpu torch".split()

_ANSWER = 30.0  # seconds that a scheduler has to answer
_MOST_LOSSES = 10  # in a row, without a single cell done between
_MOST_DEATHS = 4  # of workers that ran a cell when the data were lost with them
_NAP = 0.2  # seconds of a task that does nothing
_COPIES = 2  # of the data, so that one worker may go at any time


class Dask:
    """Workers of a Dask cluster, found at the address of its scheduler.

    Data are scattered once and travel from worker to worker; workers need no shared disk. Results
    come back and are kept here, so a cell is lost only with the worker it runs on, and then run
    again. A worker may come or go at any time, and so may the scheduler.

    Parameters
    ----------
    jobs
        Processes for what is done here: describing crystals.
    scheduler
        Address such as ``"tcp://10.0.0.1:8786"``.
    patience
        Seconds to look for a scheduler that went away.

    Raises
    ------
    SettingsError
        If no address is given.
    OffmapError
        If Dask is not installed.
    """

    def __init__(self, jobs: int, scheduler: str = "", patience: float = 600.0) -> None:
        if not scheduler:
            raise SettingsError("--engine dask needs the address: --scheduler tcp://HOST:8786")
        try:
            import distributed  # noqa: F401
        except ModuleNotFoundError as error:
            raise missing_extra("engine 'dask'", "dask", error) from error
        self.jobs, self.scheduler, self.patience = jobs, scheduler, patience

    def run(
        self,
        task: Task[T],
        cells: Sequence[Cell],
        shared: Mapping[str, Any],
        needs: Callable[[Cell], Sequence[str]],
        on_gpu: Callable[[Cell], bool],
        say: Callable[[str], None],
    ) -> Iterator[tuple[Cell, T | str]]:
        """Run every cell on some worker; give each with its result, or with an error in words.

        Parameters
        ----------
        task
            What is run, by name: workers import it.
        shared
            Arrays by name; each is scattered when the first cell needs it.
        needs
            Names of the arrays that a cell needs.
        on_gpu
            Whether a cell must go to a worker that was started with ``--resources GPU=1``.
        say
            Told where the dashboard is, and what went wrong.

        Raises
        ------
        OffmapError
            If no scheduler answers, a worker has other versions, or workers keep being lost.
        """
        waiting, losses, patience = dict.fromkeys(cells), 0, 0.0
        while waiting:
            with self._client(patience) as client:
                greet(client, [cell for cell in waiting if on_gpu(cell)], say)
                grid = _Grid(client, task, shared, needs, on_gpu)
                try:
                    for cell, result in grid.run(list(waiting)):
                        del waiting[cell]
                        losses = 0
                        yield cell, result
                except _LOST as error:
                    losses += 1
                    if losses > _MOST_LOSSES:
                        raise OffmapError(f"the cluster keeps being lost: {error}") from error
                    say(f"the scheduler was lost; looking for it at {self.scheduler}")
            patience = self.patience

    @contextmanager
    def _client(self, patience: float) -> Iterator[Any]:
        """Yield a connection, tried again for ``patience`` seconds."""
        from distributed import Client

        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # said in our words
        until = time.monotonic() + patience
        while True:
            try:
                client = Client(self.scheduler, timeout=_ANSWER, set_as_default=False)
                break
            except (OSError, ValueError, RuntimeError) as error:
                if time.monotonic() > until or isinstance(error, ValueError):
                    raise OffmapError(
                        f"no Dask scheduler answers at {self.scheduler} ({error})"
                    ) from error
                time.sleep(1.0)
        try:
            yield client
        finally:
            client.close(timeout=2)


class _LostError(Exception):
    """The scheduler went away, with all it knew."""


_LOST = (_LostError, CancelledError, AsyncCancelled, OSError)


def greet(client: Any, for_gpu: Sequence[Cell], say: Callable[[str], None]) -> None:
    """Say where the dashboard is, and which cells have no worker to go to yet."""
    info = client.scheduler_info(n_workers=-1)
    workers = info["workers"].values()
    link = f"; dashboard: {client.dashboard_link}" if "dashboard" in info["services"] else ""
    say(f"Dask cluster {info['address']}: {len(workers)} workers{link}")
    if not workers:
        say("no worker is there yet: waiting for the first one")
    if for_gpu and not any(GPU in worker.get("resources", {}) for worker in workers):
        say(f"{len(for_gpu)} cells wait for a worker started with --resources GPU=1")


class _Grid:
    """Cells under way on one connection, and the data that they share."""

    def __init__(
        self,
        client: Any,
        task: Task[Any],
        shared: Mapping[str, Any],
        needs: Callable[[Cell], Sequence[str]],
        on_gpu: Callable[[Cell], bool],
    ) -> None:
        self.client, self.task, self.shared = client, task, shared
        self.needs, self.on_gpu = needs, on_gpu
        self.scattered: dict[str, Any] = {}
        self.generation = 0
        self.deaths: Counter[Cell] = Counter()
        self.started = f"offmap-{uuid.uuid4().hex}"  # topic under which workers say what they begin

    def run(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
        """Submit cells and give their results as they come.

        Whatever was waiting on a worker that died may have brought it down: such cells are run
        again at the end, one by one, and only one that dies alone has crashed.
        """
        suspects: list[Cell] = []
        for cell, result in self._together(cells):
            if isinstance(result, str) and result == CRASHED:
                suspects.append(cell)
            else:
                yield cell, result
        for cell in suspects:
            yield from self._together([cell])

    def _together(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
        from distributed import as_completed

        self._wait_for_a_worker()
        futures = as_completed([], raise_errors=False, loop=self.client.loop)
        cell_of: dict[str, tuple[Cell, int]] = {}

        def submit(cell: Cell) -> None:
            future = self._submit(cell)
            cell_of[future.key] = (cell, self.generation)
            futures.add(future)

        for cell in cells:
            submit(cell)
        for future in futures:
            cell, generation = cell_of.pop(future.key)
            if future.status == "finished":
                yield cell, _checked(future.result())
            elif future.status == "error":
                yield cell, _failure(future.exception())
            elif self.client.status != "running":
                raise _LostError("no connection")
            else:  # the last worker that held the data is gone
                if generation == self.generation:
                    self._begin_again(
                        {key: c for key, (c, _) in cell_of.items()} | {future.key: cell}
                    )
                if self.deaths[cell] < _MOST_DEATHS:
                    submit(cell)
                else:
                    yield cell, CRASHED

    def _begin_again(self, cell_of: Mapping[str, Cell]) -> None:
        """Forget the data that were lost, and note which cells ran when it happened."""
        begun = {key for _, key in self.client.get_events(self.started)}
        self.deaths.update(cell_of[key] for key in begun & cell_of.keys())
        self.scattered.clear()
        self.generation += 1
        self._wait_for_a_worker()

    def _submit(self, cell: Cell) -> Any:
        arrays = self._scatter(self.needs(cell))
        key = f"fit-{uuid.uuid4().hex}"
        return self.client.submit(
            run_there,
            self.task,
            cell,
            arrays,
            versions(),
            (self.started, key),
            key=key,
            pure=False,
            resources={GPU: 1} if self.on_gpu(cell) else None,
        )

    def _scatter(self, names: Sequence[str]) -> dict[str, Any]:
        """What stands for these arrays; those that are not there yet are sent to the workers."""
        missing = [name for name in names if name not in self.scattered]
        with self._kept_awake() if missing else nullcontext():
            for name in missing:
                # A name by chance, not by content: what was lost must not be taken for what is
                # there.
                self.scattered[name] = self.client.scatter(
                    self.shared[name], hash=False, broadcast=_COPIES
                )
        return {name: self.scattered[name] for name in names}

    @contextmanager
    def _kept_awake(self) -> Iterator[None]:
        """Give workers something to do: an adaptive cluster would let them go in the meantime."""
        over = threading.Event()

        def keep() -> None:
            nap = None
            while not over.wait(_NAP / 10) and self.client.status == "running":
                if nap is None or nap.done():
                    nap = self.client.submit(
                        time.sleep, _NAP, key=f"nap-{uuid.uuid4().hex}", pure=False
                    )

        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _wait_for_a_worker(self) -> None:
        """Wait as long as it takes; a task that waits makes an adaptive cluster start one."""
        self.client.submit(os.getpid, key=f"wake-{uuid.uuid4().hex}", pure=False).result()


def versions() -> dict[str, str]:
    """Versions of all that decides a prediction; what is not installed is left out."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _SAME:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_there(
    task: Task[T],
    cell: Cell,
    arrays: Mapping[str, Any],
    wanted: Mapping[str, str],
    begun: tuple[str, str] | None = None,
) -> tuple[T | None, str]:
    """Run a cell in a worker process; the text says why this worker must not.

    ``begun`` is a topic and what to say under it before the cell is run.
    """
    if begun:
        from distributed import get_worker

        get_worker().log_event(*begun)
    here = versions()
    both = [name for name in wanted if name in here]
    other = [f"{k} {here[k]}, not {wanted[k]}" for k in both if here[k] != wanted[k]]
    if other:
        return None, f"the worker on {platform.node()} has other versions: {'; '.join(other)}"
    return task(cell, arrays, int(os.environ.get("OMP_NUM_THREADS") or 1)), ""


def _checked(answer: tuple[T, str]) -> T:
    result, why_not = answer
    if why_not:
        raise OffmapError(f"{why_not}; results would not be those of a local run")
    return result


def _failure(error: BaseException) -> str:
    """What to say of a cell whose task failed before it could report; some end the whole run."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return CRASHED
    if isinstance(error, ImportError):
        raise OffmapError(f"a worker cannot import what it should run: {error}") from error
    return f"{type(error).__name__}: {error}"
