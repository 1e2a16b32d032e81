"""Worker processes that need no guard in the user's script and never outlive the run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, ClassVar


class _Process(SpawnProcess):
    """A spawned process that does not import the user's script again.

    What workers run is named ``package.module:attribute``, so they have no need of the script; one
    without ``if __name__ == "__main__"`` would otherwise start itself over in each of them.
    """

    def start(self) -> None:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process: ClassVar[type[SpawnProcess]] = _Process


@contextmanager
def pool(
    jobs: int, start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Some worker processes, each made ready by ``start(*arguments)``.

    On any exception, an interrupt included, the workers are ended at once instead of being waited
    for. They also end by themselves when this process is killed.
    """
    executor = ProcessPoolExecutor(
        jobs, mp_context=_Context(), initializer=_begin, initargs=(start, arguments)
    )
    try:
        yield executor
    except BaseException:
        workers = list((getattr(executor, "_processes", None) or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        raise
    executor.shutdown()


def _begin(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    threading.Thread(target=_follow_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
