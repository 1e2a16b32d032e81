"""Worker processes that need no guard in the user's script and never outlive the run."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import Pipe, connection, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from offmap.errors import OffmapError


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


class Answer(NamedTuple):
    """What came of one item: a value, or ``None`` and why; ``settled`` if it would be so again."""

    place: int
    value: Any
    reason: str = ""
    settled: bool = True


def each(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    jobs: int,
    seconds: float,
    start: Callable[[], None] | None = None,
) -> Iterator[Answer]:
    """Call a function for each item in worker processes; no item can stop the others.

    Parameters
    ----------
    function, items
        What is called, ``package.module:attribute``, and with what.
    jobs
        Number of processes.
    seconds
        An item that takes longer is given up, and its process ended.
    start
        Called once in each process; its time does not count.

    Yields
    ------
    Answer
        One per item, in the order in which they are done; an exception, a process that died and
        one that took too long are reasons.

    Raises
    ------
    OffmapError
        If a process cannot be made ready.
    """
    todo = enumerate(items)
    slots = [_Slot(function, start, seconds) for _ in range(jobs)]
    try:
        while busy := [slot for slot in slots if slot.place is not None]:
            soonest = min(slot.deadline for slot in busy)
            patience = None if soonest == float("inf") else max(0.0, soonest - time.monotonic())
            ready = connection.wait([slot.pipe for slot in busy], patience)
            for slot in busy:
                answer = slot.answer(slot.pipe in ready)
                if answer is None:
                    continue
                if answer.place != _STARTING:
                    yield answer
                slot.give(next(todo, None))
    finally:
        for slot in slots:
            slot.end()


_STARTING = -1


class _Slot:
    """A worker process and the item that it has; the process is replaced when it is lost."""

    def __init__(
        self, function: Callable[[Any], Any], start: Callable[[], None] | None, seconds: float
    ) -> None:
        self.function, self.start, self.seconds = function, start, seconds
        self.place: int | None
        self.waiting: tuple[int, Any] | None
        self._begin()

    def _begin(self) -> None:
        self.pipe, theirs = Pipe()
        arguments = (theirs, self.function, self.start)
        self.process = _Context().Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.place, self.deadline, self.waiting = _STARTING, float("inf"), None

    def give(self, item: tuple[int, Any] | None) -> None:
        """Have it do an item, after a start if need be; ``None``: there is no more to do."""
        if item is None:
            self.place, self.deadline = None, float("inf")
        elif self.process.is_alive() and not self.pipe.closed:
            self.place, value = item
            self.deadline = time.monotonic() + self.seconds
            self.pipe.send(value)
        else:  # it was lost with the item before
            self._begin()
            self.waiting = item

    def answer(self, is_ready: bool) -> Answer | None:
        """What the process has to say, if it is done, lost, or out of time."""
        place = self.place if self.place is not None else _STARTING
        if is_ready:
            try:
                value, reason = self.pipe.recv()
            except (EOFError, OSError):
                value, reason = None, ""
                if place != _STARTING:
                    self.end()
                    return Answer(place, None, "its process died (out of memory?)", False)
                reason = "it ended without a word"
            if place == _STARTING and reason:
                raise OffmapError(f"a worker process could not be made ready: {reason}")
            if place == _STARTING and self.waiting is not None:
                item, self.waiting = self.waiting, None
                self.give(item)
                return None
            return Answer(place, value, reason)
        if time.monotonic() > self.deadline:
            self.end()
            return Answer(place, None, f"it took longer than {self.seconds:g} s", False)
        return None

    def end(self) -> None:
        """End the process at once."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(pipe: Any, function: Callable[[Any], Any], start: Callable[[], None] | None) -> None:
    try:
        _begin(start, ())
    except Exception as error:
        pipe.send((None, _said(error)))
        return
    pipe.send((None, ""))
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = function(item), ""
        except Exception as error:
            answer = None, _said(error)
        pipe.send(answer)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().removesuffix(":")
